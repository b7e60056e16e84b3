"""Every instrument, one line each, in the order of the report; and what their rooms declare, together."""

import re
from collections.abc import Iterable, Mapping

from shapelens.claims.spec import ClaimEntry
from shapelens.claims.texts import PAPER
from shapelens.instruments.class_images import instrument as class_images
from shapelens.instruments.declare import Instrument, Table
from shapelens.instruments.features import instrument as features
from shapelens.instruments.inversion import instrument as inversion
from shapelens.instruments.predictions import instrument as predictions
from shapelens.instruments.robust import instrument as robust
from shapelens.instruments.saliency import instrument as saliency

ROOMS: tuple[Instrument, ...] = (
    predictions.INSTRUMENT,
    robust.INSTRUMENT,
    saliency.INSTRUMENT,
    inversion.INSTRUMENT,
    features.INSTRUMENT,
    class_images.INSTRUMENT,
)
"""What every room declares; ``checks`` looks at it when the workflow is read."""

INSTRUMENTS: dict[str, Instrument] = {instrument.name: instrument for instrument in ROOMS}
"""Every instrument by name."""


def path_of(instrument: Instrument) -> str:
    """Return where an instrument's section stands in a study's config."""
    return instrument.section or f"instruments.{instrument.name}"


def module_of(instrument: Instrument, part: str = "measure") -> str:
    """Return the dotted name of a module of an instrument's room."""
    return f"shapelens.instruments.{instrument.name}.{part}"


TABLES: dict[str, Table] = {table.id: table for one in INSTRUMENTS.values() for table in one.tables}
"""Every table by id."""


def claim_texts() -> dict[str, Mapping[str, str]]:
    """Return the text of every claim by module and id: the paper's, then those of the rooms."""
    return {**PAPER, **{module_of(one, "claims"): one.claims for one in ROOMS}}


def _claims() -> dict[str, ClaimEntry]:
    """Return every claim, by number and then in the order of declaration."""
    found = [
        ClaimEntry(id=claim, text=text, module=module)
        for module, texts in claim_texts().items()
        for claim, text in texts.items()
    ]
    return {claim.id: claim for claim in sorted(found, key=_number)}


def _number(claim: ClaimEntry) -> float:
    leading = re.match(r"\d+", claim.id)
    return float(leading[0]) if leading else float("inf")


CLAIMS: dict[str, ClaimEntry] = _claims()
"""Every claim by id; the config refuses an expectation for any other."""


def claims_of(instruments: Iterable[Instrument]) -> list[ClaimEntry]:
    """Return the claims that a study is judged on: the paper's, and those of the instruments that it asks for."""
    modules = {*PAPER, *(module_of(one, "claims") for one in instruments)}
    return [claim for claim in CLAIMS.values() if claim.module in modules]
