"""Models whose answer is known by construction, and what they say of the test sets that others are measured on."""
