"""What single units of a model look for: images that excite them, made and found."""
