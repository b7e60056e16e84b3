"""What readers see of a run: the report's captions with their live numbers, and the list of its tables and figures."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from string import Formatter
from typing import Any

from shapelens.artefacts.arithmetic import arithmetic_of, arithmetic_words
from shapelens.artefacts.files import read_json
from shapelens.artefacts.finished import assumed_of, assumed_words
from shapelens.datasets.class_folders import first_few
from shapelens.datasets.own_words import said_of
from shapelens.errors import UserError
from shapelens.instruments.declare import Figure
from shapelens.instruments.registry import TABLES
from shapelens.names.testsets import JOINT
from shapelens.names.text import visible
from shapelens.names.words import method_title, name_of_testset
from shapelens.planning.files import Files
from shapelens.planning.names import shown_testsets, table_of
from shapelens.planning.studies import Studies
from shapelens.study.config import Study

METHOD_NOTES = {
    "smoothgrad": "SmoothGrad averages {samples} noisy copies per image, σ = {sigma} of its range.",
    "integrated-gradients": "Integrated Gradients average {points} gradients on the way from {baselines} to the image.",
    "expected-gradients": "{expected_note}",
}
"""What the caption of a method's maps says of its settings."""
TABLE_NOTE = (
    "\nHere: n = {n} test images, {seeds_words}; brackets are {confidence} % intervals, a dash is undefined. The CSV "
    "beside this file has every seed."
)
"""Ends the caption of every table."""
SOURCES_OF = {"source": "data", "styles": "styles"}
"""Folders of a study whose manifest says what was passed over of a source."""
NO_SCALE = "The study has no training images and so no rulers: the scale of a shape bias is not known here."
DAMAGE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What comes of reading a record that is JSON of another shape."""
MARKUP = re.compile(r"[\\*`|_\[\]<>@:]")
"""What reStructuredText would not print as it stands."""


@dataclass(frozen=True)
class Numbers:
    """The live numbers of a study, which any caption may state."""

    dataset: str
    """Name of the study."""
    n: int | str
    """Number of test images."""
    seeds: str
    """Training seeds, such as ``0, 1``."""
    seeds_words: str
    """``mean over training seeds 0, 1``, or ``training seed 0``."""
    first_seed: str
    """The training seed whose maps are shown."""
    data_seed: int
    confidence: int
    """Coverage of intervals in per cent."""
    resamples: int
    """Bootstrap resamples."""
    attack: str
    """The attack of robust accuracy, such as ``PGD-40``."""
    norm: str
    """Its norm: ``ℓ∞`` or ``ℓ2``."""
    eps: str
    """Its radius, such as ``8/255``."""
    steps: int
    """Its steps."""
    images: int
    """Number of test images with saliency maps."""
    samples: int
    """Noisy copies per image in SmoothGrad."""
    sigma: float
    """Their noise, as a share of the image's range."""
    points: int
    """Gradients along each way in Integrated Gradients."""
    baselines: str
    """What their ways start from, in words."""
    expected_note: str
    """What expected gradients average, as a sentence."""
    target: str
    """The class that maps explain, in words."""
    styles: str
    """Where the style images come from, in words."""
    style_networks: str
    """Where the style networks come from, in words."""


NUMBERS = tuple(field.name for field in fields(Numbers))
OF_MAPS = ("method", "method_note", "testset")
"""What the caption of saliency maps may state besides: the method's name and settings in words, and the test set."""


def captions(studies: Studies) -> dict[str, dict[str, Any]]:
    """Return, by study, what the report's captions state.

    The live numbers by name, under ``figures`` and ``tables`` the caption of each by id, as reStructuredText, and under
    ``arithmetic`` how the models were trained and under ``finished`` what was assumed of those that were not, empty
    before they are there, and under ``own`` what each own test set is.
    """
    return {name: _captions(study, studies.figures[name]) for name, study in studies.items()}


def _captions(study: Study, figures: Mapping[str, Figure]) -> dict[str, Any]:
    numbers = _printable(asdict(_numbers(study)))
    own = _printable({name: _own_words(study, name) for name in (*study.own_sets(), *study.testsets.own_conflicts)})
    return {
        **numbers,
        **_printable({"arithmetic": _readable(_arithmetic_words, study)}),
        **_printable({"finished": _readable(_finished_words, study)}),
        **_printable({f"{what}_notes": _readable(_source_notes, study, folder) for what, folder in SOURCES_OF.items()}),
        "own": own,
        "figures": {
            name: entry.caption.format_map(numbers | _of_maps(entry, numbers))
            + _of_own_sets(study, own, shown_testsets(study, entry))
            for name, entry in figures.items()
        },
        "tables": {
            name: (entry.caption + TABLE_NOTE).format_map(numbers)
            + _of_own_sets(study, own, [testset for _, testset, _ in table_of(study, entry).columns])
            for name, entry in TABLES.items()
        },
    }


def _readable(words: Callable[..., str], *of: Any) -> str:
    """Return what is said of a record: nothing of a damaged one, which must not keep the workflow from being read."""
    with suppress(*DAMAGE):
        return words(*of)
    return ""


def _source_notes(study: Study, folder: str) -> str:
    return source_notes(_manifest(study, folder))


def _arithmetic_words(study: Study) -> str:
    return arithmetic_words(arithmetic_of(Path("results", study.name, "models")))


def _finished_words(study: Study) -> str:
    found = assumed_of(Path("results", study.name, "models"))
    return assumed_words({model: said for model, said in found.items() if model in study.finished()})


def _of_own_sets(study: Study, own: Mapping[str, str], testsets: Sequence[str]) -> str:
    """Return what ends the caption of a table or figure that shows own test sets."""
    names = [name for name in dict.fromkeys(testsets) if name in own]
    lines = [f"\n{shown}: {own[name]}" for name, shown in _printable({name: name for name in names}).items()]
    if study.test_only and any(name in study.testsets.own_conflicts for name in testsets):
        lines.append(f"\n{NO_SCALE}")
    return "".join(lines)


def _own_words(study: Study, testset: str) -> str:
    """Return in words what an own test set is, and what of it was not measured where it was made already."""
    own, joint, made = testset.partition(JOINT)
    if joint:
        return f"The images of {own}, transformed like {name_of_testset(made)}."
    is_conflict = testset in study.testsets.own_conflicts
    words = "Own cue-conflict stimuli: the shape's class counts as right, the texture's class is the other cue."
    lines = [words if is_conflict else "Own images of the study's classes."]
    found = _manifest(study, f"testsets/{testset}")
    with suppress(*DAMAGE):
        said = [f"{line[0].upper()}{line[1:]}." for line in said_of(found)]
        lines += [f"{found['images']} images are measured.", *said]
    return " ".join(lines)


def _of_maps(entry: Figure, numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the caption of saliency maps states besides the numbers of the study."""
    if not entry.method:
        return {}
    note = METHOD_NOTES.get(entry.method, "").format_map(numbers)
    return _printable({"method": method_title(entry.method), "testset": entry.testsets[0]}) | {"method_note": note}


def unknown_placeholders(caption: str, entry: Figure | None = None) -> list[str]:
    """Return what stands in a caption's braces and is no live number; raises ValueError for a brace without its other.

    ``entry``: the figure whose caption it is; None for a table.
    """
    found = [
        name + (f"!{conversion}" if conversion else "") + (f":{how}" if how else "")
        for _, name, how, conversion in Formatter().parse(caption)
        if name is not None
    ]
    return [name for name in found if name not in allowed_placeholders(entry)]


def allowed_placeholders(entry: Figure | None = None) -> tuple[str, ...]:
    """Return what may stand in braces in the caption of a figure, or of a table."""
    return (*NUMBERS, *OF_MAPS) if entry is not None and (entry.method or entry.each_map) else NUMBERS


def _printable(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as reStructuredText that prints them as they are: a study or a folder may have any name.

    A line break would let the rest of a name begin a directive, such as one that brings in a file or raw HTML.
    """
    shown = {key: visible(value) for key, value in values.items() if isinstance(value, str)}
    return {**values, **{key: MARKUP.sub(r"\\\g<0>", text) for key, text in shown.items()}}


def _numbers(study: Study) -> Numbers:
    robustness = study.robustness_resolved()
    seeds = ", ".join(map(str, study.seeds))
    images = study.saliency.images
    return Numbers(
        dataset=study.name,
        n=_test_images(study),
        seeds=seeds,
        seeds_words=f"mean over training seeds {seeds}" if len(study.seeds) > 1 else f"training seed {seeds}",
        first_seed=str(study.seeds[0]),
        data_seed=study.data_seed,
        confidence=round(100 * study.statistics.confidence),
        resamples=study.statistics.resamples,
        attack="AutoAttack" if robustness.robust_attack == "autoattack" else f"PGD-{robustness.steps}",
        norm="ℓ∞" if robustness.norm == "inf" else "ℓ2",
        eps=f"{robustness.eps * 255:.3g}/255" if robustness.norm == "inf" else f"{robustness.eps:.3g}",
        steps=robustness.steps,
        images=images if isinstance(images, int) else len(images),
        samples=study.saliency.samples,
        sigma=study.saliency.sigma,
        points=study.saliency.integrated_gradients.points,
        baselines=_baselines(study),
        expected_note=(
            f"Expected gradients average {study.saliency.expected_gradients.samples} gradients between each image and "
            f"{study.saliency.expected_gradients.background} training images."
        ),
        target="the true class" if study.saliency.target == "label" else "the class that each names itself",
        styles=_styles(study),
        style_networks="trained on the training images"
        if study.stylisation.networks.source == "trained"
        else "the published ones: VGG-19 and its decoder",
    )


def _baselines(study: Study) -> str:
    """Return in words what Integrated Gradients start from."""
    way = study.saliency.integrated_gradients
    if way.baseline != "uniform":
        return f"a {way.baseline} image"
    return f"each of {way.baselines} uniformly drawn images" if way.baselines > 1 else "a uniformly drawn image"


def _styles(study: Study) -> str:
    """Return in words where the style images come from."""
    styles = study.stylisation.styles
    if styles.kind == "drawn":
        return f"{styles.count} drawn by the project"
    return f"images of {Path(styles.path).name}"


def source_notes(manifest: Mapping[str, Any]) -> str:
    """Return in words what a manifest says of its source beside the images: what was taken for granted or left out."""
    notes = [f"{said}." for said in manifest.get("said", [])]
    if skipped := manifest.get("skipped"):
        notes.append(f"Bad images that were left out: {len(skipped)}.")
    if passed := manifest.get("passed_over"):
        counts = "; ".join(f"{found['files']} ({reason})" for reason, found in passed.items())
        notes.append(f"Passed over: {counts}.")
    same = manifest.get("same_images", {})
    if same.get("test") or same.get("validation"):
        notes.append(
            f"Of the test images {same['test']} are also training or validation images, of the validation images "
            f"{same['validation']} also training images ({same['other_class']} of these under another class)."
        )
    if twice := same.get("two_classes"):
        notes.append(f"{twice} images lie under two classes of one split, by their pixels: no model can name both.")
    for split, classes in manifest.get("classes_without_images", {}).items():
        if classes:
            notes.append(f"No {split} images of {first_few(classes)}.")
    return " ".join(notes)


def _manifest(study: Study, folder: str) -> dict[str, Any]:
    """Return the manifest of a folder of a study's images, empty where there is none yet."""
    path = Path("results", study.name, folder, "manifest.json")
    # A damaged manifest must not keep the workflow from being read: one of its jobs makes it again.
    with suppress(UserError, OSError):
        loaded = read_json(path) if path.is_file() else {}
        return loaded if isinstance(loaded, dict) else {}
    return {}


def _test_images(study: Study) -> int | str:
    """Return the number of test images as measured, or what is known of it before the images are there."""
    with suppress(*DAMAGE):
        return int(_manifest(study, "data")["splits"]["test"]["images"])
    return getattr(study.dataset, "test", None) or ("own" if study.test_only else "all")


def listing(studies: Studies, files: Files) -> str:
    """Return one line for every table and figure: id, path and title."""
    rows = [(table, f"results/{name}/tables/{table}.md", TABLES[table].title) for name, table in files.tables()]
    rows += [
        (figure, f"results/{name}/figures/{figure}.png", studies.figures[name][figure].title)
        for name, figure in files.figures()
    ]
    width = max(len(row[0]) for row in rows)
    return "\n".join(f"{key:{width}}  {path}  {title}" for key, path, title in rows)
