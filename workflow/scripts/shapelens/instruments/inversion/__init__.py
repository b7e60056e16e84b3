"""What a model's representation keeps of an image: other images driven to have the same one."""
