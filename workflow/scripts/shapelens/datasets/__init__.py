"""Readers of image datasets, their splits, and the embedded cue images."""
