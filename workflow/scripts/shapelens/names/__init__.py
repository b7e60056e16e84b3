"""Words for readers: the models of a grid, test sets, datasets, display."""
