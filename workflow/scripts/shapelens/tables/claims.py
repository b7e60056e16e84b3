"""The claims as a table for reading."""

from collections.abc import Sequence

from shapelens.claims.judging import effect_text
from shapelens.claims.verdicts import Claim
from shapelens.tables.wide import Stack, WideTable


def claims_table(claims: Sequence[Claim]) -> WideTable:
    """Return expected and found verdicts as a table for reading: notes beneath texts, so that it fits a page."""
    rows = [
        (
            c.id,
            Stack(c.text, c.note),
            c.expected or "–",
            Stack(c.verdict, "a surprise" if c.as_expected is False else ""),
            Stack(effect_text(c), c.decided_by),
        )
        for c in claims
    ]
    header = ("Claim", "What it says, and what to know of it", "Expected", "Found", "Effect, and of what")
    return WideTable("Claims, expected and found", header, tuple(rows), text_columns=len(header), wraps=True)
