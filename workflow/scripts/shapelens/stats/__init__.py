"""Accuracies, intervals and rank correlations, from per-image tables."""
