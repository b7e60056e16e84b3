"""Every claim, judged by the function of its module; and the claims as JSON, a table and Markdown."""

import importlib
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from shapelens.claims.evidence import Evidence
from shapelens.claims.spec import ClaimEntry
from shapelens.claims.verdicts import NOT_ASKED, Claim, number
from shapelens.names.text import markdown

if TYPE_CHECKING:
    import pandas as pd


def judge_all(evidence: Evidence, claims: Iterable[ClaimEntry]) -> list[Claim]:
    """Return every claim, in the order given; one whose inputs a study lacks says so."""
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
            "asks": list(claim.asks),
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
            "asks": " | ".join(row["asks"]),
        }
        for row in claims_json(claims)
    ]
    return pd.DataFrame(rows)


def not_asked(claims: Sequence[Claim]) -> tuple[list[Claim], list[tuple[str, str]]]:
    """Return the claims that were asked; and, by the line of a config that would ask for them, those that were not.

    A claim that lacks several things stands at each of their lines; one of which a verdict was expected says which.
    """
    lines: dict[str, list[str]] = {}
    for claim in claims:
        if claim.verdict == NOT_ASKED:
            for line in claim.asks:
                lines.setdefault(line, []).append(f"{claim.id} ({claim.remark})" if claim.remark else claim.id)
    asked = [claim for claim in claims if claim.verdict != NOT_ASKED]
    return asked, [(line, ", ".join(names)) for line, names in lines.items()]


def not_asked_text(claims: Sequence[Claim]) -> str:
    """Return how many claims were not asked, in words; empty where all were."""
    count = sum(claim.verdict == NOT_ASKED for claim in claims)
    what = "claim was" if count == 1 else "claims were"
    return f"{count} {what} not asked. What each lacks, as lines of a config:" if count else ""


def claims_markdown(claims: Sequence[Claim]) -> str:
    """Return a table of expected and found verdicts, what was not asked, and below it what each verdict rests on."""
    asked, lacking = not_asked(claims)
    lines = ["| claim | text | expected | found | effect | note |", "|---|---|---|---|---|---|"]
    for claim in asked:
        found = f"**{claim.verdict}**" + (f" ({claim.remark})" if claim.remark else "")
        effect = effect_text(claim) + (f": {claim.decided_by}" if claim.decided_by else "")
        cells = (claim.id, claim.text, claim.expected or "–", found, effect, claim.note)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    if lacking:
        lines += ["", not_asked_text(claims), ""]
        lines += [f"- `{line}`: {names}" for line, names in lacking]
    for claim in asked:
        lines += ["", f"## {claim.id}. {claim.text}", ""]
        if claim.why:
            lines += [f"Expected {claim.expected}: {markdown(claim.why)}", ""]
        lines += [f"- {row}" for row in claim.rows]
    return "\n".join(lines) + "\n"


def effect_text(claim: Claim) -> str:
    """Return a claim's effect with its interval and unit, such as ``+12.3 [10.1, 14.2] points``; – where undefined."""
    if claim.effect is None:
        return "–"
    digits = 1 if claim.unit == "points" else 2
    low = number(-math.inf if claim.low is None else claim.low, digits)
    return f"{number(claim.effect, digits)} [{low}, {number(claim.high, digits)}] {claim.unit}"
