"""Every claim, judged by the function of its module; and the claims as JSON, a table and Markdown."""

import importlib
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from shapelens.claims.evidence import Evidence
from shapelens.claims.spec import ClaimEntry
from shapelens.claims.verdicts import Claim, number

if TYPE_CHECKING:
    import pandas as pd


def judge_all(evidence: Evidence, claims: Iterable[ClaimEntry]) -> list[Claim]:
    """Return every claim, in the order given; one whose inputs a study lacks is undecided and says so."""
    return [judge_one(evidence, claim) for claim in claims]


def judge_one(evidence: Evidence, claim: ClaimEntry) -> Claim:
    """Judge a claim by the function ``claim_ID`` of its module."""
    found: Claim = getattr(importlib.import_module(claim.module), claim.function)(evidence)
    return found


def claims_json(claims: Sequence[Claim]) -> list[dict[str, Any]]:
    """Return claims as plain data, numbers that are undefined or infinite as null."""
    return [
        {
            "id": claim.id,
            "text": claim.text,
            "expected": claim.expected,
            "why": claim.why,
            "verdict": claim.verdict,
            "as_expected": claim.as_expected,
            "views": dict(claim.views),
            "effect": claim.effect,
            "low": claim.low,
            "high": claim.high,
            "unit": claim.unit,
            "decided_by": claim.decided_by,
            "rows": list(claim.rows),
            "note": claim.note,
        }
        for claim in claims
    ]


def claims_frame(claims: Sequence[Claim]) -> "pd.DataFrame":
    """Return claims as a table, one row each; lists joined by `` | ``."""
    import pandas as pd

    rows = [
        {
            **row,
            "views": " | ".join(f"{view}: {verdict}" for view, verdict in row["views"].items()),
            "rows": " | ".join(row["rows"]),
        }
        for row in claims_json(claims)
    ]
    return pd.DataFrame(rows)


def claims_markdown(claims: Sequence[Claim]) -> str:
    """Return a table of expected and found verdicts, and below it what each rests on."""
    lines = ["| claim | text | expected | found | effect | note |", "|---|---|---|---|---|---|"]
    for claim in claims:
        found = f"**{claim.verdict}**" + (" (a surprise)" if claim.as_expected is False else "")
        effect = effect_text(claim) + (f": {claim.decided_by}" if claim.decided_by else "")
        cells = (claim.id, claim.text, claim.expected or "–", found, effect, claim.note)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    for claim in claims:
        lines += ["", f"## {claim.id}. {claim.text}", ""]
        if claim.why:
            lines += [f"Expected {claim.expected}: {claim.why}", ""]
        lines += [f"- {row}" for row in claim.rows]
    return "\n".join(lines) + "\n"


def effect_text(claim: Claim) -> str:
    """Return a claim's effect with its interval and unit, such as ``+12.3 [10.1, 14.2] points``; – where undefined."""
    if claim.effect is None:
        return "–"
    digits = 1 if claim.unit == "points" else 2
    low = number(-math.inf if claim.low is None else claim.low, digits)
    return f"{number(claim.effect, digits)} [{low}, {number(claim.high, digits)}] {claim.unit}"
