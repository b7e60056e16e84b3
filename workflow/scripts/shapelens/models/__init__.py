"""Architectures, input normalisation, loading and saving of weights."""
