import importlib
import re
import subprocess
import sys
from dataclasses import replace
from html import unescape
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from shapelens.errors import UserError
from shapelens.instruments.declare import Figure
from shapelens.instruments.registry import INSTRUMENTS, ROOMS, TABLES
from shapelens.names.words import dataset_title, name_of_testset
from shapelens.planning import names
from shapelens.planning.code_digest import Code
from shapelens.planning.declarations import check_declarations
from shapelens.planning.figures import NEEDS
from shapelens.planning.for_readers import NUMBERS, OF_MAPS, captions
from shapelens.planning.plan import Plan
from shapelens.plots.registry import FIGURES

from ..tidy_data import entry

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / "workflow"
FULL = yaml.safe_load((ROOT / "configs" / "cues-full.yaml").read_text())
FURTHER = {one.name: {} for one in ROOMS if not one.section and not one.always}
JUDGE = {"judge": {"network": {"width": 5}}}
DEFAULT = {
    **FULL,
    "dataset": {**FULL["dataset"], "name": "cues"},
    "models": {**FULL["models"], **JUDGE},
    "instruments": FURTHER,
}
"""The study that has every figure."""


def plan_of(**changes):
    return Plan({**DEFAULT, **changes}, WORKFLOW / "scripts")


def test_registries_are_cheap_to_import():
    code = (
        "import sys, shapelens.plots.registry, shapelens.names.models, shapelens.names.display; "
        "import shapelens.tables.spec, shapelens.plots.spec; "
        "print([m for m in ('numpy', 'pandas', 'matplotlib', 'seaborn', 'torch', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=WORKFLOW / "scripts"
    )
    assert done.stdout.strip() == "[]"


def test_every_figure_names_a_function_that_exists():
    for one in FIGURES:
        module, name = one.draw.split(":")
        functions = [name, *([f"{name}_frames"] if one.animated else [])]
        assert all(callable(getattr(importlib.import_module(f"shapelens.plots.{module}"), each)) for each in functions)


def test_figures_of_maps_name_their_method():
    for one in FIGURES:
        assert bool(one.method or one.each_map) == ("saliency.arrays" in one.needs), one.id
    assert entry("figure8").families == ("spatial",)
    assert entry("figure1").testsets[:2] == ("clean", "stylised")


def test_names_for_readers():
    assert [name_of_testset(name) for name in ("stylised", "cue-conflict")] == ["stylised", "cue conflict"]
    assert name_of_testset("patch-shuffle-4") == "shuffle 4" and name_of_testset("saturation-0.25") == "saturation 0.25"
    assert name_of_testset("texture-only") == "texture only"
    assert dataset_title("tinyimagenet") == "Tiny ImageNet" and dataset_title("mine") == "mine"


def test_there_is_a_sheet_of_each_method_and_test_set_that_no_figure_shows_already():
    mapped = {"images": 2, "methods": ["grad", "smoothgrad"], "testsets": ["clean", "saturation-1024", "stylised"]}
    plan = plan_of(saliency=mapped)
    figures = plan.studies.figures["cues"]
    sheets = [name for name in figures if name.startswith("saliency-")]
    chosen = [name for name in names.saliency_testsets(plan.studies["cues"]) if name != "clean"]
    # Figures 9 and 10 are the sheets of the two methods on clean images.
    assert sheets == [f"saliency-{method}-{name}" for method in ("grad", "smoothgrad") for name in chosen]
    sheet = figures["saliency-smoothgrad-saturation-1024"]
    assert (sheet.title, sheet.shows) == ("SmoothGrad maps on saturation 1024", "smoothgrad on saturation-1024")
    assert (sheet.method, sheet.testsets, sheet.draw) == ("smoothgrad", ("saturation-1024",), figures["figure9"].draw)


def test_a_method_without_a_figure_of_its_own_has_a_sheet_of_clean_images(monkeypatch):
    monkeypatch.setattr(names, "FIGURES", tuple(one for one in FIGURES if one.id != "figure10"))
    figures = plan_of().studies.figures["cues"]
    assert "saliency-grad-clean" in figures and "saliency-smoothgrad-clean" not in figures


def test_a_figure_of_an_instrument_shows_the_test_sets_that_it_measured():
    study = plan_of(saliency={"images": 2, "testsets": ["stylised"]}).studies["cues"]
    means = replace(entry("fourier"), needs=("saliency",), testsets=("clean", "saturation-*", "stylised"))
    assert names.shown_testsets(study, means) == ["clean", "stylised"]
    assert names.shown_testsets(study, replace(means, needs=("robust",))) == ["clean"]
    assert "saturation-1024" in names.shown_testsets(study, replace(means, needs=("predictions",)))


@pytest.mark.parametrize("module", sorted({one.draw.partition(":")[0] for one in FIGURES}))
def test_a_figures_code_is_its_own_modules_and_no_declaration(module):
    """Else a caption, or another module's drawing, would make it stale."""
    scripts = WORKFLOW / "scripts"
    closure = Code(scripts).closure(scripts / "figure.py", f"shapelens.plots.{module}")
    names = {path.relative_to(scripts / "shapelens").as_posix() for path in closure}
    drawing = {f"plots/{one.draw.partition(':')[0]}.py" for one in FIGURES}
    assert names & drawing == {f"plots/{module}.py"}
    assert not [name for name in names if name.endswith(("instrument.py", "registry.py", "declare.py"))]


# Captions


def render(template, captions, **wildcards):
    """Return a caption of the report as Snakemake renders it, and its HTML."""
    jinja2 = pytest.importorskip("jinja2")
    publish = pytest.importorskip("docutils.core").publish_parts
    snakemake = SimpleNamespace(
        config={"captions": {"cues": captions}}, wildcards=SimpleNamespace(dataset="cues", **wildcards)
    )
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    source = (WORKFLOW / "report" / f"{template}.rst").read_text(encoding="utf-8")
    text = environment.from_string(source).render(snakemake=snakemake)
    html = publish(text, writer="html", settings_overrides={"halt_level": 2, "report_level": 2})["body"]
    return text, unescape(html)


CAPTIONS = [
    *(("figure", {"figure": figure.id}) for figure in FIGURES if not figure.each_map and figure.id != "own_sets"),
    ("figure", {"figure": "saliency-smoothgrad-saturation-1024"}),
    ("figure", {"figure": "saliency-grad-stylised"}),
    *(("table", {"table": table}) for table in TABLES),
    ("testset", {"testset": "patch-shuffle-2"}),
    ("testset", {"testset": "conflict"}),
    ("styles", {}),
    ("style_networks", {}),
    ("claims", {}),
    ("data", {}),
    ("study", {}),
]


@pytest.mark.parametrize(("template", "wildcards"), CAPTIONS)
@pytest.mark.parametrize("seeds", [[3], [3, 4]])
def test_captions_state_live_numbers_and_are_sound_rst(template, wildcards, seeds, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    changes = {
        "seeds": seeds,
        "data_seed": 77,
        "dataset": {**DEFAULT["dataset"], "test": 984},
        "robustness": {"norm": "inf", "eps": "5/255", "step": "1/255", "steps": 40},
        "saliency": {
            "methods": ["grad", "smoothgrad", "integrated-gradients", "expected-gradients"],
            "samples": 61,
            "sigma": 0.13,
            "expected_gradients": {"samples": 33, "background": 44},
            "images": 14,
            "testsets": ["clean", "saturation-1024", "stylised"],
        },
        "statistics": {"resamples": 2100, "confidence": 0.91},
    }
    text, _ = render(template, captions(plan_of(**changes).studies)["cues"], **wildcards)
    assert "{" not in text and "None" not in text and "cues" in text
    listed = ", ".join(map(str, seeds))
    words = f"mean over training seeds {listed}" if len(seeds) > 1 else f"training seed {listed}"
    wanted = {"figure5": ["984", words, "91 %"], "figure7": ["984", words], "figure6": [words], "table": ["984", words]}
    wanted |= {"robustness": ["PGD-40, ℓ∞, ε = 5/255"], "figure2": ["61", "0.13", "seed 3;"], "testset": ["77"]}
    wanted |= {
        "study": ["984", listed, "5/255"],
        "claims": ["2100", "fewer than three seeds"],
        "saliency": ["14 images"],
    }
    wanted |= {"saliency-smoothgrad-saturation-1024": ["SmoothGrad maps of", "on saturation-1024 images", "61 noisy"]}
    wanted |= {"saliency-grad-stylised": ["Grad maps of", "first. \nEach"], "table1": ["Here: n = 984 test images"]}
    said = ["33 gradients between each image and 44 training images", "explain the true class", "seed 3."]
    wanted |= {"attributions": said, "attributions-expected-gradients": said, "on_object": ["14", "91 %"]}
    for key in (template, *wildcards.values()):
        assert all(number in text for number in wanted.get(key, [])), key


def test_a_folders_name_is_printed_as_it_is(tmp_path):
    """Braces, stars and back-quotes in what the user named are neither filled in nor read as markup."""
    styles = tmp_path / "my {n} *bold* `x`_ {{ 1 }} |a| [1]_ me@b.org"
    styles.mkdir()
    raw = {**DEFAULT["stylisation"], "styles": {"kind": "folder", "path": str(styles)}}
    studies = plan_of(stylisation=raw).studies
    found = captions(studies)["cues"]
    found["figures"]["x"] = "Styles: {styles}.".format_map(found)
    for template, wildcards in (("styles", {}), ("figure", {"figure": "x"})):
        _, html = render(template, found, **wildcards)
        assert "my {n} *bold* `x`_ {{ 1 }} |a| [1]_ me@b.org" in html, html
        assert not {"<em>", "<a ", "<cite>"} & set(html.split()), html


def test_every_live_number_is_filled_in():
    found = captions(plan_of().studies)["cues"]
    assert set(NUMBERS) | {"figures", "tables", "arithmetic", "finished", "own", "source_notes", "styles_notes"} == set(
        found
    )
    assert all(isinstance(found[name], int | float | str) for name in NUMBERS)


# Declarations that cannot be kept


ROBUSTNESS = INSTRUMENTS["robust"].figures[0]
FAULTS = {
    "same id": ({"id": "figure5"}, "a figure of this id, too"),
    "no module": ({"draw": "dotz:robustness"}, "plots has no module dotz; did you mean dots?"),
    "no function": (
        {"draw": "dots:robustnes"},
        r"plots/dots\.py has no function robustnes\(shown, display\); did you mean robustness\?; it has: by_model, ",
    ),
    "no drawing function": ({"draw": "style:looks"}, r"has no function looks\(shown, display\)"),
    "an unknown need": ({"needs": ("acuracy",)}, r"nobody makes 'acuracy'; did you mean accuracy\?; allowed: images, "),
    "arrays of rows alone": ({"needs": ("robust.arrays",)}, "nobody makes 'robust.arrays'.*saliency.arrays"),
    "no data": ({"needs": ()}, "it has no data; allowed: images, "),
    "an unknown option": (
        {"draw": "dots:by_model", "options": {"metric": "a", "title": "b", "metrik": 1}},
        "options: Value error, metrik: unknown key; allowed: metric, .* did you mean metric",
    ),
    "a metric that no row has": (
        {"draw": "dots:by_model", "options": {"metric": "accuracies", "title": "b"}},
        "options: no row has a metric 'accuracies'; did you mean accuracy",
    ),
    "a missing option": ({"draw": "dots:by_model", "options": {"metric": "a"}}, "options.title: Field required"),
    "no frames": ({"animated": True}, r"animated: plots/dots\.py has no function robustness_frames\(shown, display\)"),
    "options of none": ({"options": {"metric": "a"}}, "options: dots:robustness takes none"),
    "an unknown number": ({"caption": "n = {nn}"}, r"caption: \{nn\} is no live number; .*allowed: dataset, n, seeds"),
    "an attribute": ({"caption": "{n.real}"}, r"caption: \{n\.real\} is no live number"),
    "a format": ({"caption": "{n:,}"}, r"caption: \{n:,\} is no live number"),
    "maps' words without maps": ({"caption": "{method}"}, r"caption: \{method\} is no live number"),
    "half a brace": ({"caption": "a {n"}, "caption: expected '}'"),
}


def rooms_with(one):
    """Return every room's declaration, one of them changed."""
    return [one if room.name == one.name else room for room in ROOMS]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_figure_that_cannot_be_made_stops_at_parse_time(fault):
    changes, message = FAULTS[fault]
    one = replace(INSTRUMENTS["robust"], figures=(replace(ROBUSTNESS, **changes),))
    with pytest.raises(
        UserError, match=rf"(?m)^  figure {changes.get('id', 'robustness')} of instruments/robust: .*{message}"
    ):
        check_declarations(rooms_with(one))
    check_declarations()


def test_a_table_with_an_unknown_number_stops_at_parse_time():
    table = replace(INSTRUMENTS["robust"].tables[0], caption="{method}")
    with pytest.raises(UserError, match=r"table table1 of instruments/robust: caption: \{method\} is no live number"):
        check_declarations(rooms_with(replace(INSTRUMENTS["robust"], tables=(table,))))


def test_the_entry_in_the_documents_is_a_figure():
    page = (ROOT / "docs" / "how-to" / "add-a-figure.md").read_text()
    block = re.search(r"```python\n(Figure\(.*?)\n```", page, re.DOTALL)[1]
    saliency = INSTRUMENTS["saliency"]
    mine = replace(saliency, figures=(*saliency.figures, eval(block, {"Figure": Figure})))
    check_declarations(rooms_with(mine))
    named = set(re.findall(r"`\{(\w+)\}`", page))
    assert {"n", "dataset", "seeds_words"} <= named <= {*NUMBERS, *OF_MAPS}
    needs = re.search(r"\| `needs` \| in the.*?\n\n", page, re.DOTALL)[0]
    assert set(NEEDS) <= set(re.findall(r"^\| `(\w+)` ", needs, re.MULTILINE))
