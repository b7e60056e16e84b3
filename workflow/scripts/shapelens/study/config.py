"""The typed configuration of a study, composed of the rooms' specs; nothing that computes imports it."""

import math
import re
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError, create_model, model_validator

from shapelens.attacks.spec import Attack, SpatialAttack, beyond_l2
from shapelens.claims.spec import Expectation
from shapelens.datasets.spec import Cues, Dataset, NoTraining, test_side, train_side
from shapelens.errors import UserError
from shapelens.instruments.declare import Instrument
from shapelens.instruments.registry import CLAIMS, INSTRUMENTS, path_of
from shapelens.instruments.robust.spec import Robustness
from shapelens.instruments.saliency.spec import Saliency
from shapelens.instruments.spec import InstrumentSpec
from shapelens.models.spec import Finished, Network
from shapelens.names.display import Display
from shapelens.names.models import ENDS, FAMILIES, JUDGE, MODEL_OF, RULERS, ModelInfo
from shapelens.names.testsets import CLEAN, JOINT, kind_of
from shapelens.spec import Spec
from shapelens.stats.spec import Statistics
from shapelens.study.messages import explain_all, listed, nearest, refusal, shown
from shapelens.study.plain_yaml import problems as plain_problems
from shapelens.study.sections import Compute, Entry, StyleTransfer, TestSets, TrainedModel
from shapelens.training.spec import Training, TrainingRun
from shapelens.transforms.spec import has_interior

TESTSET_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
LONGEST_NAME = 100
RESERVED = ("logs", "benchmarks", "reports")
"""Folders below results/ that are no study's."""
LARGEST_SIDE = 4096
MOST_READINGS = 40_000
"""Test sets times models and seeds of a study: a dry-run of so many takes about a minute."""
STRONGEST = "strongest"
CUE_SETS = ("shape-only", "texture-only", "conflict")
CONFLICT_SETS = ("conflict", "cue-conflict", "hybrid", "texture-exchange")
"""Test sets whose shape and texture are of different classes: drawn, stylised, mixed by frequency or by size."""
RECEPTIVE_FIELD = 9
"""Side of the patches that the texture ruler sees, in pixels: BagNet-9 is the smallest of Brendel and Bethge (2019)."""
SPATIAL_DEFAULTS = ("steps", "random_start")
"""Keys of the study's ``adversary`` that mean the same for a spatial one; a step, for instance, is in pixels there."""
END_RULERS = tuple(MODEL_OF[cue] for cue in ENDS)
"""The two rulers between which every other model lies."""
EXEMPLARS = ("standard", "underfit", "pgd-inf", "pgd-l2")
"""Families whose strongest model stands for them where an instrument measures only a few."""


class _Sections(Spec):
    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, raw: Any) -> Any:
        """Refuse what is no instrument with the nearest name, and one whose section stands elsewhere with its place."""
        if isinstance(raw, Mapping):
            known = list(cls.model_fields)
            problems = [_unknown_instrument(str(key), known) for key in raw if key not in known]
            if problems:
                raise ValueError("\n".join(problems))
        return raw


def _unknown_instrument(name: str, known: list[str]) -> str:
    if (instrument := INSTRUMENTS.get(name)) is not None:
        elsewhere = f"set by the study's key {path_of(instrument)}"
        where = "always measured, with nothing to set" if instrument.always else elsewhere
        return f"{name}: this instrument is {where}; leave it out here"
    said = name if name.isprintable() and name.strip() else repr(name)
    return f"{said}: there is no such instrument; allowed: {', '.join(known) or 'none'}{nearest(name, INSTRUMENTS)}"


if TYPE_CHECKING:
    Instruments = Spec
else:
    # One optional section for every room that has none of its own elsewhere in the config.
    Instruments = create_model(
        "Instruments",
        __base__=_Sections,
        __doc__="Sections of the instruments that a study may ask for; one that is left out is not measured.",
        **{
            name: (one.spec | None, Field(default=None, description=f"{one.title}."))
            for name, one in INSTRUMENTS.items()
            if not one.section and not one.always
        },
    )


class Study(Spec):
    """One dataset, its grid of models, what is measured on them, and what is expected."""

    dataset: Dataset
    """The images."""
    data_seed: int = Field(default=0, ge=0)
    """Seed of drawing, splits, transformations, attacks in evaluation, sampling and bootstrap."""
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1)
    """Training seeds; every trained model is trained once with each."""
    network: Network = Network()
    """The network of every trained model."""
    training: Training = Training()
    """How every model is trained."""
    adversary: dict[str, Any] = Field(default_factory=dict)
    """Keys that every model's ``adversary`` starts from, such as ``{steps: 4}``; a spatial one takes ``steps`` and
    ``random_start`` alone from here."""
    models: dict[str, Entry] = Field(min_length=1)
    """The grid of models by name: ``{}`` for standard training, ``{adversary: …}``, ``{match: strongest}``, or a
    finished model ``{weights: …}``. A model named ``judge`` is no subject of the study: in its features
    instruments compare images that other models made, so its network must be another. Keys of the rulers, such as
    ``calibration-shape: {training: {epochs: 16}}``, stand here too."""
    rulers: bool = True
    """Train the models whose answer is known by construction, ``calibration-texture``, ``calibration-shape`` and, where
    images are not drawn, ``calibration-colour``. Without them, and then without their keys under ``models`` too, no
    claim about a test set can be judged."""
    testsets: TestSets = TestSets()
    """The transformed test sets."""
    stylisation: StyleTransfer = StyleTransfer()
    """How test images are stylised, where ``testsets`` asks for it."""
    robustness: Robustness = Robustness()
    """The attack of robust accuracy."""
    saliency: Saliency = Saliency()
    """The saliency maps."""
    instruments: Instruments = Instruments()
    """Further instruments by name, each with its own keys; ``{}`` measures with the defaults."""
    statistics: Statistics = Statistics()
    """Intervals and verdicts."""
    expected: dict[str, Expectation] = Field(default_factory=dict)
    """Verdicts stated beforehand, by claim: ``yes``, ``no``, ``undecided``, or ``{verdict: …, why: …}``."""
    display: Display = Display()
    """Labels and colours; never part of a result's spec."""
    compute: Compute = Compute()
    """Threads and batches; never part of a result's spec."""

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, raw: Any) -> Any:
        """Fill each model's partial network, training and adversary from the study's, and short expectations."""
        if not isinstance(raw, Mapping):
            return raw
        raw = dict(raw)
        if isinstance(models := raw.get("models"), Mapping):
            models = {str(name): entry for name, entry in models.items()}
            if raw.get("rulers", True) is False:
                models = {name: entry for name, entry in models.items() if name not in RULERS}
            elif models and not _is_test_only(raw):
                models |= _with_rulers(models, raw)
            raw["models"] = {name: _expand_entry(entry, raw) for name, entry in models.items()}
        if isinstance(expected := raw.get("expected"), Mapping):
            raw["expected"] = {
                str(claim): {"verdict": value} if isinstance(value, str | bool) else value
                for claim, value in expected.items()
            }
        return raw

    @model_validator(mode="after")
    def _check(self) -> "Study":
        problems = [
            *self._dataset_problems(),
            *self._model_problems(),
            *self._range_problems(),
            *(
                self._testset_problems()
                or [*self._own_problems(), *self._instrument_problems(), *self._size_problems()]
            ),
            *self._seed_problems(),
            *self._twin_problems(),
            *(
                f"expected.{claim}: no such claim{nearest(claim, CLAIMS)}"
                for claim in self.expected
                if claim not in CLAIMS
            ),
            *(
                f"display.labels.{name}: no such model{nearest(name, self.models)}"
                for name in self.display.labels
                if name not in self.models
            ),
        ]
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _seed_problems(self) -> list[str]:
        problems = [f"seeds: {seed} is below 0" for seed in self.seeds if seed < 0]
        if len(set(self.seeds)) < len(self.seeds):
            problems.append(f"seeds: {list(self.seeds)} names a seed twice")
        return problems

    def _twin_problems(self) -> list[str]:
        """Refuse names that differ in capitals only: where a disk tells none apart they are one folder."""
        problems = []
        for where, names in (("models", list(self.models)), ("testsets", [CLEAN, *self.testsets.own_sources()])):
            known: dict[str, str] = {}
            for name in names:
                if (other := known.setdefault(name.casefold(), name)) != name:
                    problems.append(f"{where}: {other} and {name} differ in capitals only; rename one of them")
        return problems

    def _size_problems(self) -> list[str]:
        """Refuse studies whose planning alone would take minutes."""
        sets, runs = len(self.testset_names()), len(self.runs())
        if sets * runs <= MOST_READINGS:
            return []
        return [
            f"testsets: {sets:,} test sets for {runs:,} models and seeds are {sets * runs:,} to be read; at most "
            f"{MOST_READINGS:,} are planned in one study. Ask for fewer, or share them out among several configs"
        ]

    def _dataset_problems(self) -> list[str]:
        problems = []
        if len(self.name) > LONGEST_NAME:
            problems.append(f"dataset.name: {len(self.name)} letters; at most {LONGEST_NAME} are allowed")
        if self.name.lower() in RESERVED:
            problems.append(f"dataset.name: results/{self.name} is a folder of the workflow's own; choose another name")
        for key, side in (("size", test_side(self.dataset)), ("resize", train_side(self.dataset))):
            if side > LARGEST_SIDE:
                problems.append(f"dataset.{key}: {side} pixels; at most {LARGEST_SIDE} are allowed")
        return problems

    def _model_problems(self) -> list[str]:
        problems = []
        adversarial = [n for n, m in self.models.items() if isinstance(m, TrainedModel) and m.adversary]
        for name, model in self.models.items():
            if not MODEL_NAME.fullmatch(name) or len(name) > LONGEST_NAME:
                shown_name = name if name.isprintable() else repr(name)
                problems.append(
                    f"models.{shown_name}: a name has letters, digits, dots, dashes and underscores only, at most "
                    f"{LONGEST_NAME}, and begins with a letter or digit"
                )
            if not isinstance(model, TrainedModel):
                continue
            if model.match == STRONGEST and self.strongest() is None:
                problems.append(f"models.{name}.match: the study has no model with an ℓ∞ adversary to match")
            elif model.match not in (None, STRONGEST) and model.match not in adversarial:
                problems.append(
                    f"models.{name}.match: {model.match!r} is no adversarially trained model of this study; "
                    f"allowed: {listed([STRONGEST, *adversarial])}{nearest(str(model.match), adversarial)}"
                )
            problems += self._ruler_problems(name, model)
            problems += self._judge_problems(name, model)
            problems += self._phase_problems(name, model)
        return problems

    def _phase_problems(self, name: str, model: TrainedModel) -> list[str]:
        """Refuse trainings that move images whose textures are to keep their phase."""
        if not isinstance(self.dataset, Cues) or self.dataset.phase != "fixed":
            return []
        training = model.training or self.training
        return [
            f"models.{name}.training.{key}: it moves textures whose phase is fixed; set training.{key} to {still}, or "
            "dataset.phase to random"
            for key, moves, still in (("pad", training.pad > 0, "0"), ("flip", training.flip, "false"))
            if moves
        ]

    def _range_problems(self) -> list[str]:
        """Refuse lengths beyond what an image holds: they are meant in another unit, and nothing else would say so."""
        problems, side = [], min(test_side(self.dataset), LARGEST_SIDE)
        sides = {name: _input_side(model, self.network) or side for name, model in self.models.items()}
        for name, model in self.trained().items():
            where, adversary = f"models.{name}.adversary", model.adversary
            if isinstance(adversary, Attack):
                problems += beyond_l2(where, adversary, sides[name])
            elif adversary is not None:
                asked = adversary.budget_reference_side or sides[name]
                if adversary.budget >= asked:
                    problems.append(
                        f"{where}.budget: {adversary.budget:g} pixels is no less than the side of the images, {asked}"
                    )
        largest = max([side, *sides.values()])
        problems += beyond_l2("robustness", self.robustness, largest)
        sets = self.testsets
        radii: dict[str, tuple[float | None, int]] = {
            "testsets.low_pass.radius": (sets.low_pass.radius if sets.low_pass else None, side),
            "testsets.high_pass.radius": (sets.high_pass.radius if sets.high_pass else None, side),
            "testsets.hybrid.radius": (sets.hybrid.radius if sets.hybrid else None, side),
            "robustness.frequency_radius": (self.robustness.frequency_radius, largest),
        }
        problems += [
            f"{key}: {radius:g} is no less than {at / math.sqrt(2):.3g} cycles per image, the highest frequency of "
            f"images of {at}×{at} pixels; allowed: less"
            for key, (radius, at) in radii.items()
            if radius is not None and radius >= at / math.sqrt(2)
        ]
        with_detail = (sets.texture_exchange, sets.stylised, sets.cue_conflict)
        problems += [
            f"testsets.{spec.name.replace('-', '_')}.detail: {spec.detail:g} pixels is no less than the side of the "
            f"images, {side}, so all of them would be detail"
            for spec in with_detail
            if spec is not None and spec.detail is not None and spec.detail >= side
        ]
        return problems

    def _ruler_problems(self, name: str, model: TrainedModel) -> list[str]:
        """Refuse a ruler that could see what it must not, and any other model on a ruler's images."""
        network, cue = model.network or self.network, RULERS.get(name)
        problems = []
        if model.images not in ("train", "retextured") and self.dataset.kind != "cues":
            problems.append(f"models.{name}.images: {model.images} images exist only for dataset.kind: cues")
        if cue != "shape" and model.images != "train":
            problems.append(f"models.{name}.images: {model.images} images are those of calibration-shape")
        if cue == "shape" and model.images == "train":
            problems.append(
                f"models.{name}.images: this ruler's images must not name the class by texture; "
                "allowed: retextured, and on cues shape-only, random-texture"
            )
        if cue in ("texture", "colour") and network.arch != "bagnet":
            problems.append(f"models.{name}.network.arch: {network.arch} could see shape; this ruler must be a bagnet")
        if cue == "colour" and network.receptive_field != (1,):
            problems.append(f"models.{name}.network.receptive_field: this ruler sees single pixels; it must be 1")
        if cue is not None and (model.adversary is not None or model.match is not None):
            problems.append(f"models.{name}: a ruler has no adversary and matches no other model")
        return problems

    def _judge_problems(self, name: str, model: TrainedModel) -> list[str]:
        """Refuse a judge that begins from the weights of a model that it judges."""
        alike = [
            other
            for other, entry in self.trained().items()
            if self.is_subject(other) and (entry.network or self.network) == (model.network or self.network)
        ]
        if name != JUDGE or not alike or not self._has_judged():
            return []
        return [
            f"models.{name}.network: it is that of {alike[0]}, whose first weights it would have with the same seed; a "
            "judge is another network: give it another width or arch"
        ]

    def _has_judged(self) -> bool:
        return any(one.judged and self._is_asked_for(one) for one in INSTRUMENTS.values())

    def _testset_problems(self) -> list[str]:
        side = min(test_side(self.dataset), LARGEST_SIDE)
        problems = [
            f"testsets.patch_shuffle: {k} does not divide the side of the test images, {side}; "
            f"allowed: {', '.join(str(d) for d in range(1, side + 1) if side % d == 0)}"
            for k in self.testsets.patch_shuffle
            if k < 1 or side % k
        ]
        problems += [
            f"testsets.patch_frame: {k} does not cut test images of side {side} into patches of which more "
            f"than half is inside their frames; allowed: {', '.join(map(str, _framed(side))) or 'none'}"
            for k in self.testsets.patch_frame
            if k not in _framed(side)
        ]
        problems += [f"testsets.saturation: {p:g} is not above 0" for p in self.testsets.saturation if not p > 0]
        hybrid = self.testsets.hybrid
        if (
            not self.test_only
            and hybrid is not None
            and hybrid.radius is None
            and not set(END_RULERS) <= self.models.keys()
        ):
            problems.append(
                "testsets.hybrid.radius: the rulers choose it, and this study has none; give a radius in cycles per "
                "image, or leave `rulers: false` out"
            )
        if problems:
            return problems
        # Names round: two levels that differ in the seventh digit would be one folder.
        levels = [f"{p:g}" for p in self.testsets.saturation]
        lists: dict[str, list[str]] = {
            "testsets.saturation": levels,
            "testsets.patch_shuffle": list(map(str, self.testsets.patch_shuffle)),
            "testsets.patch_frame": list(map(str, self.testsets.patch_frame)),
            "saliency.methods": list(self.saliency.methods),
        }
        problems += [
            f"{key}: {value} is given more than once"
            for key, values in lists.items()
            for value in dict.fromkeys(values)
            if values.count(value) > 1
        ]
        return problems

    def _own_problems(self) -> list[str]:
        """Refuse names of own sets that could be taken for the workflow's, and transformations that it lacks."""
        sets, problems = self.testsets, []
        for key, names in (("own", sets.own), ("own_conflicts", sets.own_conflicts)):
            for name in names:
                where = f"testsets.{key}.{name if name.isprintable() else repr(name)}"
                if not TESTSET_NAME.fullmatch(name) or len(name) > LONGEST_NAME:
                    problems.append(
                        f"{where}: a name has letters, digits, dashes and underscores only, at most {LONGEST_NAME}, "
                        "and begins with a letter"
                    )
                elif (kind := kind_of(name)) is not None:
                    problems.append(
                        f"{where}: names that begin with {kind} are those of the workflow's own sets; choose another, "
                        f"such as own-{name}"
                    )
        problems += [
            f"testsets.own_conflicts.{name}: testsets.own has a set of this name, too; give each its own"
            for name in sets.own_conflicts
            if name in sets.own
        ]
        allowed = [name for name in sets.transforms() if name != CLEAN]
        for name, own in sets.own.items():
            problems += [
                f"testsets.own.{name}.transforms: {what!r} is no transformation of this study's testsets; allowed: "
                f"{listed(allowed) or 'none, since testsets asks for none (such as saturation: [1024])'}"
                f"{nearest(what, allowed)}"
                for what in own.transforms
                if what not in allowed
            ]
            problems += [
                f"testsets.own.{name}.transforms: {what} is given more than once"
                for what in dict.fromkeys(own.transforms)
                if own.transforms.count(what) > 1
            ]
        return [*problems, *(self._test_only_problems() if self.test_only else ())]

    def _test_only_problems(self) -> list[str]:
        """Refuse what needs training images, or clean test images, in a study that has neither."""
        sets, reason = self.testsets, "this study has no training images (dataset.kind: test_only)"
        problems = [
            f"models.{name}: {reason}, so it cannot be trained; only finished models, {{weights: …}}, are measured"
            for name in self.trained()
        ]
        if self.rulers and "rulers" in self.model_fields_set:
            problems.append(f"rulers: {reason} to train them on; leave the key out")
        problems += [
            f"models.{name}.normalisation: {reason} whose channel statistics `dataset` could take; name those of the "
            "model's own training"
            for name, model in self.finished().items()
            if getattr(model, "normalisation", None) == "dataset"
        ]
        if not sets.own_sources():
            problems.append(f"testsets: {reason}, so it needs testsets.own or testsets.own_conflicts")
        made = (*sets.mixed(), *sets.stylisations())
        problems += [
            f"testsets.{name.replace('-', '_')}: it is made of clean test images, and {reason}; give images under "
            "testsets.own, or stimuli under testsets.own_conflicts"
            for name in made
        ]
        asked = {what for own in sets.own.values() for what in own.transforms}
        problems += [
            f"testsets: no own set asks for {name}, and {reason}; name it in testsets.own.NAME.transforms, or leave it "
            "out"
            for name in sets.transforms()
            if name not in (CLEAN, *asked)
        ]
        problems += [
            f"{path_of(one)}: it reads clean test images, and {reason}; leave it out"
            for one in INSTRUMENTS.values()
            if one.testsets != "all" and self._is_asked_for(one)
        ]
        return problems

    def _is_asked_for(self, instrument: Instrument) -> bool:
        """Tell whether the config itself has a section of an instrument."""
        if instrument.section:
            return instrument.section in self.model_fields_set
        return getattr(self.instruments, instrument.name, None) is not None

    def _instrument_problems(self) -> list[str]:
        """Name test sets and models of instruments' sections that the study does not have."""
        problems = []
        side = min(test_side(self.dataset), LARGEST_SIDE)
        largest = max(side, *(_input_side(model, self.network) or side for model in self.models.values()))
        for instrument in self.instruments_asked():
            path, section = path_of(instrument), self.section(instrument)
            # What is read of chosen sets is read of the same images in each: own sets hold others.
            allowed = {"testsets": list(self.made_sets()), "models": self._measurable(instrument)}
            problems += section.problems(path, largest) if section is not None else []
            for key, known in allowed.items():
                named = getattr(section, key, ())
                problems += [
                    f"{path}.{key}: {name!r} is no {key[:-1].replace('testset', 'test set')} of this study"
                    + (" that it can measure" if key == "models" else "")
                    + f"; allowed: {listed(known)}{nearest(name, known)}"
                    for name in (named if isinstance(named, tuple) else ())
                    if name not in known
                ]
        return [*problems, *self._background_problems()]

    def _background_problems(self) -> list[str]:
        """Refuse a background of more training images than are drawn; of others the job counts them."""
        saliency, drawn = self.saliency, self.dataset
        asked = saliency.expected_gradients.background
        if not saliency.reads_training() or not isinstance(drawn, Cues) or asked <= drawn.train:
            return []
        return [
            f"saliency.expected_gradients.background: {asked} images asked for, but there are {drawn.train} training "
            f"images (dataset.train); allowed: 2 to {drawn.train}"
        ]

    @property
    def test_only(self) -> bool:
        """Whether the study has no training images, but finished models and own test sets alone."""
        return isinstance(self.dataset, NoTraining)

    @property
    def name(self) -> str:
        """Folder of the study's results."""
        return self.dataset.name

    def strongest(self) -> str | None:
        """Return the name of the adversarial model of the largest ℓ∞ eps by PGD, or None."""
        return self._strongest

    @cached_property
    def _strongest(self) -> str | None:
        candidates = {
            name: model.adversary.eps
            for name, model in self.models.items()
            if isinstance(model, TrainedModel)
            and isinstance(model.adversary, Attack)
            and model.adversary.family == "pgd-inf"
        }
        return max(candidates, key=lambda name: candidates[name]) if candidates else None

    def trained(self) -> dict[str, TrainedModel]:
        """Return the models that the workflow trains."""
        return {name: model for name, model in self.models.items() if isinstance(model, TrainedModel)}

    def finished(self) -> dict[str, Finished]:
        """Return the models that are only measured."""
        return {name: model for name, model in self.models.items() if isinstance(model, Finished)}

    def is_calibration(self, name: str) -> bool:
        """Tell whether a model is a ruler, whose answer is known by construction."""
        return name in RULERS

    def is_subject(self, name: str) -> bool:
        """Tell whether a model is one that the study is about: no ruler, and not the judge."""
        return not self.is_calibration(name) and name != JUDGE

    def runs(self) -> list[tuple[str, int]]:
        """Return (model, seed) of every run: trained models with each seed, finished models once, as seed 0."""
        return [(name, seed) for name, model in self.models.items() for seed in self._seeds(model)]

    def _seeds(self, model: Entry) -> tuple[int, ...]:
        return self.seeds if isinstance(model, TrainedModel) else (0,)

    def matched_to(self, name: str) -> str | None:
        """Return the model that a matched model is matched to, ``strongest`` resolved."""
        model = self.models[name]
        match = model.match if isinstance(model, TrainedModel) else None
        return self.strongest() if match == STRONGEST else match

    def training_run(self, name: str, seed: int) -> TrainingRun:
        """Return everything that decides one trained model."""
        model = self.models[name]
        if not isinstance(model, TrainedModel):
            raise KeyError(name)
        return TrainingRun(
            model=name,
            seed=seed,
            images=model.images,
            network=model.network or self.network,
            training=model.training or self.training,
            adversary=model.adversary,
            match=self.matched_to(name),
        )

    def section(self, instrument: Instrument) -> InstrumentSpec | None:
        """Return an instrument's section of the config, defaults filled in; None where it is not asked for.

        Without clean test images only instruments that read every test set are.
        """
        if self.test_only and instrument.testsets != "all":
            return None
        if instrument.always:
            return instrument.spec()
        if instrument.section == "robustness":
            return self.robustness_resolved()
        found: InstrumentSpec | None = getattr(
            self if instrument.section else self.instruments, instrument.section or instrument.name
        )
        return found

    def instruments_asked(self) -> list[Instrument]:
        """Return the instruments that this study's models are measured with."""
        return [instrument for instrument in INSTRUMENTS.values() if self.section(instrument) is not None]

    def measured_with(self, instrument: Instrument) -> list[str]:
        """Return the models that an instrument measures, in the order of the config; none where it is not asked for."""
        section = self.section(instrument)
        if section is None:
            return []
        able = self._measurable(instrument)
        if section.models == "all":
            return able
        chosen = self.exemplars() if section.models == "exemplars" else section.models
        return [model for model in able if model in chosen]

    def _measurable(self, instrument: Instrument) -> list[str]:
        """Return the models of the families that an instrument can measure."""
        families = instrument.families or tuple(family for family in FAMILIES if family not in ("calibration", "judge"))
        return [name for name in self.models if self.family(name) in families]

    def exemplars(self) -> list[str]:
        """Return the standard and the underfit model and the strongest PGD model of each norm; all where none is there.

        A study of finished models alone has none of them.
        """
        found: dict[str, str] = {}
        for info in sorted(self.grid(), key=lambda info: info.strength):
            found[info.family] = info.name
        chosen = [found[family] for family in EXEMPLARS if family in found]
        return chosen or list(self.models)

    def splits(self) -> list[str]:
        """Return the splits that are made, the single-cue ones only where a model is trained on them."""
        extra = sorted({m.images for m in self.trained().values()} - {"train", "retextured"})
        return ["train", "validation", "test"] + [f"{part}-{cue}" for cue in extra for part in ("train", "validation")]

    def cue_sets(self) -> list[str]:
        """Return the names of the cue sets: on ``cues`` only."""
        return list(CUE_SETS) if self.dataset.kind == "cues" else []

    def testset_names(self) -> list[str]:
        """Return the names of all test sets, ``clean`` first."""
        return list(self._testset_names)

    @cached_property
    def _testset_names(self) -> tuple[str, ...]:
        return (*self.made_sets(), *self.own_sets(), *self.testsets.own_conflicts)

    def made_sets(self) -> tuple[str, ...]:
        """Return the names of the test sets that are made of the dataset's test images, or drawn; ``clean`` first."""
        if self.test_only:
            return ()
        sets = self.testsets
        return (*sets.transforms(), *sets.stylisations(), *sets.mixed(), *self.cue_sets())

    def own_sets(self) -> list[str]:
        """Return the names of the user's own sets of other images, each followed by its transformations."""
        return [
            name
            for own, spec in self.testsets.own.items()
            for name in (own, *(f"{own}{JOINT}{what}" for what in spec.transforms))
        ]

    def conflict_sets(self) -> list[str]:
        """Return the names of the test sets whose cues conflict, the user's own left out: these no ruler chooses."""
        return [name for name in CONFLICT_SETS if name in self._testset_names]

    def family(self, name: str) -> str:
        """Return the family of a model, by which it is grouped and coloured."""
        model = self.models[name]
        if self.is_calibration(name):
            return "calibration"
        if name == JUDGE:
            return "judge"
        if isinstance(model, Finished):
            return "finished"
        if model.match is not None:
            return "underfit"
        return model.adversary.family if model.adversary else "standard"

    def grid(self) -> list[ModelInfo]:
        """Return what statistics and figures need to know of each model, in the order of the config."""
        return list(self._grid)

    @cached_property
    def _grid(self) -> tuple[ModelInfo, ...]:
        infos = []
        for name, model in self.models.items():
            adversary = model.adversary if isinstance(model, TrainedModel) else None
            infos.append(
                ModelInfo(
                    name=name,
                    label=self.display.labels.get(name, name),
                    family=self.family(name),
                    eps=adversary.eps if isinstance(adversary, Attack) else None,
                    budget=adversary.budget if isinstance(adversary, SpatialAttack) else None,
                    seeds=self._seeds(model),
                )
            )
        return tuple(infos)

    def robustness_resolved(self) -> Robustness:
        """Return the attack of robust accuracy with its frequency radius filled in."""
        if self.robustness.frequency_radius is not None:
            return self.robustness
        low_pass = self.testsets.low_pass
        radius = low_pass.radius if low_pass else test_side(self.dataset) / 8
        return self.robustness.model_copy(update={"frequency_radius": radius})


def _with_rulers(models: Mapping[str, Any], study: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rulers' entries, with what the config itself says of them."""
    dataset, training = study.get("dataset"), study.get("training")
    drawn = isinstance(dataset, Mapping) and dataset.get("kind") == "cues"
    # Nobody asks how a ruler came about.
    own_training = {"training": {"snapshots": ()}} if isinstance(training, Mapping) and "snapshots" in training else {}

    def bagnet(fields: tuple[int, ...]) -> dict[str, Any]:
        network = {"arch": "bagnet", "width": 32, "receptive_field": fields, "weights": None}
        return {"network": network, **own_training}

    made: dict[str, Any] = {
        "calibration-texture": bagnet((RECEPTIVE_FIELD,)),
        "calibration-shape": {"images": "shape-only" if drawn else "retextured", **own_training},
    }
    if not drawn:
        made["calibration-colour"] = bagnet((1,))
    own = {name: entry for name, entry in models.items() if name in RULERS and isinstance(entry, Mapping)}
    return {name: _merge(made.get(name, {}), own.get(name, {})) for name in {**made, **own}}


def _input_side(model: Entry, common: Network) -> int | None:
    """Return the side at which a model gets its images, None: as stored."""
    return model.input_size if isinstance(model, Finished) else (model.network or common).input_size


def _is_test_only(study: Mapping[str, Any]) -> bool:
    dataset = study.get("dataset")
    return isinstance(dataset, Mapping) and dataset.get("kind") == "test_only"


def _framed(side: int) -> list[int]:
    """Return the patches per side into which a side can be cut with more than half inside their frames."""
    return [k for k in range(2, side + 1) if side % k == 0 and has_interior(side, k)]


def _expand_entry(entry: Any, study: Mapping[str, Any]) -> Any:
    if entry is None:
        return {}
    if not isinstance(entry, Mapping) or "weights" in entry:
        return entry
    entry = dict(entry)
    for key in ("network", "training", "adversary"):
        common = study.get(key)
        if isinstance(entry.get(key), Mapping) and isinstance(common, Mapping):
            if key == "adversary" and "kind" in entry[key]:
                common = {name: value for name, value in common.items() if name in SPATIAL_DEFAULTS}
            entry[key] = {**common, **entry[key]}
    return entry


def load(raw: Mapping[str, Any]) -> dict[str, Study]:
    """Validate a config and return its studies by name.

    A config is one study, or has ``studies``, each of which overrides keys of what stands beside it.
    Raises UserError that names every wrong key by its path, with the allowed values and the nearest spelling.
    """
    if problems := plain_problems(raw):
        raise refusal(problems)
    if "studies" not in raw:
        study = _validate(raw, "")
        return {study.name: study}
    common = {key: value for key, value in raw.items() if key != "studies"}
    parts = raw["studies"]
    if not isinstance(parts, Mapping) or not parts:
        raise UserError("studies: expected a mapping of at least one name to keys of a study")
    studies: dict[str, Study] = {}
    for name, part in parts.items():
        if not isinstance(part, Mapping | None):
            raise UserError(f"studies.{name}: expected a mapping of keys of a study, not {shown(part)}")
        study = _validate(_merge(common, part or {}), f"studies.{name}.")
        if study.name in studies:
            raise UserError(f"studies.{name}.dataset.name: {study.name!r} is used twice; give each study its own name")
        studies[study.name] = study
    return studies


def _merge(base: Any, override: Any) -> Any:
    if isinstance(base, Mapping) and isinstance(override, Mapping):
        merged = {key: _merge(base.get(key), value) for key, value in override.items()}
        return {**base, **merged}
    return override


def _validate(raw: Mapping[str, Any], prefix: str) -> Study:
    try:
        return Study.model_validate(raw)
    except ValidationError as error:
        raise refusal(explain_all(error.errors(), prefix)) from None
