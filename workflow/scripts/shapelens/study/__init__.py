"""What is asked: the typed config and its messages."""
