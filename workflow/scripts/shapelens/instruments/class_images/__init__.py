"""What a model takes for a class: images made from draws of each class's coarse distribution."""
