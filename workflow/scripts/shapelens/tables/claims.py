"""The claims as a table for reading."""

from collections.abc import Sequence

from shapelens.stats.claims import effect_text
from shapelens.stats.verdicts import Claim
from shapelens.tables.wide import WideTable


def claims_table(claims: Sequence[Claim]) -> WideTable:
    """Return expected and found verdicts as a table for reading."""
    rows = [
        (
            c.id,
            c.text,
            c.expected or "–",
            c.verdict + (" (a surprise)" if c.as_expected is False else ""),
            effect_text(c),
            c.note,
        )
        for c in claims
    ]
    header = ("Claim", "Text", "Expected", "Found", "Effect", "Note")
    return WideTable("Claims, expected and found", header, tuple(rows), text_columns=len(header))
