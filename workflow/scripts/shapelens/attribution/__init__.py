"""Saliency maps and the quantities measured on them."""
