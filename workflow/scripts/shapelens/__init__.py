"""Shapelens: does an image classifier look at shape or at texture?"""

__version__ = "0.1.0"
