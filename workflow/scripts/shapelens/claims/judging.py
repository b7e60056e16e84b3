"""Every claim, judged: the registry of claim functions, and the claims as JSON, a table and Markdown."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from shapelens.claims.evidence import Evidence
from shapelens.claims.frequency import claim_7, claim_11
from shapelens.claims.robustness import claim_1a, claim_1b, claim_2_saturation, claim_2_shuffle, claim_2_stylised
from shapelens.claims.saliency import claim_8a, claim_8b, claim_8c
from shapelens.claims.shape import claim_5a, claim_5b, claim_5c, claim_5d, claim_10
from shapelens.claims.spatial import claim_9a, claim_9b
from shapelens.claims.texts import CLAIMS
from shapelens.claims.texture import claim_3a, claim_3b, claim_4, claim_6
from shapelens.claims.verdicts import Claim, number

if TYPE_CHECKING:
    import pandas as pd

FUNCTIONS: Mapping[str, Callable[[Evidence], Claim]] = {
    "1a": claim_1a,
    "1b": claim_1b,
    "2-saturation": claim_2_saturation,
    "2-stylised": claim_2_stylised,
    "2-shuffle": claim_2_shuffle,
    "3a": claim_3a,
    "3b": claim_3b,
    "4": claim_4,
    "5a": claim_5a,
    "5b": claim_5b,
    "5c": claim_5c,
    "5d": claim_5d,
    "6": claim_6,
    "7": claim_7,
    "8a": claim_8a,
    "8b": claim_8b,
    "8c": claim_8c,
    "9a": claim_9a,
    "9b": claim_9b,
    "10": claim_10,
    "11": claim_11,
}
"""The function that judges each claim."""


def judge_all(evidence: Evidence) -> list[Claim]:
    """Return every claim of the registry, in its order; one whose inputs a study lacks is undecided and says so."""
    return [FUNCTIONS[claim](evidence) for claim in CLAIMS]


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
