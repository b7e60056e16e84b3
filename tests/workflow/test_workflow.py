"""The workflow as its users meet it: real Snakemake on a tiny study; what reran is checked, not only that it ran."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
import yaml
from PIL import Image

from .conftest import ROOT, copy_workflow

pytestmark = pytest.mark.timeout(1500)
NOTHING = "Nothing to be done"
COMPUTES = {"Training", "Attacking", "Measuring", "Mapping", "Judging", "Counting"}


@contextmanager
def edited(path, change):
    """Change a file's text for the length of a block; the clock moves, as it does for a user."""
    before = path.read_text()
    path.write_text(change(before))
    try:
        assert path.read_text() != before
        yield
    finally:
        path.write_text(before)


def replaced(old, new):
    def change(text):
        assert old in text
        return text.replace(old, new)

    return change


def words(messages):
    """Return the first two words of each message: what is done, and to what."""
    return {" ".join(message.split()[:2]) for message in messages if message}


# What comes out


def test_everything_is_made(finished):
    results = finished.path / "results"
    for study in ("cues", "photographs"):
        for name in ("table1.csv", "table1.md", "table1.tex", "table1.html", "accuracy.csv", "saliency.md"):
            assert (results / study / "tables" / name).stat().st_size > 0
        claims = json.loads((results / study / "claims" / "claims.json").read_text())
        assert {claim["verdict"] for claim in claims} <= {"yes", "no", "undecided", "not asked", "not readable"}
    for figure in [f"figure{n}" for n in range(1, 11)]:
        assert (results / "cues" / "figures" / f"{figure}.png").stat().st_size > 2000
        assert (results / "cues" / "figures" / f"{figure}.pdf").stat().st_size > 2000
    assert Image.open(results / "cues" / "figures" / "figure10.png").width <= 1200
    assert not (results / "cues" / "figures" / "saliency-grad-clean.png").exists()
    assert zipfile.is_zipfile(results / "report.zip")
    for name in ("report.html", "report.zip", "config.json", "provenance.json"):
        assert (results / "reports/cues+photographs" / name).read_bytes() == (results / name).read_bytes()


def test_a_second_config_leaves_the_first_ones_report_as_it_is(finished):
    own = {key: value for key, value in finished.study().items() if key != "studies"}
    (finished.path / "second.yaml").write_text(
        yaml.safe_dump({**own, "dataset": {"kind": "cues", "name": "second"}, "models": {"standard": {}}})
    )
    done = finished.snakemake("-n", config="second.yaml")
    said = done.stdout + done.stderr
    assert "results/reports/second/report.html" in said and "results/reports/cues+photographs" not in said


def test_every_run_has_predictions_for_every_test_set(finished):
    studies = finished.study()["studies"]
    frame = pd.read_parquet(finished.path / "results/cues/predictions/pgd-inf-8/seed0.parquet")
    per_set = frame.groupby("testset").size()
    assert set(per_set) == {studies["cues"]["dataset"]["test"]}
    assert {"clean", "saturation-1024", "patch-shuffle-8", "low-pass", "conflict"} <= set(per_set.index)


def test_records_name_spec_code_and_hash(finished):
    from shapelens.artefacts.files import sha256

    folder = finished.path / "results/cues/saliency/standard"
    record = json.loads((folder / "seed0.json").read_text())
    assert record["sha256"] == {name: sha256(folder / name) for name in ("seed0.parquet", "seed0.npz")}
    assert record["spec"]["settings"]["samples"] == 3
    provenance = json.loads((finished.path / "results/provenance.json").read_text())
    assert provenance["packages"]["torch"]
    (arithmetic,) = provenance["arithmetic"]["cues"]
    assert arithmetic["instruction_set"] and arithmetic["models"]["pgd-inf-8"] == [0]
    spec = provenance["artefacts"]["cues/models/pgd-inf-8/seed0/spec.json"]["spec"]
    assert spec["adversary"]["eps"] == pytest.approx(8 / 255)


def test_predicted_shape_bias_stands_beside_the_measured_one(finished):
    lines = (finished.path / "results/cues/tables/predicted_shape_bias.csv").read_text().splitlines()
    rows = [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]
    # Amplitudes of 0.02 and 0.03: out of reach of 4/255, within that of 8/255. For spatial nothing is predicted.
    assert {row["model"]: float(row["predicted"]) for row in rows if row["seed"] == "mean"} == {
        "standard": 0,
        "underfit": 0,
        "pgd-inf-4": 0,
        "calibration-texture": 0,
        "pgd-inf-8": 1,
        "fgsm-8": 1,
        "calibration-shape": 1,
    }
    for kind, suffix in (("tables", "md"), ("figures", "png")):
        assert (finished.path / f"results/cues/{kind}/known_answer.{suffix}").stat().st_size


def test_the_same_seed_gives_the_same_bytes(finished, tmp_path):
    again = copy_workflow(tmp_path / "again")
    wanted = (
        "results/cues/tables/accuracy.csv",
        "results/cues/saliency/means.csv",
        "results/cues/claims/claims.csv",
    )
    again.snakemake(*wanted, "--cores", "2")
    for name in (
        *wanted,
        "results/cues/models/underfit/seed0/history.csv",
        "results/cues/models/pgd-inf-8/seed0/selection.json",
    ):
        assert (again.path / name).read_bytes() == (finished.path / name).read_bytes(), name


def test_list_names_every_figure_and_table_with_its_path(finished):
    done = finished.snakemake("list", "--cores", "1")
    for name in ("figure5", "table1", "saliency-smoothgrad-saturation-1024"):
        line = next(line for line in done.stdout.splitlines() if line.startswith(name + " "))
        assert (finished.path / re.search(r"results/\S+", line)[0]).exists()


@pytest.mark.parametrize("target", ["tables", "figures", "claims", "report", "results"])
def test_named_targets_are_up_to_date(finished, target):
    assert NOTHING in finished.snakemake(target, "-n").stdout + finished.snakemake(target, "-n").stderr


# What reruns


def test_nothing_reruns_in_a_finished_tree(finished):
    done = finished.snakemake("-n")
    assert NOTHING in done.stdout + done.stderr


@pytest.mark.parametrize("profile", ["local-gpu", "slurm"])
def test_nothing_reruns_by_another_profile(finished, profile, monkeypatch):
    plugin = ROOT / ".venv" / "slurm"
    if profile == "slurm" and not plugin.is_dir():
        pytest.skip("NO SLURM PLUGIN: .venv/slurm is not there (make test-env)")
    monkeypatch.setenv("PYTHONPATH", str(plugin))
    done = finished.snakemake("--workflow-profile", f"profiles/{profile}", "-n")
    assert NOTHING in done.stdout + done.stderr


def test_touching_every_source_reruns_nothing(finished):
    for part in ("rules", "workflow", "envs"):
        for path in (finished.path / part).rglob("*"):
            if path.is_file():
                os.utime(path)
    assert finished.would_run() == []


@pytest.mark.parametrize(
    "file", ["train.py", "shapelens/attacks/pgd.py", "shapelens/datasets/cues.py", "shapelens/claims/judging.py"]
)
def test_a_comment_or_docstring_reruns_nothing(finished, file):
    with edited(
        finished.path / "workflow/scripts" / file, lambda text: text + '\n# A comment.\n"""A bare string."""\n'
    ):
        assert finished.would_run() == []


def test_a_label_or_colour_redraws_and_nothing_more(finished):
    with edited(finished.path / "tiny.yaml", lambda text: text + "display: {palette: deep}\n"):
        done = words(finished.would_run())
    assert {"Drawing figure5", "Gathering the"} <= done
    assert not {word.split()[0] for word in done} & COMPUTES


@pytest.mark.parametrize(
    ("file", "figures"),
    [
        ("plots/dots.py", {"robustness", "fourier", "shape_bias"}),
        ("plots/curves.py", {"figure5", "figure7"}),
        ("plots/by_class.py", {"cue_conflict"}),
    ],
)
def test_drawing_code_redraws_the_figures_drawn_there_and_nothing_more(finished, file, figures):
    with edited(finished.path / "workflow/scripts/shapelens" / file, lambda text: text + "\n\nEXTRA = 1\n"):
        done = words(finished.would_run())
    assert {word for word in done if word.startswith("Drawing")} == {f"Drawing {figure}" for figure in figures}
    assert not {word.split()[0] for word in done} & COMPUTES


def test_what_all_figures_share_redraws_them_all(finished):
    """The test of one module's figures can fail: style.py is imported by every drawing module."""
    path = finished.path / "workflow/scripts/shapelens/plots/style.py"
    with edited(path, lambda text: text + "\n\nEXTRA = 1\n"):
        done = words(finished.would_run())
    assert {"Drawing figure1", "Drawing figure5", "Drawing figure9", "Drawing robustness"} <= done


def test_a_caption_or_a_label_of_the_report_redraws_nothing(finished):
    path = finished.path / "workflow/scripts/shapelens/plots/registry.py"
    for old, new in (("each row is one image", "a row is one image"), ('shows="test sets"', 'shows="all test sets"')):
        with edited(path, replaced(old, new)):
            done = {word.split()[0] for word in words(finished.would_run())}
        assert not done & {"Drawing", "Writing", *COMPUTES}, old


def test_a_figure_that_only_another_study_has_is_refused_by_name(finished):
    done = finished.snakemake("results/photographs/figures/figure5.png", "-n", check=False)
    assert done.returncode
    assert "figure5 is no figure of study photographs; `snakemake list` names all" in done.stdout + done.stderr


def test_one_saturation_level_more_trains_and_attacks_nothing(finished):
    with edited(finished.path / "tiny.yaml", replaced("saturation: [1, 8", "saturation: [1, 4, 8")):
        done = words(finished.would_run())
    assert {"Making the", "Measuring standard", "Measuring pgd-inf-8", "Drawing figure5"} <= done
    assert not {word.split()[0] for word in done} & {"Training", "Attacking", "Mapping"}


def test_one_models_radius_retrains_that_model_alone(finished):
    with edited(finished.path / "tiny.yaml", replaced("eps: 4/255", "eps: 3/255")):
        done = words(finished.would_run())
    assert {"Training pgd-inf-4", "Attacking pgd-inf-4", "Mapping pgd-inf-4", "Drawing figure5"} <= done
    assert {word for word in done if word.startswith("Training")} == {"Training pgd-inf-4"}


def test_the_strongest_models_radius_retrains_the_model_matched_to_it(finished):
    with edited(
        finished.path / "tiny.yaml",
        replaced("pgd-inf-8: {adversary: {eps: 8/255}}", "pgd-inf-8: {adversary: {eps: 7/255}}"),
    ):
        done = words(finished.would_run())
    assert {word for word in done if word.startswith("Training")} == {"Training pgd-inf-8", "Training underfit"}


def test_the_sample_count_redraws_maps_alone(finished):
    with edited(finished.path / "tiny.yaml", replaced("samples: 3", "samples: 4")):
        done = words(finished.would_run())
    assert {"Mapping standard", "Drawing figure9"} <= done
    assert not {word.split()[0] for word in done} & {"Training", "Attacking", "Counting"}
    assert not {"Measuring standard", "Measuring pgd-inf-8"} & done


@pytest.mark.parametrize("file", ["pgd.py", "ascent.py"])
def test_attack_arithmetic_spares_standard_training(finished, file):
    path = finished.path / "workflow/scripts/shapelens/attacks" / file
    with edited(path, lambda text: text + "\n\nEXTRA = 1\n"):
        done = words(finished.would_run())
    trained = {word for word in done if word.startswith("Training")}
    assert trained == {"Training pgd-inf-4", "Training pgd-inf-8", "Training fgsm-8", "Training underfit"}
    assert {"Attacking standard", "Attacking pgd-inf-8"} <= done
    assert "Measuring standard" not in done


def test_the_spatial_adversary_retrains_its_model_alone(finished):
    path = finished.path / "workflow/scripts/shapelens/attacks/spatial.py"
    with edited(path, lambda text: text + "\n\nEXTRA = 1\n"):
        done = words(finished.would_run())
    assert {word for word in done if word.startswith("Training")} == {"Training spatial"}
    assert "Attacking spatial" in done and "Attacking standard" not in done


def test_the_strength_of_a_stylisation_trains_nothing(finished):
    with edited(finished.path / "tiny.yaml", replaced("stylised: {min", "stylised: {alpha: 0.5, min")):
        messages = finished.would_run()
    done = words(messages)
    assert {"Stylising the", "Measuring standard", "Mapping standard", "Drawing figure3"} <= done
    assert [m for m in messages if m.startswith("Stylising")] == ["Stylising the test set stylised of cues"]
    assert not {word.split()[0] for word in done} & {"Training", "Attacking"}


def test_the_style_networks_code_stylises_anew_and_trains_no_model(finished):
    path = finished.path / "workflow/scripts/shapelens/stylisation/adain.py"
    with edited(path, lambda text: text + "\n\nEXTRA = 1\n"):
        done = words(finished.would_run())
    assert {"Training the", "Stylising the", "Measuring standard"} <= done
    assert {word for word in done if word.startswith("Training")} == {"Training the"}


def test_an_instruments_code_measures_with_it_alone(finished):
    """Editing a room redoes its rows and what is made of them: no training, no other instrument."""
    with edited(
        finished.path / "workflow/scripts/shapelens/instruments/robust/attack.py", lambda t: t + "\n\nEXTRA = 1\n"
    ):
        done = words(finished.would_run())
    assert {"Attacking standard", "Attacking pgd-inf-8", "Counting what", "Judging the"} <= done
    assert not {word.split()[0] for word in done} & {"Training", "Measuring", "Mapping"}


def test_a_caption_or_a_heading_of_a_room_measures_nothing(finished):
    room = finished.path / "workflow/scripts/shapelens/instruments/saliency/instrument.py"
    with edited(room, replaced('"Weight on edges"', '"Weight upon edges"')):
        done = words(finished.would_run())
    assert "Writing saliency" in done
    assert not {word.split()[0] for word in done} & {*COMPUTES, "Averaging"}


def test_a_figure_of_predictions_attacks_and_maps_nothing(tmp_path):
    """Each job makes its own files and nobody else's."""
    folder = copy_workflow(tmp_path / "fresh")
    messages = folder.would_run("results/cues/figures/figure6.png")
    done = {message.split()[0] for message in messages if message}
    assert {"Training", "Measuring", "Drawing"} <= done and not done & {"Attacking", "Mapping"}
    assert not (folder.path / "results").exists(), "a dry-run writes nothing"


def test_one_image_more_reruns_its_dataset_alone(finished):
    extra = finished.path / "photographs" / "dark" / "99.png"
    shutil.copy2(finished.path / "photographs" / "light" / "00.png", extra)
    try:
        messages = finished.would_run()
    finally:
        extra.unlink()
    assert any(message.startswith("Making the images of photographs") for message in messages)
    assert any(message.startswith("Training standard on photographs") for message in messages)
    assert not [
        m for m in messages if "cues" in m and m.split()[0] in {"Training", "Attacking", "Measuring", "Mapping"}
    ]
    assert finished.would_run() == []


def test_a_foreign_file_reruns_nothing_and_an_image_behind_a_link_does(finished):
    photographs, pool = finished.path / "photographs", finished.path / "pool"
    (photographs / "light").rename(pool)
    (photographs / "light").symlink_to(pool)
    try:
        for name in (".DS_Store", "light/Thumbs.db", "dark/notes.txt"):
            (photographs / name).write_text("")
        (photographs / "dark" / "loop").symlink_to(photographs)
        assert finished.would_run() == []
        shutil.copy2(photographs / "dark" / "00.png", pool / "99.png")
        assert any(message.startswith("Making the images of photographs") for message in finished.would_run())
    finally:
        for path in (".DS_Store", "light/Thumbs.db", "light/99.png", "dark/notes.txt", "dark/loop", "light"):
            (photographs / path).unlink(missing_ok=True)
        pool.rename(photographs / "light")


def test_a_fault_that_the_digest_must_catch_is_caught(finished):
    """The staleness tests can fail: an arithmetic change in what all models share retrains all."""
    with edited(finished.path / "workflow/scripts/shapelens/training/schedule.py", lambda t: t + "\n\nEXTRA = 1\n"):
        trained = {word for word in words(finished.would_run()) if word.startswith("Training")}
    assert {"Training standard", "Training pgd-inf-8"} <= trained


# What goes wrong


def test_a_typo_stops_before_any_job(finished):
    with edited(finished.path / "tiny.yaml", replaced("epochs: 2", "epocs: 2")):
        done = finished.snakemake("-n", check=False)
    assert done.returncode
    said = done.stdout + done.stderr
    assert "training.epocs: unknown key" in said and "did you mean epochs?" in said


def test_an_installed_copy_of_the_library_is_refused(tmp_path):
    from shapelens.errors import UserError
    from shapelens.job import refuse_installed_copy

    with pytest.raises(UserError, match="pip uninstall shapelens"):
        refuse_installed_copy(tmp_path)


# How else it is used


def test_a_finished_model_is_measured_like_the_others_and_never_trained(finished, tmp_path):
    """A copy of a trained model's weights answers every image as the trained model does."""
    folder = finished.copied(tmp_path / "copy")
    study = folder.study()["studies"]["photographs"]
    common = {key: value for key, value in folder.study().items() if key != "studies"}
    weights = "results/photographs/models/standard/seed0/model.safetensors"
    mine = {"weights": weights, "arch": "resnet-small", "width": 4, "normalisation": "dataset"}
    study["models"] = {"standard": {}, "mine": mine}
    (folder.path / "mine.yaml").write_text(yaml.safe_dump({**common, **study}))
    target = "results/photographs/predictions/mine/seed0.parquet"
    folder.snakemake(target, "--cores", "2", config="mine.yaml")
    trained, same = (
        pd.read_parquet(folder.path / f"results/photographs/predictions/{model}/seed0.parquet")
        for model in ("standard", "mine")
    )
    pd.testing.assert_frame_equal(trained, same)
    selection = json.loads((folder.path / "results/photographs/models/mine/seed0/selection.json").read_text())
    assert selection["criterion"] == "finished"


def test_it_serves_as_a_module(finished, tmp_path):
    (tmp_path / "Snakefile").write_text(
        f"""
import yaml
config = yaml.safe_load(open({str(finished.path / "tiny.yaml")!r}))
del config["studies"]["photographs"]


module shapelens:
    snakefile: {str(finished.path / "Snakefile")!r}
    config: config


use rule * from shapelens as shapelens_*


rule mine:
    default_target: True
    input: "results/cues/figures/figure5.png"
"""
    )
    command = [sys.executable, "-m", "snakemake", "-n", "--cores", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Training pgd-inf-8 on cues" in done.stdout + done.stderr


def test_lint_finds_nothing():
    done = subprocess.run([sys.executable, "-m", "snakemake", "--lint"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.browser
def test_the_report_opens_in_a_browser_with_its_figures(finished, tmp_path):
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine: install Debian's package `chromium` to see the report tested")
    flags = [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", f"--user-data-dir={tmp_path / 'profile'}",
    ]  # fmt: skip
    page = (finished.path / "results" / "report.html").as_uri()
    command = [browser, *flags, "--virtual-time-budget=20000", "--dump-dom", page]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "Shapelens" in done.stdout or "Snakemake" in done.stdout
    for category in ("Accuracy", "Saliency", "Images", "Tables", "Claims"):
        assert category in done.stdout, category
    text = Path(finished.path / "results" / "report.html").read_text(encoding="utf-8")
    for name in ("figure1.png", "figure5.png", "figure9.png", "table1.html", "claims.html"):
        assert name in text, name
