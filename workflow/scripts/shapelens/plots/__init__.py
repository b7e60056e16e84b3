"""Figures from tables and arrays."""
