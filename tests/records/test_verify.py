"""A result that is not what its maker recorded ends the job that would use it, by name, and is set aside."""

import os
from pathlib import Path

import pytest

from shapelens.artefacts.files import save_npy, sha256, verified_set, write_json
from shapelens.errors import DamagedFileError
from shapelens.job import job
from shapelens.records import verify
from shapelens.records.made import read_record, record_path
from shapelens.records.verify import difference, set_aside, verify_inputs, verify_small

from .test_made import MEANS, TABLE, fake, folder, make  # noqa: F401 (folder is a fixture)

SET = "results/cues/testsets/clean"
ARRAYS = tuple(f"{SET}/{name}" for name in ("images.npy", "labels.npy", "manifest.json"))


@pytest.fixture
def means():
    make(fake(inputs=(), outputs=(MEANS,)), "value\n0.5\n0.7\n")
    return Path(MEANS)


def half(path, keep_clock=True):
    """Cut a file to half; its times stay as they were."""
    stat = path.stat()
    path.write_bytes(path.read_bytes()[: stat.st_size // 2])
    if keep_clock:
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize("keep_clock", [True, False])
def test_half_a_table_is_not_used(means, capsys, keep_clock):
    half(means, keep_clock)
    with pytest.raises(SystemExit):
        make(fake())
    said = " ".join(capsys.readouterr().err.split())
    assert f"Error in table: {MEANS}: its sha256 is" in said and "the rule table recorded" in said
    assert f"To make it again: snakemake {MEANS} --cores 1 --force" in said
    assert f". It was moved to {MEANS}.damaged-1: the command that you gave makes it again, too" in said
    assert not means.exists() and Path(f"{MEANS}.damaged-1").read_text() == "value\n0"
    assert not Path(TABLE[0]).exists() and not record_path(TABLE[0]).exists()


def test_what_is_whole_is_used(means):
    make(fake())
    assert read_record(TABLE[0]).sha256[MEANS] == sha256(means)


def test_nothing_that_was_set_aside_is_lost(means):
    for number in (1, 2):
        means.write_text(str(number))
        assert set_aside(means, [MEANS]) == [Path(f"{MEANS}.damaged-{number}")]
    assert Path(f"{MEANS}.damaged-1").read_text() == "1"


def test_what_is_no_result_stays_where_it_is(tmp_path):
    mine = Path("photographs/a.csv")
    mine.parent.mkdir()
    mine.write_text("mine")
    assert set_aside(mine, [str(mine)]) == [] and mine.read_text() == "mine"
    verify_inputs([str(mine)])


def test_a_missing_result_is_named_with_its_maker(means):
    means.unlink()
    with pytest.raises(DamagedFileError, match=f"{MEANS} is missing; the rule table had made it"):
        verify_inputs([MEANS])


def test_another_results_record_vouches_for_nothing(means):
    other = "results/photographs/saliency/means.csv"
    make(fake(inputs=(), outputs=(other,)), "value\n0.1\n0.2\n")
    means.write_bytes(Path(other).read_bytes())
    record_path(means).write_bytes(record_path(other).read_bytes())
    assert f"its record is that of another file, {other}" in difference(MEANS)


def test_a_damaged_record_vouches_for_nothing(means):
    half(record_path(means))
    assert "cannot be read" in difference(MEANS)


def test_a_result_without_a_record_is_used_and_named(means, caplog):
    record_path(means).unlink()
    verify.logger.propagate = True
    verify_inputs([MEANS])
    assert f"{MEANS} has no record" in caplog.text


def test_a_record_that_another_machine_wrote_a_little_late_is_waited_for(means, monkeypatch):
    text = record_path(means).read_text()
    record_path(means).write_text(text.replace(sha256(means), "0" * 64))
    waited = []

    def sleep(seconds):
        waited.append(seconds)
        if len(waited) == 2:
            record_path(means).write_text(text)

    monkeypatch.setattr(verify, "WAITS", (0, 1, 4))
    monkeypatch.setattr(verify.time, "sleep", sleep)
    verify_inputs([MEANS])
    assert waited == [0, 1]


@pytest.fixture
def testset():
    """A test set of which a job names the images and the manifest, and reads the labels that lie beside them."""
    with job(fake(inputs=(), outputs=ARRAYS)):
        for path in ARRAYS[:2]:
            save_npy(path, range(20))
        write_json(ARRAYS[2], {"sha256": {Path(path).name: sha256(path) for path in ARRAYS[:2]}})
    return Path(SET)


@pytest.mark.parametrize("damage", [half, Path.unlink])
def test_what_stands_for_a_damaged_file_goes_with_it(testset, damage):
    """Snakemake asks the job's inputs only: with the images gone it makes the labels again, too."""
    damage(testset / "labels.npy")
    with pytest.raises(SystemExit), job(fake(inputs=(ARRAYS[0], ARRAYS[2]))):
        verified_set(testset)
    assert not (testset / "images.npy").exists() and not (testset / "manifest.json").exists()
    assert (testset / "images.npy.damaged-1").exists()
    assert (testset / "labels.npy.damaged-1").exists() is (damage is half)


def test_a_job_that_sums_up_compares_all_that_is_small(testset, means):
    verify_small(Path("results"))
    half(testset / "images.npy")  # whoever uses an array compares it
    verify_small(Path("results"))
    half(means)
    with pytest.raises(DamagedFileError, match=MEANS):
        verify_small(Path("results"))


def test_large_files_are_read_once(testset, monkeypatch):
    """The record, the manifest and the job ask for the same hash."""
    import time

    from shapelens.artefacts import files

    time.sleep(2 * files.TICK)
    files._hashed.clear()
    read = []
    digest = files.hashlib.file_digest
    monkeypatch.setattr(files.hashlib, "file_digest", lambda file, kind: read.append(file.name) or digest(file, kind))
    verify_inputs(ARRAYS)
    verified_set(testset)
    assert sorted(map(str, read)) == sorted(ARRAYS)
    images = testset / "images.npy"
    stat = images.stat()
    images.write_bytes(images.read_bytes()[:-1] + b"x")
    os.utime(images, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # a kept clock
    time.sleep(2 * files.TICK)
    with pytest.raises(DamagedFileError):
        verified_set(testset)
