"""Errors that speak to the user."""

from pathlib import Path


class UserError(ValueError):
    """Something that the user can mend; its text says what was wrong, where, and what to do."""


class DamagedFileError(UserError):
    """A file of the workflow that is missing, or not what its maker left; ``path`` is that file."""

    def __init__(self, path: str | Path, text: str) -> None:
        super().__init__(text)
        self.path = Path(path)
