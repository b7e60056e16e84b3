"""A table made for reading: text and numbers with intervals, independent of the format it is written in."""

import math
from dataclasses import dataclass

UNDEFINED = "–"


@dataclass(frozen=True)
class Cell:
    """One number, already in the unit in which it is printed, with its interval and footnote marks.

    NaN is undefined; without an interval (``low`` or ``high`` NaN) the number stands alone.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    digits: int = 1
    marks: str = ""

    @property
    def number(self) -> str:
        """The number as printed."""
        return _round(self.value, self.digits)

    @property
    def interval(self) -> str:
        """The interval as printed, such as ``[80.1, 86.2]``; empty where there is none."""
        if math.isnan(self.value) or math.isnan(self.low) or math.isnan(self.high):
            return ""
        return f"[{_round(self.low, self.digits)}, {_round(self.high, self.digits)}]"


@dataclass(frozen=True)
class Stack:
    """Text with a smaller line beneath it, which may be empty."""

    text: str
    beneath: str = ""


Entry = str | Cell | Stack


@dataclass(frozen=True)
class WideTable:
    """A table of ``rows`` under ``header``; the first ``text_columns`` columns hold text, the others numbers."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Entry, ...], ...]
    text_columns: int = 1
    notes: tuple[str, ...] = ()
    footnotes: tuple[tuple[str, str], ...] = ()
    groups: tuple[int, ...] = ()
    """Rows before which a rule separates groups of models."""
    wraps: bool = False
    """Whether text is broken into lines to fit a page in HTML; numbers never are."""


def _round(value: float, digits: int) -> str:
    if math.isnan(value):
        return UNDEFINED
    text = f"{value:.{digits}f}"
    # -0.0 would print a sign that means nothing.
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", "−")


def letters(index: int) -> str:
    """Return the mark of the footnote with this index: a to z, then aa, ab and so on."""
    mark = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        mark = chr(ord("a") + rest) + mark
    return mark
