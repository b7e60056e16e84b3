"""No text of the user's becomes code: every string of a config and of what is recorded, wherever readers meet it."""

import copy
import json
import re
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, get_args, get_origin

import pytest
from docutils.core import publish_parts
from jinja2 import Environment
from pydantic import BaseModel

from shapelens.errors import UserError
from shapelens.names.text import one_line
from shapelens.planning.for_readers import captions
from shapelens.planning.plan import Plan
from shapelens.spec import canonical_json
from shapelens.study.config import Study

from ..hostile import EVIL, Page, code_in

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "workflow" / "scripts"
CAPTIONS = sorted((ROOT / "workflow" / "report").glob("*.rst"))
FILE = f"{EVIL}.pth"
# What Snakemake would take for a variable in the path of an input is refused.
LABELS = FILE.replace("<b>", "<b >").replace("<script>", "<script >").translate({123: "(", 125: ")"})
MODULE = f"{one_line(EVIL)}.py"
LINKS = "\n\n.. _Workflow: javascript:show_panel('workflow')\n"
"""What Snakemake puts behind every caption."""
FOLDERS = ("photographs", "stimuli", "styles")

STUDY = {
    "dataset": {"kind": "image_folder", "path": "photographs", "size": 16},
    "network": {"arch": "resnet-small", "width": 4},
    "models": {
        "standard": {},
        "underfit": {"match": "strongest"},
        "pgd-inf-8": {"adversary": {"eps": "8/255"}},
        "ours": {"weights": "w.pth", "arch": "resnet18", "normalisation": "imagenet"},
    },
    "testsets": {
        "saturation": [8],
        "stylised": {},
        "own": {"sketch": {"path": "photographs"}},
        "own_conflicts": {"geirhos": {"path": "stimuli", "pattern": "{shape}{number}-{texture}{number}"}},
    },
    "stylisation": {"styles": {"kind": "folder", "path": "styles"}},
    "saliency": {"testsets": ["clean"], "images": 2, "methods": ["grad"]},
    "expected": {"1a": {"verdict": "yes"}},
}
# Every string that a config can hold: the class of its section and its key, and how a study says it.
PLACES: dict[tuple[str, str], list[tuple[tuple[str, ...], object]]] = {
    **{
        (kind, key): [(("dataset",), {"kind": name, "path": "photographs", **part})]
        for kind, name in (("Cifar10", "cifar10"), ("TinyImageNet", "tinyimagenet"), ("Caltech256", "caltech256"))
        for key, part in (("path", {"path": EVIL}), ("classes", {"classes": [EVIL, "b"]}), ("name", {"name": EVIL}))
    },
    ("ImageFolder", "path"): [(("dataset", "path"), EVIL)],
    ("ImageFolder", "classes"): [(("dataset", "classes"), [EVIL, "b"])],
    ("ImageFolder", "name"): [(("dataset", "name"), EVIL)],
    ("Cues", "name"): [(("dataset",), {"kind": "cues", "name": EVIL})],
    ("NoTraining", "name"): [(("dataset",), {"kind": "test_only", "name": EVIL})],
    ("NoTraining", "classes"): [
        (("dataset",), {"kind": "test_only", "size": 16, "classes": [EVIL, "b"]}),
        (("models",), {"ours": STUDY["models"]["ours"]}),
        (("testsets",), {key: STUDY["testsets"][key] for key in ("own", "own_conflicts")}),
        (("saliency",), None),
    ],
    ("Display", "labels"): [(("display", "labels", "standard"), EVIL)],
    ("Display", "palette"): [(("display", "palette"), EVIL)],
    ("Expectation", "why"): [(("expected", "1a", "why"), EVIL)],
    ("Finished", "weights"): [(("models", "ours", "weights"), FILE)],
    ("Finished", "file"): [(("models", "ours"), {"weights": "timm:resnet18.a1_in1k", "file": FILE})],
    ("Finished", "arch"): [(("models", "ours", "arch"), EVIL)],
    ("Finished", "module"): [
        (("models", "ours"), {"weights": "w.pth", "module": f"{MODULE}:f", "normalisation": "imagenet"})
    ],
    ("Finished", "classes"): [(("models", "ours", "classes"), [EVIL, "b"])],
    ("Finished", "outputs"): [(("models", "ours", "outputs"), {EVIL: EVIL, "b": 1})],
    ("Finished", "prefix"): [(("models", "ours", "prefix"), EVIL)],
    ("Network", "arch"): [(("network", "arch"), EVIL)],
    ("Network", "weights"): [(("network", "weights"), FILE)],
    ("OwnSet", "path"): [(("testsets", "own", "sketch", "path"), EVIL)],
    ("OwnSet", "classes"): [(("testsets", "own", "sketch", "classes"), {EVIL: EVIL})],
    ("OwnSet", "transforms"): [(("testsets", "own", "sketch", "transforms"), [EVIL])],
    ("OwnConflicts", "path"): [(("testsets", "own_conflicts", "geirhos", "path"), EVIL)],
    ("OwnConflicts", "classes"): [(("testsets", "own_conflicts", "geirhos", "classes"), {EVIL: EVIL})],
    ("OwnConflicts", "pattern"): [
        (("testsets", "own_conflicts", "geirhos", "pattern"), "{shape}-{texture}" + EVIL.translate({123: "", 125: ""}))
    ],
    ("OwnConflicts", "labels"): [(("testsets", "own_conflicts", "geirhos"), {"path": "stimuli", "labels": LABELS})],
    ("Robustness", "models"): [(("robustness", "models"), [EVIL])],
    ("Saliency", "models"): [(("saliency", "models"), [EVIL])],
    ("ClassImages", "models"): [(("instruments", "class_images"), {"models": [EVIL]})],
    ("Features", "models"): [(("instruments", "features"), {"models": [EVIL]})],
    ("Inversion", "models"): [(("instruments", "inversion"), {"models": [EVIL]})],
    ("Saliency", "testsets"): [(("saliency", "testsets"), [EVIL])],
    ("Study", "adversary"): [(("adversary", EVIL), EVIL)],
    ("Study", "models"): [(("models", EVIL), {})],
    ("Study", "expected"): [(("expected", EVIL), "yes")],
    ("StyleFolder", "path"): [(("stylisation", "styles", "path"), EVIL)],
    ("StyleNetworks", "encoder"): [
        (("stylisation", "networks"), {"source": "published", "encoder": LABELS, "decoder": "w.pth"})
    ],
    ("StyleNetworks", "decoder"): [
        (("stylisation", "networks"), {"source": "published", "encoder": "w.pth", "decoder": LABELS})
    ],
    ("TestSets", "own"): [(("testsets", "own", EVIL), {"path": "photographs"})],
    ("TestSets", "own_conflicts"): [(("testsets", "own_conflicts", EVIL), {"path": "stimuli", "labels": "w.pth"})],
    ("TrainedModel", "match"): [(("models", "underfit", "match"), EVIL)],
}
# Where text is taken as it is; everywhere else it is one of some words, or a name by a pattern.
FREE = {
    *product(("Cifar10", "TinyImageNet", "Caltech256", "ImageFolder"), ("path", "classes")),
    *(("Display", "labels"), ("Display", "palette"), ("Expectation", "why"), ("StyleFolder", "path")),
    *(("Network", "weights"), ("NoTraining", "classes")),
    *product(("Finished",), ("weights", "file", "module", "classes", "outputs", "prefix")),
    *product(("OwnSet", "OwnConflicts"), ("path", "classes")),
    *product(("OwnConflicts",), ("pattern", "labels")),
    *product(("StyleNetworks",), ("encoder", "decoder")),
}


def holds_text(annotation: object) -> bool:
    if annotation is str or annotation is Any:
        return True
    return get_origin(annotation) is not Literal and any(map(holds_text, get_args(annotation)))


def sections(annotation: object, found: dict[str, type[BaseModel]]) -> dict[str, type[BaseModel]]:
    """Return every class of a section that an annotation names, at any depth."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and annotation.__name__ not in found:
        found[annotation.__name__] = annotation
        for field in annotation.model_fields.values():
            sections(field.annotation, found)
    for part in get_args(annotation):
        sections(part, found)
    return found


def test_every_string_of_the_config_is_tried():
    """A new key that takes text is to be tried, too."""
    texts = {
        (name, key)
        for name, section in sections(Study, {}).items()
        for key, field in section.model_fields.items()
        if holds_text(field.annotation)
    }
    assert texts == PLACES.keys()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the files that the studies name, and records of earlier jobs that quote the user's files."""
    monkeypatch.chdir(tmp_path)
    for name in (*FOLDERS, EVIL):
        for label in ("disc", "star"):
            Path(name, label).mkdir(parents=True)
            Path(name, label, "1.png").write_bytes(b"1")
    for name in ("w.pth", FILE, LABELS, MODULE):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"1")
    Path(MODULE).write_text("def f(): ...\n")
    return tmp_path


def record(study: str) -> None:
    """Write what captions read of results, with hostile text wherever a record quotes names or sentences."""
    manifest = {
        "said": [EVIL],
        "skipped": [EVIL],
        "passed_over": {EVIL: {"files": 1}},
        "classes_without_images": {"train": [EVIL]},
        "splits": {"test": {"images": 7}},
        "images": 7,
    }
    left = {"labels_agree": 1, "classes_not_in_the_study": {EVIL: 2}, "passed_over": {EVIL: {"files": 1}}}
    own = {"images": 7, "left_out": {**left, "unreadable": [EVIL]}, "classes_without_images": [EVIL]}
    files = {
        **dict.fromkeys(("data/manifest.json", "styles/manifest.json"), manifest),
        **dict.fromkeys(("testsets/sketch/manifest.json", "testsets/geirhos/manifest.json"), own),
        "models/standard/seed0/run.json": {"precision": EVIL, "type": "cuda", "threads": 1, "device": EVIL},
        "models/ours/seed0/selection.json": {"criterion": "finished", "warnings": [EVIL], "assumed": [EVIL]},
    }
    for name, value in files.items():
        path = Path("results", study, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value))


def with_text(changes: list[tuple[tuple[str, ...], object]]) -> dict[str, Any]:
    raw: dict[str, Any] = copy.deepcopy(STUDY)
    for (*parents, last), value in changes:
        place = raw
        for key in parents:
            place = place.setdefault(key, {})
        if value is None:
            del place[last]
        else:
            place[last] = value
    return raw


def parameters(plan: Plan) -> list[str]:
    """Return every text that a rule hands to Snakemake for any job of a study."""
    found = [plan.studies.raw]
    asks = [getattr(plan.asks, name) for name in dir(plan.asks) if not name.startswith("_") and name != "measurement"]
    for name, study in plan.studies.items():
        asks += [plan.asks.measurement(instrument.name) for instrument in study.instruments_asked()]
        jobs: list[dict[str, str]] = [{"instrument": "predictions", "cue": "shape-only"}]
        jobs = [{**jobs[0], "model": model, "seed": str(seed)} for model, seed in study.runs()]
        jobs += [{"testset": testset} for testset in study.testset_names()]
        jobs += [{"table": table} for _, table in plan.files.tables()]
        jobs += [{"figure": figure} for _, figure in plan.files.figures()]
        for ask, job in product(asks, jobs):
            try:
                found.append(ask(SimpleNamespace(dataset=name, **job)))
            except (AttributeError, LookupError, ValueError):
                continue  # no job of this rule
    return found


def pages(plan: Plan) -> list[str]:
    """Return every caption of the report as Snakemake makes HTML of it."""
    environment = Environment(trim_blocks=True, lstrip_blocks=True)
    said = captions(plan.studies)
    found = []
    for path in CAPTIONS:
        template = environment.from_string(path.read_text() + LINKS)
        for name, study in plan.studies.items():
            kind = path.stem if path.stem in ("figure", "table") else "testset"
            names = {
                "figure": [figure for _, figure in plan.files.figures()],
                "table": [table for _, table in plan.files.tables()],
                "testset": study.testset_names(),
            }[kind]
            for one in names:
                wildcards = SimpleNamespace(dataset=name, **{kind: one})
                text = template.render(snakemake=SimpleNamespace(config={"captions": said}, wildcards=wildcards))
                found.append(publish_parts(text, writer="html")["body"])
    return found


@pytest.mark.parametrize("place", PLACES, ids=".".join)
def test_no_string_of_a_config_becomes_code(folder, place):
    try:
        plan = Plan(with_text(PLACES[place]), SCRIPTS)
    except UserError as refused:
        assert place not in FREE, refused
        assert "\n\n" not in str(refused) or EVIL in str(refused)
        return
    assert place in FREE
    for name in plan.studies:
        record(name)
    texts = parameters(plan)
    assert len(texts) > 20
    for text in texts:
        assert text.isascii() and not set("<>&\n") & set(text), text
    found = set(pages(plan))
    assert len(found) > 10
    for page in found:
        assert code_in(page) == [] and "system-message" not in page, page
        assert "root:" not in page and "show_panel" not in page


def test_a_file_that_snakemake_would_look_for_elsewhere_is_refused(folder):
    for part in ("<results>", "{seed}"):
        Path(f"{part}.zip").write_bytes(b"1")
        with pytest.raises(
            UserError, match=rf"dataset\.path of study images: Snakemake takes {re.escape(part)} in the"
        ):
            Plan(with_text([(("dataset", "path"), f"{part}.zip")]), SCRIPTS)


def test_captions_show_what_is_recorded_as_it_is(folder):
    """They say it, and say it in words: what the test above proves harmless is not merely left out."""
    plan = Plan(with_text(PLACES["StyleFolder", "path"]), SCRIPTS)
    record("images")
    shown = "\n".join(Page(page).text for page in pages(plan))
    for part in ("<b>raw</b>", "onerror=document.title", r"\n\n.. include:: ", "{{ 7*7 }}", "[h](javascript:i)", "|d|"):
        assert part in shown, part


def test_a_parameter_is_the_same_value_without_html():
    value = {"<a&b>": [EVIL, "é", 1.5, None, True]}
    text = canonical_json(value)
    assert json.loads(text) == value and text.isascii() and not set("<>&") & set(text)
    assert canonical_json({"b": 1, "a": "é"}) == '{"a":"\\u00e9","b":1}'


def test_the_check_finds_code():
    """The planted fault: the same text, handed over as it is."""
    assert code_in(EVIL) == ["b", "img", "onerror", "script", "src"]
    text = f"Images of {EVIL}"
    settings = {"report_level": 5, "halt_level": 5}
    body = publish_parts(text, writer="html", settings_overrides=settings)["body"]
    assert code_in(body) or "root:" in body
