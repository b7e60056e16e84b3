"""What is claimed beforehand, and how it is judged."""
