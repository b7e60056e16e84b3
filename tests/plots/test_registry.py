import importlib
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from shapelens.instruments.registry import TABLES
from shapelens.names.words import dataset_title, name_of_testset, panel_title
from shapelens.plots.registry import FIGURES, sheets

WORKFLOW = Path(__file__).parents[2] / "workflow"


def test_registries_are_cheap_to_import():
    code = (
        "import sys, shapelens.plots.registry, shapelens.names.models, shapelens.names.display; "
        "import shapelens.tables.registry; "
        "print([m for m in ('numpy', 'pandas', 'matplotlib', 'seaborn', 'torch', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=WORKFLOW / "scripts"
    )
    assert done.stdout.strip() == "[]"


def test_every_figure_names_a_function_that_exists():
    for entry in [*FIGURES.values(), *sheets(["grad"], ["clean"]).values()]:
        module, name = entry.draw.split(":")
        assert callable(getattr(importlib.import_module(f"shapelens.plots.{module}"), name))


def test_figures_of_maps_name_their_method():
    shown = {**FIGURES, **sheets(["grad"], ["clean"])}
    for entry in shown.values():
        assert bool(entry.method) == ("saliency" in entry.needs), entry.id
    assert shown["saliency-grad-clean"].method == "grad"
    assert FIGURES["figure8"].families == ("spatial",)
    assert FIGURES["figure1"].testsets[:2] == ("clean", "stylised")


def test_names_for_readers():
    assert [name_of_testset(name) for name in ("stylised", "cue-conflict")] == ["stylised", "cue conflict"]
    assert list(sheets(["grad", "smoothgrad"], ["clean", "saturation-1024"]))[1] == "saliency-grad-saturation-1024"
    assert sheets(["smoothgrad"], ["clean"])["saliency-smoothgrad-clean"].title == "SmoothGrad maps on original"
    assert name_of_testset("patch-shuffle-4") == "shuffle 4" and name_of_testset("saturation-0.25") == "saturation 0.25"
    assert name_of_testset("texture-only") == "texture only"
    assert [panel_title("figure4", name) for name in ("clean", "saturation-0.25")] == ["2", "0.25"]
    assert [panel_title("figure1", name) for name in ("clean", "patch-shuffle-2")] == ["Original", "Shuffle 2"]
    assert dataset_title("tinyimagenet") == "Tiny ImageNet" and dataset_title("mine") == "mine"


TABLE_CAPTIONS = [("table", {"table": table}) for table in TABLES]
OTHERS = [
    ("saliency_sheet", {"method": "smoothgrad", "testset": "saturation-1024"}),
    ("testset", {"testset": "patch-shuffle-2"}),
    ("testset", {"testset": "conflict"}),
    ("claims", {}),
    ("data", {}),
    ("study", {}),
]


@pytest.mark.parametrize(("name", "wildcards"), [*((figure, {}) for figure in FIGURES), *TABLE_CAPTIONS, *OTHERS])
@pytest.mark.parametrize("seeds", ["3", "3, 4"])
def test_captions_state_live_numbers_and_are_sound_rst(name, wildcards, seeds):
    jinja2 = pytest.importorskip("jinja2")
    publish = pytest.importorskip("docutils.core").publish_parts
    numbers = {
        "n": 9876,
        "seeds": seeds,
        "data_seed": 77,
        "eps": "5/255",
        "norm": "ℓ∞",
        "steps": 40,
        "attack": "PGD-40",
    }
    numbers |= {"samples": 61, "sigma": 0.13, "images": 14, "resamples": 2100, "confidence": 91, "dataset": "my-images"}
    snakemake = SimpleNamespace(
        config={"captions": {"my-images": numbers}}, wildcards=SimpleNamespace(dataset="my-images", **wildcards)
    )
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    source = (WORKFLOW / "report" / f"{name}.rst").read_text(encoding="utf-8")
    text = environment.from_string(source).render(snakemake=snakemake)
    publish(text, writer="html", settings_overrides={"halt_level": 2, "report_level": 2})
    assert "{" not in text and "None" not in text and "my-images" in text
    wanted = {"figure5": ["9876", seeds, "91 %"], "figure7": ["9876", seeds], "table": ["9876", seeds, "91 %"]}
    wanted |= {"robustness": ["PGD-40, ℓ∞, ε = 5/255"], "figure2": ["61", "0.13", "seed 3"], "testset": ["77"]}
    wanted |= {"study": ["9876", seeds, "5/255"], "claims": ["2100", "fewer than three seeds"]}
    assert all(number in text for number in wanted.get(name, []))
