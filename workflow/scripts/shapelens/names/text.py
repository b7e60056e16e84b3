"""Text of the user's own, such as labels, reasons and names of files, as it is shown to readers."""

import re
import unicodedata
from html import escape

UNSEEN = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode's categories of what ends a line or steers a terminal, and of what no file can hold."""
TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of what follows them, also of text that is not theirs."""


def visible(text: str) -> str:
    r"""Return text in one line, with what would end it or steer a terminal shown as ``\n``, ``\x1b`` and the like."""
    return "".join(
        character.encode("unicode_escape").decode()
        if character in TURNING or unicodedata.category(character) in UNSEEN
        else character
        for character in text
    )


def one_line(text: str) -> str:
    """Return text in one line: its line breaks become blanks."""
    return visible(" ".join(text.split()))


def markdown(text: str) -> str:
    """Return text as one line that every dialect of Markdown shows as it is: not all of them know an escaped ``<``."""
    return escape(re.sub(r"[\\`*_|~$\[\]]", r"\\\g<0>", one_line(text)), quote=False)
