"""The sections of a study's config that no room owns: its models, test sets, stylisation, compute."""

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from shapelens.attacks.spec import AnyAttack
from shapelens.datasets.own_spec import OwnConflicts, OwnSet
from shapelens.models.spec import Finished, Network
from shapelens.names.testsets import JOINT
from shapelens.spec import Number, Spec
from shapelens.stylisation.spec import CueConflict, DrawnStyles, StyleNetworks, Styles, Stylised
from shapelens.training.spec import Training
from shapelens.transforms.spec import (
    Bilateral,
    ChannelShuffle,
    Clean,
    GaussianBlur,
    Greyscale,
    HighPass,
    Hybrid,
    LowPass,
    PatchFrame,
    PatchShuffle,
    RandomFilter,
    Saturation,
    TextureExchange,
    Transform,
)


class TrainedModel(Spec):
    """A model that the workflow trains."""

    adversary: AnyAttack | None = None
    """Adversary of its training, ``{eps: …}`` or ``{kind: spatial, budget: …}``; None: standard training."""
    match: str | None = None
    """Train like ``standard``, but stop where the clean validation accuracy of the named model is reached;
    ``strongest`` names the adversarial model of the largest ℓ∞ eps."""
    images: Literal["train", "retextured", "shape-only", "random-texture"] = "train"
    """Training images; all but the first are those of ``calibration-shape``: ``retextured``, their texture replaced at
    random, and on ``cues`` ``shape-only``, the silhouettes alone, or ``random-texture``, under a texture of any class,
    for textures that are stronger than the shapes."""
    network: Network | None = None
    """Keys that differ from the study's ``network``."""
    training: Training | None = None
    """Keys that differ from the study's ``training``."""

    @model_validator(mode="after")
    def _check(self) -> "TrainedModel":
        if self.match is not None and self.adversary is not None:
            raise ValueError("match: a matched model has no adversary; leave one of the two keys out")
        return self


def _entry_kind(value: Any) -> str:
    # A wrong spelling of it is told with the keys of a finished model.
    has_weights = (
        bool(get_close_matches("weights", map(str, value), n=1, cutoff=0.8))
        if isinstance(value, Mapping)
        else isinstance(value, Finished)
    )
    return "finished" if has_weights else "trained"


Entry = Annotated[
    Annotated[TrainedModel, Tag("trained")] | Annotated[Finished, Tag("finished")], Discriminator(_entry_kind)
]


class TestSets(Spec):
    """The transformed test sets; ``clean`` and, on ``cues``, the cue sets are always there."""

    __test__ = False
    saturation: tuple[Number, ...] = ()
    """Saturation levels; 2 is the identity."""
    patch_shuffle: tuple[int, ...] = ()
    """Patches per side; each must divide the side of the test images."""
    low_pass: LowPass | None = None
    """Low-pass filter."""
    high_pass: HighPass | None = None
    """High-pass filter."""
    random_filter: RandomFilter | None = None
    """Random Fourier filter."""
    gaussian_blur: GaussianBlur | None = None
    """Gaussian blur: suppresses texture."""
    bilateral: Bilateral | None = None
    """Bilateral filter: suppresses faint texture and keeps edges."""
    greyscale: Greyscale | None = None
    """Luma in every channel: suppresses colour; ``{}``."""
    channel_shuffle: ChannelShuffle | None = None
    """Red, green and blue exchanged: suppresses the meaning of colour; ``{}``."""
    patch_frame: tuple[int, ...] = ()
    """Patches per side of the control of the patch shuffle, in which only the seams are shuffled; each must divide the
    side of the test images and leave more than half of it inside the frames."""
    hybrid: Hybrid | None = None
    """The low frequencies of a test image with the high ones of one of another class; ``{}`` for the defaults."""
    texture_exchange: TextureExchange | None = None
    """A test image with its detail exchanged for noise like that of one of another class; ``{}`` for the defaults."""
    stylised: Stylised | None = None
    """Test images in the style of other images; ``{}`` for the defaults."""
    cue_conflict: CueConflict | None = None
    """Test images in the style of a test image of another class; ``{}`` for the defaults."""
    own: dict[str, OwnSet] = Field(default_factory=dict)
    """Other images of the same classes by the name of the test set, such as ``sketch: {path: pacs/sketch}``; all of
    them are measured."""
    own_conflicts: dict[str, OwnConflicts] = Field(default_factory=dict)
    """Own cue-conflict stimuli by the name of the test set, such as ``geirhos: {path: stimuli, pattern:
    "{shape}{number}-{texture}{number}"}``."""

    def transforms(self) -> dict[str, Transform]:
        """Return every transformed set by name, ``clean`` first."""
        return dict(self._transforms)

    @cached_property
    def _transforms(self) -> dict[str, Transform]:
        # Asked for by every job of a test set: made each time, thousands of levels would be made millions of times.
        specs: list[Transform] = [Clean()]
        specs += [Saturation(level=level) for level in self.saturation]
        specs += [PatchShuffle(k=k) for k in self.patch_shuffle]
        filters = (self.low_pass, self.high_pass, self.random_filter, self.gaussian_blur, self.bilateral)
        specs += [spec for spec in (*filters, self.greyscale, self.channel_shuffle) if spec is not None]
        specs += [PatchFrame(k=k) for k in self.patch_frame]
        return {spec.name: spec for spec in specs}

    def own_transforms(self) -> dict[str, Transform]:
        """Return every transformation of an own set by the name of the test set, such as ``sketch+saturation-8``."""
        known = self.transforms()
        return {
            f"{name}{JOINT}{what}": known[what]
            for name, own in self.own.items()
            for what in own.transforms
            if what in known
        }

    def own_sources(self) -> dict[str, OwnSet | OwnConflicts]:
        """Return the own sets that are read from the user's files, by name."""
        return {**self.own, **self.own_conflicts}

    def mixed(self) -> dict[str, Hybrid | TextureExchange]:
        """Return the sets that are mixed of two images each without a network, by name."""
        return {spec.name: spec for spec in (self.hybrid, self.texture_exchange) if spec is not None}

    def stylisations(self) -> dict[str, Stylised | CueConflict]:
        """Return the sets that style networks make, by name."""
        return {spec.name: spec for spec in (self.stylised, self.cue_conflict) if spec is not None}


class StyleTransfer(Spec):
    """Where styles come from, and the networks that put them on."""

    styles: Styles = DrawnStyles(kind="drawn")
    """The style images."""
    networks: StyleNetworks = StyleNetworks()
    """Encoder and decoder."""

    @model_validator(mode="before")
    @classmethod
    def _draw_by_default(cls, raw: Any) -> Any:
        """Take styles without a kind and without a path for drawn ones, as they are where the section is left out."""
        styles = raw.get("styles") if isinstance(raw, Mapping) else None
        if isinstance(styles, Mapping) and not {"kind", "path"} & styles.keys():
            return {**raw, "styles": {"kind": "drawn", **styles}}
        return raw


class Compute(Spec):
    """How work is laid out on the machine; never part of a result's spec."""

    threads: int = Field(default=1, ge=1)
    """Threads of a job that trains or measures a model. Two one-thread jobs do more than one two-thread job."""
    batch: int = Field(default=256, ge=1)
    """Images per batch in evaluation, attack and attribution."""
    gpu: int = Field(default=1, ge=0)
    """GPUs that such a job leases, where one is there and ``--resources gpu=…`` allows it; each job computes on one, so
    more than 1 only keeps the others free of jobs. 0: the CPU."""
    jobs_per_gpu: int = Field(default=1, ge=1)
    """Jobs that may share one GPU, for models too small to fill it."""
    mem_mb: int = Field(default=2000, ge=100)
    """Memory that such a job books."""
    runtime: int = Field(default=240, ge=1)
    """Minutes that such a job books."""
