"""Reading the files of many models and seeds."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.files import verified

if TYPE_CHECKING:
    import pandas as pd

Run = tuple[str, int]
"""A model's name and its training seed."""


def run_of(path: str | Path) -> Run:
    """Return model and seed of a path …/{model}/seed{n}.suffix or …/{model}/seed{n}/file."""
    path = Path(path)
    part = path if path.stem.startswith("seed") else path.parent
    return part.parent.name, int(part.stem.removeprefix("seed"))


def read_runs(paths: Iterable[str | Path]) -> dict[Run, "pd.DataFrame"]:
    """Read one Parquet file of each model and seed; raises UserError for one that its record does not name."""
    import pandas as pd

    return {run_of(path): pd.read_parquet(verified(path)) for path in paths}
