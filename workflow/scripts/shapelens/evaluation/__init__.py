"""Per-image predictions of a model on many test sets, and under attack."""
