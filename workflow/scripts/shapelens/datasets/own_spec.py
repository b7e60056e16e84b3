"""Specs of the user's own test sets: other images of the same classes, and cue-conflict stimuli (torch-free)."""

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from shapelens.spec import ClassName, Spec

PLACEHOLDERS = ("shape", "texture", "number", "any")
"""What may stand in braces in a pattern of file names."""


class OwnImages(Spec):
    """What own test sets have in common."""

    path: str
    """Local folder or archive."""
    classes: dict[ClassName, ClassName] = Field(default_factory=dict)
    """Names of classes that this source calls otherwise than the dataset, such as ``{n02123045: cat}``; several may
    name one class."""
    on_bad_image: Literal["error", "skip"] = "error"
    """What to do with images that cannot be read: stop with a list of all of them, or skip and record them."""


class OwnSet(OwnImages):
    """Other images of the dataset's classes, all of which are measured: ``class/image``; a folder or an archive."""

    transforms: tuple[str, ...] = ()
    """Transformations of the study's ``testsets`` that are made of these images, too, by the name of the test set, such
    as ``saturation-1024``."""


class OwnConflicts(OwnImages):
    """Cue-conflict stimuli: images whose shape is of one class and whose texture is of another.

    Which classes they are, the file names say (``pattern``) or a table (``labels``). Images whose two labels agree are
    left out and counted.
    """

    pattern: str | None = None
    """How file names are read, such as ``{shape}{number}-{texture}{number}``; ``{number}`` stands for digits, ``{any}``
    for anything. With slashes as many folders are read as the pattern has. Without a suffix any suffix fits."""
    labels: str | None = None
    """CSV file with the columns ``file`` (path inside ``path``, or a name that is there once), ``shape`` and
    ``texture``."""

    @field_validator("pattern")
    @classmethod
    def _check_pattern(cls, pattern: str | None) -> str | None:
        if pattern is None:
            return None
        named = re.findall(r"\{([^{}]*)\}", pattern)
        if unknown := [name for name in named if name not in PLACEHOLDERS]:
            raise ValueError(f"'{{{unknown[0]}}}' is unknown; allowed: {', '.join(f'{{{p}}}' for p in PLACEHOLDERS)}")
        if re.search(r"[{}]", re.sub(r"\{[^{}]*\}", "", pattern)):
            raise ValueError(f"'{pattern}' has a brace without its other")
        for cue in ("shape", "texture"):
            if named.count(cue) != 1:
                raise ValueError(f"'{pattern}' must have {{{cue}}} once, and has it {named.count(cue)} times")
        return pattern

    @model_validator(mode="after")
    def _check(self) -> "OwnConflicts":
        if (self.pattern is None) == (self.labels is None):
            raise ValueError(
                "pattern: give either this key, such as '{shape}{number}-{texture}{number}', or `labels`, a CSV file "
                "with the columns file, shape and texture"
            )
        return self


def own_key(own: OwnSet | OwnConflicts) -> str:
    """Return the key of ``testsets`` under which a set of this kind stands."""
    return "own" if isinstance(own, OwnSet) else "own_conflicts"


class OwnSetJob(Spec):
    """What the job that makes an own test set is given."""

    name: str
    """Name of the test set."""
    own: OwnSet | OwnConflicts
    resize: int
    """Length to which the short side of the images is resized."""
    size: int
    """Side of the centre crop, in pixels."""
    data_seed: int
    """Decides the order in which the images are stored."""


class ClassesJob(Spec):
    """What the job is given that names the classes of a study without training images."""

    classes: tuple[str, ...] | None
    """As the config states them; None: those of the own test sets, in alphabetical order."""
    sets: dict[str, OwnSet | OwnConflicts]
