"""Accuracies, intervals, rank correlations and claims, from per-image tables."""
