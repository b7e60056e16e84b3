"""Saliency maps, and what is measured on them."""
