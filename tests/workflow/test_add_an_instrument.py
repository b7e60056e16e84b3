"""docs/how-to/add-an-instrument.md, done: a room, a registry line, a config line; a table, a figure and a claim."""

import json
import re
import shutil

import pandas as pd
import pytest

from .conftest import ROOT, Folder

pytestmark = pytest.mark.timeout(900)
PAGE = ROOT / "docs" / "how-to" / "add-an-instrument.md"
BLOCK = re.compile(r"```python\n# (workflow/\S+\.py)\n(.*?)```", re.DOTALL)
LINE = "instruments: {confidence: {testsets: [clean, saturation-1024]}}"
TARGETS = [f"results/cues/{name}" for name in ("tables/confidence.md", "figures/confidence.png", "claims/claims.json")]


def add_room(folder: Folder) -> None:
    """Do what the page says."""
    text = PAGE.read_text(encoding="utf-8")
    files = dict(BLOCK.findall(text))
    assert len(files) == 4
    for name, code in files.items():
        path = folder.path / name
        path.parent.mkdir(exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(code, encoding="utf-8")
    registry = folder.path / "workflow/scripts/shapelens/instruments/registry.py"
    lines = registry.read_text(encoding="utf-8")
    imported, listed = "from shapelens.instruments.confidence import instrument as confidence", "confidence.INSTRUMENT,"
    assert imported in text and listed in text
    lines = lines.replace("from shapelens.instruments.declare", f"{imported}\nfrom shapelens.instruments.declare", 1)
    registry.write_text(lines.replace("    predictions.INSTRUMENT,", f"    predictions.INSTRUMENT,\n    {listed}", 1))


@pytest.fixture(scope="module")
def added(finished, tmp_path_factory):
    """The finished tiny study with one room more; and what a dry-run said before and after the config's line."""
    folder = Folder(tmp_path_factory.mktemp("added") / "study")
    shutil.copytree(finished.path, folder.path, symlinks=True)
    add_room(folder)
    study = folder.path / "tiny.yaml"
    without = folder.would_run()
    assert LINE in PAGE.read_text(encoding="utf-8")
    # In the study of the cues alone, as an indented key.
    text = study.read_text()
    study.write_text(text.replace("    testsets:\n      saturation", f"    {LINE}\n    testsets:\n      saturation", 1))
    return folder, without, folder.would_run()


def test_a_room_that_no_study_asks_for_reruns_nothing(added):
    _, without, _ = added
    assert without == []


def test_a_dry_run_names_measurement_means_table_figure_and_claims(added):
    _, _, messages = added
    for wanted in (
        "Asking standard (seed 0) on cues",
        "Asking pgd-inf-8 (seed 0) on cues",
        "Averaging what confidence found on cues",
        "Writing confidence of cues",
        "Drawing confidence of cues",
        "Judging the claims on cues",
    ):
        assert wanted in messages
    asked = {message.split()[1] for message in messages if message.startswith("Asking")}
    assert asked == {"standard", "underfit", "pgd-inf-8"}, "the exemplars"
    assert not {message.split()[0] for message in messages if message} & {
        "Training",
        "Attacking",
        "Mapping",
        "Measuring",
    }


def test_its_table_figure_and_claim_are_made(added):
    folder, _, _ = added
    done = folder.snakemake(*TARGETS, "--cores", "2")
    assert "Asking standard (seed 0) on cues" in done.stdout + done.stderr
    results = folder.path / "results" / "cues"
    rows = pd.read_parquet(results / "confidence/standard/seed0.parquet")
    answers = pd.read_parquet(results / "predictions/standard/seed0.parquet")
    assert list(rows.columns) == ["testset", "image", "confidence", "entropy"]
    # The probability of the named class is that of the label wherever the label is named.
    both = rows.merge(answers, on=["testset", "image"])
    right = both[both["label"] == both["predicted"]]
    assert len(right) and right["confidence"].to_numpy() == pytest.approx(right["probability"].to_numpy(), abs=1e-6)
    means = pd.read_csv(results / "confidence/means.csv").query("model == 'standard' and seed == 'mean'")
    clean = means.query("testset == 'clean' and metric == 'confidence'")["value"].item()
    assert clean == pytest.approx(rows.query("testset == 'clean'")["confidence"].mean(), abs=1e-6)
    table = (results / "tables/confidence.md").read_text()
    assert "How sure models are of their answers" in table and f"{clean:.3f}" in table
    assert (results / "figures/confidence.png").stat().st_size > 2000
    claims = {claim["id"]: claim for claim in json.loads((results / "claims/claims.json").read_text())}
    assert claims["90"]["text"] == "Robust models are less sure of their answers"
    assert claims["90"]["verdict"] in {"yes", "no", "undecided"} and claims["90"]["effect"] is not None
    assert list(claims)[-1] == "90"


def test_a_misspelt_instrument_is_refused_with_the_nearest_name(added):
    folder, _, _ = added
    study = folder.path / "tiny.yaml"
    text = study.read_text()
    try:
        study.write_text(text.replace("{confidence: {testsets", "{confidense: {testsets"))
        done = folder.snakemake("-n", check=False)
    finally:
        study.write_text(text)
    said = done.stdout + done.stderr
    assert done.returncode and "instruments.confidense: there is no such instrument" in said
    assert "did you mean confidence?" in said


def test_a_metric_that_no_row_has_stops_before_any_job(added):
    folder, _, _ = added
    room = folder.path / "workflow/scripts/shapelens/instruments/confidence/instrument.py"
    text = room.read_text()
    try:
        room.write_text(text.replace('metrics={"confidence": "Confidence"', 'metrics={"sureness": "Sureness"'))
        done = folder.snakemake("-n", check=False)
    finally:
        room.write_text(text)
    said = done.stdout + done.stderr
    assert done.returncode and "instruments/confidence: metrics: no row has a column 'sureness'" in said
