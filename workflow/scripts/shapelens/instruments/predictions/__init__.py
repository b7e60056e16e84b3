"""A model's answer to every test image."""
