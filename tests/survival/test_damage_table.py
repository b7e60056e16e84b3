"""Every kind of file that the workflow makes, damaged in every way: what would use it says so, and nothing is used.

The table is made from the records of finished runs, so a new rule or instrument is in it the day it is added.
Nothing is run: what a job does first, the comparison, is called on a copy of the results.
"""

import os
import shutil
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import yaml
from snakemake.persistence.file import FilePersistence

from shapelens.artefacts.files import sha256, verified_set
from shapelens.errors import DamagedFileError
from shapelens.instruments.registry import INSTRUMENTS
from shapelens.planning.plan import Plan
from shapelens.planning.staleness import compare
from shapelens.records.made import Made, read_record, record_path
from shapelens.records.verify import ARRAYS, verify_inputs, verify_small

from ..workflow import conftest

pytestmark = pytest.mark.timeout(1500)
SCRIPTS = Path(__file__).resolve().parents[2] / "workflow" / "scripts"


@dataclass(frozen=True)
class Use:
    """One kind of file, an example of it, and what meets it: a job of another rule, or a job that sums up."""

    maker: str
    path: str
    reader: str
    meet: Callable[[], object]


@pytest.fixture(scope="module")
def copied(finished, made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("damaged")
    shutil.copytree(finished.path / "results", folder / "results")
    shutil.copytree(made.path / "results" / "made", folder / "results" / "made")
    return folder


@pytest.fixture(autouse=True)
def here(copied, monkeypatch):
    monkeypatch.chdir(copied)
    monkeypatch.setattr("shapelens.records.verify.WAITS", (0.0,))


@cache
def all_results():
    """Return every file that a job of the run made; the same before each damage and after."""
    return conftest.all_results()


def jobs() -> dict[str, list[Made]]:
    """Return what every rule's jobs made, by rule."""
    found: dict[str, list[Made]] = {}
    for path in all_results():
        made = read_record(path)
        if made is not None and made not in found.setdefault(made.rule, []):
            found[made.rule].append(made)
    return found


@cache
def uses() -> list[Use]:
    """Return every kind of file with everything that meets it.

    A kind is an output of a rule, by its place, with the rule that reads it; one example stands for all. Where a job
    reads what its rule does not name, such as the labels beside images, the folder's manifest is compared; what is left
    is compared by the jobs that sum up all results.
    """
    by_rule = jobs()
    makers = {path: made.rule for several in by_rule.values() for made in several for path in made.outputs}
    found: dict[tuple[str, str, str], Use] = {}
    for rule, several in by_rule.items():
        for path in filter(makers.get, (path for made in several for path in made.inputs)):
            key = makers[path], Path(path).name if "seed" not in path else path.split("seed")[-1], rule
            found.setdefault(key, Use(makers[path], path, rule, lambda path=path: verify_inputs([path])))
    read = {use.path for use in found.values()}
    named = {path for several in by_rule.values() for made in several for path in made.inputs}
    for rule, (made, *_) in by_rule.items():
        for path in set(made.outputs) - read:
            folder = Path(path).parent
            if Path(path).suffix not in ARRAYS:
                found[rule, path, ""] = Use(rule, path, "what sums up", lambda f=folder: verify_small(f))
            elif path not in named and (folder / "manifest.json").exists():
                found[rule, path, ""] = Use(rule, path, "what opens the folder", lambda f=folder: verified_set(f))
    return list(found.values())


# Damages: each takes a path and returns whether it could be done.


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(bytes(data))


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path):
    path.write_bytes(b"")


def delete(path):
    path.unlink()


def foreign(path):
    """Put a whole and valid file of the same name or kind in its place, as from another study or model."""
    path.write_bytes(_other(path).read_bytes())


def foreign_with_its_record(path):
    other = _other(path)
    path.write_bytes(other.read_bytes())
    shutil.copy(record_path(other), record_path(path))


def _other(path):
    """Return another result whose bytes differ: of the same name, else of the same suffix, else any."""
    others = [other for other in map(Path, all_results()) if other != path]
    others.sort(key=lambda other: (other.name != path.name, other.suffix != path.suffix))
    return next(other for other in others if other.read_bytes() != path.read_bytes())


DAMAGES = (flip, truncate, empty, delete, foreign, foreign_with_its_record)


def all_files(finished, made):
    """Return what rule all asks for."""
    found = set()
    for folder, study in ((finished, finished.study()), (made, yaml.safe_load((made.path / "made.yaml").read_text()))):
        with chdir(folder.path):
            found |= set(Plan(study, SCRIPTS).all_files())
    return found


def noticed(use, damage, keep_clock):
    """Damage a file, ask what meets it, and put the file back; return what was said, or None."""
    path, record = Path(use.path), record_path(use.path)
    stat, data, kept = path.stat(), path.read_bytes(), record.read_bytes()
    damage(path)
    if keep_clock and path.exists():
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    try:
        use.meet()
        return None
    except DamagedFileError as error:
        return error
    finally:
        path.write_bytes(data)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        record.write_bytes(kept)


def test_every_file_of_the_run_has_a_record_of_its_own():
    unrecorded = [path for path in all_results() if (made := read_record(path)) is None or path not in made.outputs]
    assert unrecorded == []
    wrong = [path for path in all_results() if read_record(path).sha256[path] != sha256(path)]
    assert wrong == []


def test_every_instrument_is_in_the_table():
    """One that no study here asks for is not tried: add it to tests/workflow/tiny.yaml, or to a run beside it."""
    assert set(INSTRUMENTS) <= set(jobs())


def test_every_kind_of_file_is_in_the_table():
    """All that the first job of each rule makes is met by something; no array is left out."""
    table = {use.path for use in uses()}
    kinds = {(Path(path).name, made.rule) for made, *_ in jobs().values() for path in made.outputs}
    covered = {(Path(path).name, read_record(path).rule) for path in table}
    assert kinds - covered == set()


def test_what_is_whole_is_used():
    """The planted fault: a comparison that refuses everything would pass below."""
    for made, *_ in jobs().values():
        verify_inputs(made.inputs)
    for use in uses():
        use.meet()


def test_every_small_file_that_differs_is_named_when_the_workflow_starts(tmp_path):
    """One that no job reads, too: whatever is changed, it is not what "Nothing to be done" is said of."""
    small = [path for path in {use.path for use in uses()} if Path(path).suffix not in ARRAYS]
    notes = FilePersistence(nolock=True, path=tmp_path)
    compare(small, notes)
    kept = {path: Path(path).read_bytes() for path in small}
    try:
        for path in small:
            flip(Path(path))
        assert sorted(compare(small, notes).changed) == sorted(small)
    finally:
        for path, data in kept.items():
            Path(path).write_bytes(data)
    assert compare(small, notes).changed == []


@pytest.mark.parametrize("keep_clock", [True, False], ids=["clock kept", "clock moved"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_no_damaged_file_is_used_in_silence(finished, made, damage, keep_clock):
    asked = all_files(finished, made)
    silent, misnamed = [], []
    for use in uses():
        said = noticed(use, damage, keep_clock)
        if said is None and damage is delete and use.path in asked:
            continue  # it is not read, and Snakemake finds it missing
        if said is None:
            silent.append(f"{use.path} (made by {use.maker}) meets {use.reader}")
        elif said.path != Path(use.path) or f"snakemake {use.path} --cores 1 --force" not in str(said):
            misnamed.append(f"{use.path}: {said}")
    assert not silent, "\n".join(silent)
    assert not misnamed, "\n".join(misnamed)
