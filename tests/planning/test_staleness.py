"""Snakemake's notes say what the records beside the results say, whatever they said before."""

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.persistence.file import FilePersistence

from shapelens.planning.staleness import CHANGED, UNKNOWN, accept, compare, keep
from shapelens.records.made import read_record, record_path, write_records

from ..fake_job import Params

ROWS, RECORD, TABLE = (f"results/cues/{name}" for name in ("robust/m/seed0.parquet", "robust/m/seed0.json", "t.csv"))
ALL = [ROWS, RECORD, TABLE]


def job(rule, inputs, outputs, **params):
    log = [f"results/cues/logs/{rule}.log"]
    return SimpleNamespace(rule=rule, input=inputs, output=outputs, params=Params(**params), log=log)


def write(path, text):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def measured(text="rows", eps="8/255"):
    for path in (ROWS, RECORD):
        write(path, text)
    write_records(job("robust", ["resources/a.zip"], [ROWS, RECORD], code="code 1", spec=f'{{"eps":"{eps}"}}'), 1, 2)


def counted(text="numbers"):
    write(TABLE, text)
    write_records(job("accuracy", [ROWS, RECORD], [TABLE], code="code 2"), 3, 4)


def notes():
    """Return Snakemake's own notes of this folder, as a run would read them now."""
    return FilePersistence(nolock=True)


def note(path):
    return notes()._read_record(path)


@pytest.fixture(autouse=True)
def tree(tmp_path, monkeypatch):
    """Two jobs' results with their records, and no .snakemake/."""
    monkeypatch.chdir(tmp_path)
    measured()
    counted()


def test_lost_notes_come_back_as_snakemake_writes_them():
    found = compare(ALL, notes())
    assert found.corrected == ALL and not found.unknown
    written = note(ROWS)
    assert written.rule == "robust" and written.input == ["resources/a.zip"]
    assert written.params == sorted(["'code 1'", """'{"eps":"8/255"}'"""])
    assert written.input_checksums == {} and written.starttime == 1
    checksums = note(TABLE).input_checksums
    assert checksums == {path: f"sha256:{read_record(path).sha256[path]}" for path in (ROWS, RECORD)}
    assert note(ROWS).job_hash == note(RECORD).job_hash != note(TABLE).job_hash
    assert compare(ALL, notes()).lines() == [], "a second look finds nothing to put right"


@pytest.mark.parametrize("text", ["", "{", "[1]", "7", '{"params": 3}', '{"params": ["\'another config\'"]}'])
def test_one_note_that_was_emptied_cut_or_is_anothers_is_put_right(text):
    compare(ALL, notes())
    before = note(TABLE)
    Path(notes()._record_path(notes()._metadata_path, TABLE)).write_text(text)
    found = compare(ALL, notes())
    assert found.corrected == [TABLE] and note(TABLE) == before
    assert f"{TABLE}: .snakemake/ did not say what it was made from" in found.lines()[0]


def test_results_of_another_config_that_were_put_in_their_place_are_noted_as_such(tmp_path):
    """Snakemake's own notes say that all is as asked; they are of the results that lay here before."""
    shutil.copytree("results", "mine")
    measured(eps="4/255")
    counted()
    compare(ALL, notes())
    shutil.rmtree("results")
    shutil.copytree("mine", "results")
    assert compare(ALL, notes()).corrected == [ROWS, RECORD]
    assert """'{"eps":"8/255"}'""" in note(ROWS).params


def test_a_result_without_a_record_is_noted_as_of_unknown_origin():
    compare(ALL, notes())
    record_path(TABLE).unlink()
    found = compare(ALL, notes())
    assert found.unknown == [TABLE] and note(TABLE).params == [UNKNOWN]
    (line,) = found.lines()
    assert TABLE in line and "--touch" in line and line.endswith("\n")


def test_a_small_result_that_was_changed_is_made_again_and_kept():
    """Even one that no job reads; with a kept clock Snakemake alone would never look."""
    compare(ALL, notes())
    stat = Path(TABLE).stat()
    Path(TABLE).write_text("mended!")
    os.utime(TABLE, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    for _ in range(2):
        found = compare(ALL, notes())
        assert found.changed == [TABLE] and not found.corrected and note(TABLE).params == [CHANGED]
        assert f"{TABLE}: {CHANGED}" in found.lines()[0]
    keep(found.changed, [SimpleNamespace(output=[ROWS, RECORD])])
    assert Path(TABLE).exists(), "no job makes it now"
    keep(found.changed, [SimpleNamespace(output=[TABLE])])
    assert not Path(TABLE).exists() and Path(f"{TABLE}.damaged-1").read_text() == "mended!"
    counted()
    assert compare(ALL, notes()).changed == [] and note(TABLE).params == ["'code 2'"]


def test_what_a_killed_run_left_is_snakemakes_own_concern():
    compare(ALL, notes())
    record_path(TABLE).unlink()
    notes()._mark_incomplete(TABLE, None)
    assert compare(ALL, notes()).lines() == [] and note(TABLE).params == ["'code 2'"]


@pytest.mark.parametrize("text", ["", "{}"])
def test_a_damaged_record_says_nothing(text):
    record_path(TABLE).write_text(text)
    assert compare(ALL, notes()).unknown == [TABLE]


def test_another_results_record_says_nothing():
    shutil.copy(record_path(ROWS), record_path(TABLE))
    assert compare(ALL, notes()).unknown == [TABLE]


def test_a_result_whose_input_was_replaced_with_its_record_is_stale():
    """A model's folder that was copied from another machine, with its records and older dates."""
    compare(ALL, notes())
    measured("other rows")
    assert compare(ALL, notes()).corrected == [TABLE]
    assert note(TABLE).params == [f"made from another {ROWS}", f"made from another {RECORD}"]
    measured()
    compare(ALL, notes())
    assert note(TABLE).params == ["'code 2'"], "put back, it is what the table was made from"


def test_what_does_not_exist_is_not_noted():
    Path(TABLE).unlink()
    assert TABLE not in compare(ALL, notes()).corrected
    assert note(TABLE) is None


def test_after_touch_results_count_as_made_from_what_the_config_says_now():
    Path(record_path(TABLE)).unlink()
    of_graph = SimpleNamespace(**vars(job("", [ROWS, RECORD], [TABLE], code="code 3")))
    of_graph.rule = SimpleNamespace(name="accuracy")
    gone = SimpleNamespace(rule=of_graph.rule, input=[], output=["results/cues/gone.csv"], params=Params(), log=[])
    accept([of_graph, gone])
    assert read_record(TABLE).params == {"code": "'code 3'"} and read_record("results/cues/gone.csv") is None
    assert compare(ALL, notes()).unknown == []
