"""Stylisation: AdaIN, its networks, and the test sets that lose their texture or take on another."""
