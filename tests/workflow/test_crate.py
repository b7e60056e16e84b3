"""The crate of a real run names all that the run made, and its tree is checked against it without the environment."""

import json
import shutil
import subprocess
import sys
from urllib.parse import unquote

import pytest

from ..crate_rules import problems
from .conftest import ROOT


def verify(results):
    command = [sys.executable, "-I", "-S", str(ROOT / "tools" / "verify.py"), str(results)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture
def tree(finished, tmp_path):
    """A copy of the finished run's results, as on another machine."""
    shutil.copytree(finished.path / "results", tmp_path / "results")
    return tmp_path / "results"


def test_the_crate_of_a_run_names_every_file_and_what_its_profiles_ask_for(finished):
    results = finished.path / "results"
    crate = json.loads((results / "ro-crate-metadata.json").read_text())
    assert problems(crate, results) == []
    named = {unquote(one["@id"]) for one in crate["@graph"] if "File" in one["@type"]}
    paths = {path.relative_to(results) for path in results.rglob("*") if path.is_file()}
    paths = {path for path in paths if not any(part.startswith(".") for part in path.parts)}
    kept = {path.as_posix() for path in paths if not {"logs", "benchmarks", "reports"} & set(path.parts[:2])}
    assert named == kept - {"ro-crate-metadata.json"} and len(named) > 300
    entities = {one["@id"]: one for one in crate["@graph"]}
    (run,) = (one for one in crate["@graph"] if one["@type"] == "CreateAction")
    inputs = {entities[one["@id"]]["name"] for one in run["object"]}
    assert inputs == {"config.json", "photographs"}
    software = {entities[one["@id"]]["name"] for one in entities["Snakefile"]["softwareRequirements"]}
    assert {"python", "snakemake", "torch"} <= software
    assert (results / "Snakefile").read_bytes() == (finished.path / "Snakefile").read_bytes()


def test_an_intact_copy_is_intact_and_one_flipped_byte_is_named(tree):
    done = verify(tree)
    assert done.returncode == 0, done.stdout
    path = tree / "cues/models/standard/seed0/model.safetensors"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    (tree / "cues/tables/table1.md").unlink()
    (tree / "photographs/data/another.csv").touch()
    done = verify(tree)
    assert done.returncode == 1
    assert [line.split() for line in done.stdout.splitlines()[:-2]] == [
        ["changed", "cues/models/standard/seed0/model.safetensors"],
        ["missing", "cues/tables/table1.md"],
        ["additional", "photographs/data/another.csv"],
    ]
