"""What a room declares of its instrument: a list, not a framework. Torch-free, and imported by no job that measures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from shapelens.instruments.spec import InstrumentSpec


@dataclass(frozen=True)
class Table:
    """One table, written as CSV, Markdown, LaTeX and HTML."""

    id: str
    title: str
    columns: tuple[tuple[str, str, str], ...]
    """(metric, test set, heading) of the wide form: a test set that ends in ``-*`` stands for every level of that
    transformation, in order."""
    caption: str = ""
    """Text of the report; ``planning.for_readers.Numbers`` lists the live numbers that may stand in it, in braces."""
    needs: str = "accuracy"
    """The tidy means that it selects from: ``accuracy``, ``agreement``, ``known_answer``, ``ruler``,
    ``seed_agreement``, or an instrument's name."""
    published: tuple[int, ...] = ()
    """The tables of Zhang and Zhu (2019) that it stands beside."""
    percent: bool = True
    """Whether its numbers are shares, printed in per cent."""


@dataclass(frozen=True)
class Figure:
    """One figure, drawn as PNG and PDF."""

    id: str
    title: str
    shows: str
    """A few words for the report's list."""
    category: Literal["Accuracy", "Images", "Saliency", "Optimised images"]
    """Section of the report."""
    draw: str
    """Function of ``shapelens.plots`` that draws it, as ``module:function``."""
    needs: tuple[str, ...]
    """Its inputs: ``images`` (of its test sets), ``styles``, ``classes``, ``accuracy``, ``per_class``,
    ``known_answer``; an instrument's name for its tidy means, ``NAME.rows`` for what it measured of each image,
    ``NAME.arrays`` for what it left to look at."""
    testsets: tuple[str, ...]
    """Test sets that it shows; one that ends in ``*`` is a prefix. Those that a study lacks are left out."""
    caption: str = ""
    """Text of the report; ``planning.for_readers.Numbers`` lists the live numbers that may stand in it, in braces."""
    animated: bool = False
    """Whether the module that draws it has a function ``NAME_frames``, too, of which an animated GIF is made."""
    sheet: bool = False
    """Whether the PNG is kept to 1200 pixels."""
    method: str = ""
    """The attribution method whose maps it shows; a study without that method lacks the figure."""
    each_map: bool = False
    """Whether it stands for one figure of each attribution method and test set that a study has maps of; ``{method}``
    and ``{testset}`` in its id and ``shows``, ``{method_title}`` and ``{testset_title}`` in its title, are theirs."""
    families: tuple[str, ...] = ()
    """Families of models that the grid must have."""
    drawn: bool = False
    """Whether it says something of drawn images alone, such as where their silhouettes lie."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What a form that serves several figures is told, such as the metric: a key of ``plots.spec``."""


@dataclass(frozen=True)
class Instrument:
    """Something that is measured on a finished model, one row per image."""

    name: str
    """Name of its room, its rule, and its folder below ``results/{dataset}``."""
    title: str
    doing: str
    """Begins the message of its jobs, such as ``Attacking``."""
    spec: type[InstrumentSpec]
    """Its section of the config."""
    metrics: Mapping[str, str] = field(default_factory=dict)
    """Columns of its rows that are averaged over images, with their headings."""
    shares: tuple[str, ...] = ()
    """Those of them that lie in [0, 1], beyond which no interval goes."""
    keys: tuple[str, ...] = ()
    """Columns besides test set and image that tell rows apart, such as ``method``."""
    testsets: Literal["all", "clean", "chosen"] = "chosen"
    """Test sets that it reads: every one, the clean one, or those that its section names and ``clean``."""
    families: tuple[str, ...] | None = None
    """Families of models that it is measured on; None: all but calibration models."""
    section: str = ""
    """Key of the study that holds its section; empty: its own name, under ``instruments``."""
    always: bool = False
    """Whether it is measured in every study; its section then has nothing to set and no place in the config."""
    finds_silhouettes: bool = False
    """Whether its job is told how drawn images were drawn, to know where their silhouettes are."""
    has_arrays: bool = False
    """Whether it also leaves arrays to look at (.npz)."""
    judged: bool = False
    """Whether it compares images in the features of the study's model ``judge``, where there is one."""
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    claims: Mapping[str, str] = field(default_factory=dict)
    """Text of each of its claims by id; ``claims.py`` of the room has a function ``claim_ID`` for each."""
