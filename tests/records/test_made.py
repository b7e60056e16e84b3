"""The record beside every result: written when its job ends, gone when another begins, found from the path alone."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from shapelens.artefacts.files import sha256
from shapelens.job import job
from shapelens.records.made import is_result, read_record, record_path

from ..fake_job import Params, Paths

SCRIPTS = Path(__file__).resolve().parents[2] / "workflow" / "scripts"
MEANS = "results/cues/saliency/means.csv"
TABLE = ("results/cues/tables/saliency.csv", "results/cues/tables/saliency.md")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("shapelens.records.verify.WAITS", (0.0,))
    Path(MEANS).parent.mkdir(parents=True)
    Path(MEANS).write_text("value\n0.5\n")


def fake(inputs=(MEANS, "resources/photos.zip"), outputs=TABLE, **params):
    return SimpleNamespace(
        input=Paths(rows=list(inputs)),
        output=Paths(files=list(outputs)),
        params=Params(code="code 1", **params),
        log=["results/cues/logs/table.log"],
        resources=SimpleNamespace(gpu=0),
        rule="table",
        scriptdir=str(SCRIPTS),
    )


def make(snakemake, text="made\n"):
    with job(snakemake):
        for path in snakemake.output:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text(text)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("results/cues/tables/a.csv", True),
        ("results/report.html", True),
        ("sub/results/cues/a.csv", True),
        ("resources/cifar-10-binary.tar.gz", False),
        ("photographs/results", False),
        (".snakemake/storage/fs/study/results/cues/a.csv", False),
    ],
)
def test_what_a_result_is(path, expected):
    assert is_result(path) is expected


def test_every_result_of_a_job_has_a_record_of_what_went_in_and_came_out():
    make(fake(spec='{"id":"saliency"}', studies=["cues"]))
    for path in TABLE:
        assert record_path(path) == Path(path).parent / ".made" / f"{Path(path).name}.record"
        made = read_record(path)
        assert made.rule == "table" and made.params == {
            "code": "'code 1'",
            "spec": """'{"id":"saliency"}'""",
            "studies": "['cues']",
        }
        assert made.inputs == [MEANS, "resources/photos.zip"] and made.outputs == list(TABLE)
        assert made.sha256 == {name: sha256(name) for name in (MEANS, *TABLE)}
        assert made.started <= made.ended


def test_what_lies_outside_the_results_has_none():
    Path("resources").mkdir()
    make(fake(inputs=(), outputs=("resources/photos.zip",)))
    assert read_record("resources/photos.zip") is None and not Path("resources/.made").exists()


def test_a_job_that_begins_again_and_fails_leaves_no_record():
    """Killed before it ends, it leaves files that may be whole or half: nothing says that they are whole."""
    make(fake())
    with pytest.raises(ZeroDivisionError), job(fake()):
        assert not [path for path in TABLE if record_path(path).exists()]
        raise ZeroDivisionError
    assert not [path for path in TABLE if record_path(path).exists()]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"rule": 1}'])
def test_a_record_that_cannot_be_read_says_so(text):
    make(fake())
    record_path(TABLE[0]).write_text(text)
    with pytest.raises(ValueError):
        read_record(TABLE[0])


def test_a_record_that_is_a_folder_cannot_be_read():
    record_path(TABLE[0]).mkdir(parents=True)
    with pytest.raises(ValueError, match="directory"):
        read_record(TABLE[0])


def test_a_record_whose_values_are_no_text_cannot_be_read():
    make(fake())
    record = json.loads(record_path(TABLE[0]).read_text())
    record_path(TABLE[0]).write_text(json.dumps({**record, "params": {"code": 1}}))
    with pytest.raises(ValueError, match="no text"):
        read_record(TABLE[0])
