"""Errors that speak to the user."""


class UserError(ValueError):
    """Something that the user can mend; its text says what was wrong, where, and what to do."""
