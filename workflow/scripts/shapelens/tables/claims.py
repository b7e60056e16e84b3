"""The claims as a table for reading."""

from collections.abc import Sequence

from shapelens.claims.judging import effect_text, not_asked, not_asked_text
from shapelens.claims.verdicts import Claim
from shapelens.tables.wide import Stack, WideTable


def claims_table(claims: Sequence[Claim]) -> WideTable:
    """Return expected and found verdicts as a table for reading: notes beneath texts, so that it fits a page.

    Claims that were not asked stand below it, by what they lack.
    """
    asked, lacking = not_asked(claims)
    rows = [
        (
            c.id,
            Stack(c.text, c.note),
            c.expected or "–",
            Stack(c.verdict, c.remark),
            Stack(effect_text(c), c.decided_by),
        )
        for c in asked
    ]
    header = ("Claim", "What it says, and what to know of it", "Expected", "Found", "Effect, and of what")
    notes = [not_asked_text(claims), *(f"{line}: {names}" for line, names in lacking)] if lacking else []
    return WideTable(
        "Claims, expected and found", header, tuple(rows), text_columns=len(header), notes=tuple(notes), wraps=True
    )
