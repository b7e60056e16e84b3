"""Threat models and the projected-gradient attack."""
