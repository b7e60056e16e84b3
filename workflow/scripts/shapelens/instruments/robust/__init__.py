"""A model's answers under attack, and where in the spectrum the attack works."""
