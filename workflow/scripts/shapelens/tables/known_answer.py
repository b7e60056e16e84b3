"""The wide form of predicted and measured shape biases: a row per model."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shapelens.instruments.declare import Table
from shapelens.names.models import ModelInfo, seeds_text
from shapelens.names.words import dataset_title
from shapelens.stats.tidy import MEAN, dataset_of
from shapelens.tables.wide import Cell, Entry, WideTable

if TYPE_CHECKING:
    import pandas as pd


def lay_out_known_answer(table: Table, frame: "pd.DataFrame", models: Sequence[ModelInfo]) -> WideTable:
    """Return the wide form of predicted and measured shape biases.

    Args:
        table: its declaration.
        frame: as ``stats.known_answer.known_answers`` returns it.
        models: the grid, for labels and seeds.
    """
    rows: list[tuple[Entry, ...]] = []
    known = [model for model in models if model.name in set(frame["model"])]
    for model in known:
        own = frame[frame["model"] == model.name]
        mean, single = own[own["seed"].astype(str) == MEAN].iloc[0], own[own["seed"].astype(str) != MEAN]
        spread = (float(single["value"].min()), float(single["value"].max()))
        numbers = (Cell(float(mean["predicted"]), digits=3), Cell(float(mean["value"]), *spread, digits=3))
        passed = single["passed"].astype(str) == "True"
        gate = "passed" if passed.all() else f"missed in {(~passed).sum()} of {len(passed)} seeds"
        rows.append((model.title, *numbers, Cell(float(mean["tolerance"]), digits=2), gate))
    note = (
        "In brackets the least and the greatest of the training seeds. A model passes where every seed lies within the "
        f"tolerance of its prediction; {seeds_text(known)}."
    )
    return WideTable(
        f"{table.title}: {dataset_title(dataset_of(frame))}",
        ("Model", "predicted", "measured", "tolerance", "gate"),
        tuple(rows),
        notes=(note,),
    )
