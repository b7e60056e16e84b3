"""Reading the files of many models and seeds."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.artefacts.files import verified
from shapelens.stats.paired import Run

if TYPE_CHECKING:
    import pandas as pd


def run_of(path: str | Path) -> Run:
    """Return model and seed of a path …/{model}/seed{n}.suffix or …/{model}/seed{n}/file."""
    path = Path(path)
    part = path if path.stem.startswith("seed") else path.parent
    return part.parent.name, int(part.stem.removeprefix("seed"))


class Runs(Mapping[Run, "pd.DataFrame"]):
    """Parquet files by model and seed, each read when it is asked for and not kept: together they may be large."""

    def __init__(self, paths: Mapping[Run, Path]) -> None:
        self.paths = dict(paths)

    def __getitem__(self, run: Run) -> "pd.DataFrame":
        import pandas as pd

        return pd.read_parquet(self.paths[run])

    def __iter__(self) -> Iterator[Run]:
        return iter(self.paths)

    def __len__(self) -> int:
        return len(self.paths)

    def __contains__(self, run: object) -> bool:
        return run in self.paths


def read_runs(paths: Iterable[str | Path]) -> Runs:
    """Open one Parquet file of each model and seed; raises UserError for one that its record does not name."""
    return Runs({run_of(path): verified(path) for path in paths})


def read_instruments(paths: Iterable[str | Path]) -> dict[str, Runs]:
    """Open the files …/{instrument}/{model}/seed{n}.parquet of several instruments, by instrument."""
    found: dict[str, list[Path]] = {}
    for path in map(Path, paths):
        found.setdefault(path.parent.parent.name, []).append(path)
    return {name: read_runs(files) for name, files in found.items()}
