"""Damaged and lost files, lost notes, results of another config: real Snakemake, in copies of a finished run."""

import json
import os
import re
import shutil
from base64 import urlsafe_b64encode

import pytest

from shapelens.study.config_files import TEMPLATE

from ..workflow.conftest import ROOT, copy_workflow

pytestmark = pytest.mark.timeout(1500)
NOTHING = "Nothing to be done"
ACCURACY = "results/photographs/tables/accuracy.csv"
TABLE = "results/photographs/tables/table1.md"
JOB = re.compile(r"^(?:Job \d+|localrule \w+|rule \w+): ?(\S+)", re.MULTILINE)
PAGE = (ROOT / "docs" / "how-to" / "when-something-broke.md").read_text(encoding="utf-8")


@pytest.fixture
def study(finished, tmp_path):
    """A copy of the finished tiny study, of its results and of Snakemake's notes."""
    return finished.copied(tmp_path / "copy")


def said(done):
    return done.stdout + done.stderr


def starts(study, *arguments):
    """Return the first word of each message of the jobs that a run would do now, and all that it says."""
    text = said(study.snakemake(*arguments, "-n"))
    return set(JOB.findall(text)), text


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


# Damaged


def test_a_small_file_that_was_damaged_is_made_again_before_it_is_used(study):
    """With a kept clock, and for a table that Snakemake alone would have nothing to do for."""
    whole = {path: (study.path / path).read_bytes() for path in (ACCURACY, TABLE)}
    stat = (study.path / ACCURACY).stat()
    cut(study.path / ACCURACY)
    half = (study.path / ACCURACY).read_bytes()
    os.utime(study.path / ACCURACY, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    text = said(study.snakemake(TABLE, "--cores", "2"))
    assert f"{ACCURACY}: it was changed after it was made" in text and "Counting what each model" in text
    assert {path: (study.path / path).read_bytes() for path in whole} == whole
    assert (study.path / f"{ACCURACY}.damaged-1").read_bytes() == half
    assert NOTHING in said(study.snakemake(TABLE, "-n"))


def test_after_a_damaged_input_the_same_command_makes_it_again(study):
    """An array is compared by the job that reads it: that job says so and ends."""
    rows = "results/photographs/predictions/standard/seed0.parquet"
    whole = {path: (study.path / path).read_bytes() for path in (rows, ACCURACY)}
    cut(study.path / rows)
    command = (ACCURACY, "--cores", "2", "--force")
    first = study.snakemake(*command, check=False)
    assert first.returncode
    text = " ".join(said(first).split())
    assert f"{rows}: its sha256 is" in text and "the rule predictions recorded" in text
    assert f"snakemake {rows} --cores 1 --force" in text and f"moved to {rows}.damaged-1" in text
    again = study.snakemake(*command)
    assert "Measuring standard" in said(again)
    assert {path: (study.path / path).read_bytes() for path in whole} == whole
    assert NOTHING in said(study.snakemake(ACCURACY, "-n"))


def test_images_that_are_made_again_alone_make_nothing_else_stale(study):
    """As the page says: made again by the command of an error, they are the same bytes."""
    command = "snakemake results/cues/data/manifest.json --cores 2 --force"
    assert command in PAGE
    labels = study.path / "results/photographs/data/train/labels.npy"
    whole = labels.read_bytes()
    labels.unlink()
    assert "Training standard on photographs" in starts(study)[1]
    study.snakemake(*command.replace("cues", "photographs").split()[1:])
    assert labels.read_bytes() == whole
    assert starts(study)[0] == set()


# Lost notes, and results of another config


def test_snakemakes_own_notes_say_what_the_records_say(finished):
    """Else every start would write them anew: what is compared here is made by two programs."""
    text = said(finished.snakemake("-n"))
    assert NOTHING in text and "record" not in text


def test_without_snakemakes_notes_nothing_is_made_again_and_a_change_is_still_seen(study):
    shutil.rmtree(study.path / ".snakemake")
    messages, text = starts(study)
    assert messages == set() and NOTHING in text
    assert "what its record beside it says counts" in text
    shutil.rmtree(study.path / ".snakemake")
    config = study.path / "tiny.yaml"
    config.write_text(config.read_text().replace("eps: 4/255", "eps: 3/255"))
    messages, text = starts(study)
    assert "Training pgd-inf-4 on cues" in text and NOTHING not in text
    assert "Training standard" not in text and "Training pgd-inf-8" not in text


def test_results_that_were_copied_alone_are_compared_with_the_config(study, tmp_path):
    alone = copy_workflow(tmp_path / "alone")
    shutil.copytree(study.path / "results", alone.path / "results")
    # The images of its own are other files, of the same bytes.
    messages, text = starts(alone)
    assert messages == set() and NOTHING in text
    config = alone.path / "tiny.yaml"
    config.write_text(config.read_text().replace("samples: 3", "samples: 4"))
    assert "Mapping standard" in starts(alone)[1]


def test_one_emptied_note_hides_no_change(study):
    notes = study.path / ".snakemake" / "metadata"
    model = "results/cues/models/pgd-inf-4/seed0/model.safetensors"
    note = notes / urlsafe_b64encode(model.encode()).decode()
    assert json.loads(note.read_text())["rule"] == "train"
    for path in (study.path / model).parent.iterdir():
        if path.is_file():
            name = path.relative_to(study.path).as_posix()
            (notes / urlsafe_b64encode(name.encode()).decode()).write_text("")
    config = study.path / "tiny.yaml"
    config.write_text(config.read_text().replace("eps: 4/255", "eps: 3/255"))
    assert "Training pgd-inf-4 on cues" in starts(study)[1]


def test_results_of_unknown_origin_are_named_and_made_again_or_taken_as_they_are(study):
    folder = study.path / "results/photographs/tables"
    shutil.rmtree(folder / ".made")
    shutil.rmtree(study.path / ".snakemake")
    messages, text = starts(study)
    assert "nothing is recorded of what it was made from" in text and "results/photographs/tables/" in text
    assert {"Counting", "Writing", "Judging"} <= messages and "Training" not in messages
    study.snakemake("--touch", "--cores", "1")
    assert starts(study)[0] == set()
    assert (folder / ".made" / "accuracy.csv.record").exists()


# Lost files, and the page's other lines


@pytest.mark.parametrize(
    ("lost", "target", "makes"),
    [
        ("models/standard", "all", "Training standard on cues"),
        ("predictions", "results", "Measuring standard (seed 0) on cues"),
        ("saliency", "all", "Mapping standard (seed 0) on cues"),
        ("tables/accuracy.csv", "tables", "Counting what each model of cues"),
        ("data", "all", "Making the images of cues"),
        ("testsets/clean/labels.npy", "results", "Making the test set clean of cues"),
        ("models/standard/seed0/history.csv", "all", "Training standard on cues"),
        ("rulers", "all", "Choosing a conflict set of cues"),
    ],
)
def test_what_was_deleted_is_made_again(finished, lost, target, makes):
    """Dry-runs over the finished run itself, with the files moved away for as long."""
    path = finished.path / "results" / "cues" / lost
    away = finished.path / "away"
    path.rename(away)
    try:
        done = finished.snakemake(target, "-n")
    finally:
        away.rename(path)
    assert makes in said(done) and NOTHING not in said(done)


def test_to_start_afresh_the_results_are_deleted(study):
    """Snakemake's notes of what is gone are in nobody's way."""
    shutil.rmtree(study.path / "results")
    assert {"Training", "Counting", "Drawing", "Gathering"} <= starts(study)[0]


def test_the_words_of_the_page_are_those_of_the_program():
    """Every message in the page's table is one that the code, or Snakemake, says."""
    rows = re.findall(r"^\| (.+?) \| .+ \|$", PAGE.split("## The run was killed")[0], re.M)[2:]
    code = " ".join(path.read_text(encoding="utf-8") for path in (ROOT / "workflow/scripts").rglob("*.py"))
    code = re.sub(r'"\s*\n\s*f?"', "", code).replace("{TEMPLATE}", TEMPLATE)
    foreign = {"Directory cannot be locked", "UnicodeDecodeError", "RecursionError", "Exceeds the limit (4300 digits)"}
    for row in rows:
        for words in set(re.findall(r"`([^`]+)`", row)) - foreign:
            for part in filter(None, map(str.strip, re.split(r"…|\d+ ", words))):
                assert part in code, f"{words}: nothing says {part!r}"
    assert len(rows) > 10
