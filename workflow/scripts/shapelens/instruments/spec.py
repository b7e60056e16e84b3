"""What every instrument's section of the config has, and what its jobs are given (torch-free)."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from shapelens.datasets.spec import Cues
from shapelens.spec import Spec


class InstrumentSpec(Spec):
    """An instrument's section of the config."""

    models: Literal["all", "exemplars"] | tuple[str, ...] = Field(default="exemplars")
    """Models that are measured, by name; ``all``; or ``exemplars``: the standard and the underfit model, and the
    strongest of each kind of adversary."""

    undeciding: ClassVar[frozenset[str]] = frozenset({"models"})
    """Keys that decide no row, such as how many images a sheet shows: a change of them measures nothing anew."""

    def reads_training(self) -> bool:
        """Tell whether the training images are read, too."""
        return False

    def loads(self) -> tuple[str, ...]:
        """Return the dotted names of modules that are loaded by name for what the section asks.

        Their code counts where they are asked for, and makes nothing else stale.
        """
        return ()

    def problems(self, path: str, side: int) -> list[str]:
        """Return what is wrong with the section for images of a side, by key; ``path``: of the section."""
        return []

    def deciding(self) -> dict[str, Any]:
        """Return the keys that decide what is measured, as plain data."""
        return self.model_dump(mode="json", exclude=set(self.undeciding))


class MeasurementJob(Spec):
    """What the job that measures one model with one instrument is given."""

    instrument: str
    """Name of the instrument."""
    settings: dict[str, Any]
    """Its section of the config, less what decides no row."""
    data_seed: int
    testsets: tuple[str, ...]
    """Test sets that are read."""
    cues: Cues | None = None
    """How the images were drawn, for an instrument that measures where their silhouettes are; None: no such instrument,
    or images that nobody has drawn."""


class MeansJob(Spec):
    """What the job that averages an instrument's rows is given."""

    dataset: str
    """Name of the study."""
    keys: tuple[str, ...]
    """Columns that tell rows apart besides test set and image."""
    metrics: tuple[str, ...]
    """Columns that are averaged."""
    confidence: float
    """Coverage of the intervals."""
    shares: tuple[str, ...] = ()
    """Those of the metrics that lie in [0, 1], beyond which no interval goes."""
