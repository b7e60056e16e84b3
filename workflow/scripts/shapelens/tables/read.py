"""Reading the files of many models and seeds."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

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
    """Read one Parquet file of each model and seed."""
    import pandas as pd

    return {run_of(path): pd.read_parquet(path) for path in paths}
