"""Texture- and shape-destroying transformations of images, as pure functions on arrays."""
