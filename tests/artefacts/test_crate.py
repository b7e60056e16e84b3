"""The crate of a run holds what its profiles ask for, and a tree is checked against it."""

import importlib.util
import json
import logging
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

import shapelens
from shapelens.artefacts.crate import crate, files_of_the_run, hashes_in
from shapelens.artefacts.files import sha256, write_json

from ..crate_rules import problems

ROOT = Path(__file__).resolve().parents[2]
VERIFY = ROOT / "tools" / "verify.py"
ASKED = {
    *("cues/data/manifest.json", "cues/data/train/images.npy", "cues/tables/table1.csv", "cues/tables/table1.md"),
    *("cues/models/standard/seed0/model.safetensors", "cues/models/standard/seed0/selection.json"),
    *("cues/testsets/own+low pass/images.npy", "cues/testsets/own+low pass/manifest.json"),
}
OFFICIAL = {"kind": "official", "title": "CIFAR-10", "url": "https://example.org/cifar.tar.gz", "sha256": "a" * 64}
RECORD = {
    "git": {"commit": "abc", "changed": True},
    "platform": "Linux",
    "processor_count": 2,
    "packages": {"python": "3.12", "snakemake": "9.27", "torch": "2.15"},
    "artefacts": {
        "cues/data/manifest.json": {"source": OFFICIAL, "sha256": {}},
        "cues/styles/manifest.json": {"source": {"kind": "archive", "name": "paintings.zip", "sha256": "b" * 64}},
        "cues/testsets/own/manifest.json": {"source": {"kind": "folder", "name": "mine"}},
        "cues/testsets/clean/manifest.json": {"source": {"kind": "drawn"}},
        "cues/models/standard/seed0/spec.json": {"spec": {"finished": {"weights": "/home/ada/net.pth"}}},
    },
}
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def results(tmp_path):
    """The results of a run, with its crate."""
    root = tmp_path / "results"
    for name in (
        *("config.json", "provenance.json", "report.html", "report.zip", "Snakefile"),
        *("cues/data/manifest.json", "cues/data/train/images.npy", "cues/models/standard/seed0/model.safetensors"),
        *("cues/testsets/own+low pass/images.npy", "cues/tables/table1.csv", "cues/tables/table1.md"),
        *("logs/report.log", "cues/logs/dataset.log", "cues/benchmarks/dataset.tsv", ".state/a/state.pt"),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"This is {name}.\n")
    write_crate(root)
    return root


def write_crate(root):
    made = crate(root, files_of_the_run(root, ASKED), RECORD, {}, NOW)
    write_json(root / "ro-crate-metadata.json", made)
    return made


def verify(*arguments):
    """Run the tool as another machine would: without packages, and from anywhere."""
    command = [sys.executable, "-I", "-S", str(VERIFY), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd="/")


def by_id(made):
    return {entity["@id"]: entity for entity in made["@graph"]}


def test_the_crate_holds_what_its_profiles_ask_for(results):
    assert problems(write_crate(results), results) == []


@pytest.mark.parametrize(
    ("at", "key", "word"),
    [
        ("./", "datePublished", "datePublished"),
        ("./", "mainEntity", "mainEntity is a workflow"),
        ("./", "hasPart", "hasPart"),
        ("Snakefile", "programmingLanguage", "programmingLanguage"),
        ("cues/tables/table1.csv", "sha256", "sha256"),
        ("ro-crate-metadata.json", "about", "descriptor about"),
    ],
)
def test_what_a_crate_lacks_is_found(results, at, key, word):
    made = write_crate(results)
    value = by_id(made)[at].pop(key)
    if key == "datePublished":
        by_id(made)[at][key] = value[:10]  # without its zone
    assert any(word in text for text in problems(made, results))


def test_files_inputs_parameters_software_and_dates_are_described(results):
    os.utime(results / "report.zip", (NOW.timestamp() - 60, NOW.timestamp() - 60))
    for path in results.rglob("*"):
        if path.is_file() and path.name != "report.zip":
            os.utime(path, (NOW.timestamp() - 600, NOW.timestamp() - 600))
    entities = by_id(write_crate(results))
    assert entities["cues/testsets/own%2Blow%20pass/images.npy"] == {
        "@id": "cues/testsets/own%2Blow%20pass/images.npy",
        "@type": "File",
        "name": "cues/testsets/own+low pass/images.npy",
        "contentSize": str((results / "cues/testsets/own+low pass/images.npy").stat().st_size),
        "encodingFormat": "application/x-npy",
        "dateModified": "2026-01-02T02:54:05+00:00",
        "sha256": sha256(results / "cues/testsets/own+low pass/images.npy"),
    }
    (run,) = (entity for entity in entities.values() if entity["@type"] == "CreateAction")
    assert run["endTime"] == "2026-01-02T03:03:05+00:00" and "agent" not in run and "Commit abc" in run["description"]
    inputs = [entities[one["@id"]] for one in run["object"]]
    assert [one["name"] for one in inputs] == ["config.json", "CIFAR-10", "paintings.zip", "mine", "net.pth"]
    assert [one.get("sha256", "")[:1] for one in inputs[1:]] == ["a", "b", "", ""]
    assert inputs[1]["@id"] == OFFICIAL["url"] and "/home/ada" not in json.dumps(list(entities.values()))
    made = {one["@id"] for one in run["result"]}
    assert {"report.html", "cues/data/manifest.json"} <= made and not made & {"Snakefile", "config.json"}
    required = {one["@id"] for one in entities["Snakefile"]["softwareRequirements"]}
    assert {entities[at]["name"]: entities[at]["softwareVersion"] for at in required} == RECORD["packages"]
    assert entities["Snakefile"]["version"] == shapelens.__version__


def test_the_same_results_are_the_same_run(results):
    def action(made):
        return next(entity["@id"] for entity in made["@graph"] if entity["@type"] == "CreateAction")

    first = action(write_crate(results))
    assert action(write_crate(results)) == first
    (results / "cues/tables/table1.csv").write_text("other")
    assert action(write_crate(results)) != first


def test_logs_hidden_files_other_studies_and_leftovers_are_no_part_of_a_run(results, caplog):
    left = [
        "cues/models/removed/seed0/model.safetensors",
        "cues/tables/table10.csv",
        "cues/tables/table1.csv.damaged-1",
    ]
    for name in (*left, "other/data/manifest.json", "cues/data/.images.npy.part", "cues/data/.unpacked-1/a"):
        (results / name).parent.mkdir(parents=True, exist_ok=True)
        (results / name).touch()
    (results / "cues/data/loop").symlink_to(results / "cues")
    with caplog.at_level(logging.WARNING, "shapelens"):
        files = files_of_the_run(results, ASKED)
    assert not set(files) & {*left, "other/data/manifest.json"} and "cues/tables/table1.csv" in files
    assert [path for path in files if "logs" in path or "/." in path or "loop" in path] == []
    (said,) = caplog.messages
    assert "3 files in the studies' folders are no part of this run" in said and all(name in said for name in left)


def test_what_a_job_does_not_see_is_described_by_the_records_beside_it(results):
    seen = {f"cues/{path}": letter * 64 for path, letter in (
        ("data/train/images.npy", "0"), ("data/test/labels.npy", "1"), ("testsets/own+low pass/images.npy", "2"),
        ("models/standard/seed0/model.safetensors", "3"), ("models/standard/seed0/snapshots.safetensors", "4"),
    )}  # fmt: skip
    artefacts = {
        "cues/data/manifest.json": {
            "splits": {"train": {"sha256": {"images.npy": "0" * 64}}, "test": {"sha256": {"labels.npy": "1" * 64}}},
            "source": OFFICIAL,
        },
        "cues/testsets/own+low pass/manifest.json": {"sha256": {"images.npy": "2" * 64}, "splits": None},
        "cues/models/standard/seed0/selection.json": {
            "weights_sha256": "3" * 64, "snapshots": {"epochs": [0], "sha256": "4" * 64}, "match": None,
        },
        "cues/models/removed/seed0/selection.json": {"weights_sha256": "5" * 64},
        "other/data/manifest.json": {"sha256": {"images.npy": "6" * 64}},
    }  # fmt: skip
    recorded = hashes_in(artefacts, ASKED)
    assert recorded == seen
    path = results / "cues/models/standard/seed0/model.safetensors"
    path.unlink()
    entities = by_id(crate(results, files_of_the_run(results, ASKED), RECORD, recorded, NOW))
    absent = entities["cues/models/standard/seed0/model.safetensors"]
    assert absent["sha256"] == "3" * 64 and "contentSize" not in absent
    # What it sees it hashes itself.
    assert entities["cues/data/train/images.npy"]["sha256"] == sha256(results / "cues/data/train/images.npy")
    assert {"@id": absent["@id"]} in entities["./"]["hasPart"]


# The tool


def test_an_intact_tree_is_intact_wherever_it_lies(results, tmp_path):
    shutil.copytree(results, tmp_path / "a copy")
    done = verify(tmp_path / "a copy")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "11 files" in done.stdout and "All files are there and unchanged" in done.stdout
    assert sha256(results / "ro-crate-metadata.json") in done.stdout


def test_what_is_missing_changed_or_additional_is_named(results):
    (results / "report.zip").unlink()
    (results / "cues/extra.txt").touch()
    path = results / "cues/testsets/own+low pass/images.npy"
    data = bytearray(path.read_bytes())
    data[3] ^= 1
    path.write_bytes(data)
    done = verify(results)
    assert done.returncode == 1
    assert [line.split(maxsplit=1) for line in done.stdout.splitlines()[:-2]] == [
        ["changed", "cues/testsets/own+low pass/images.npy"],
        ["missing", "report.zip"],
        ["additional", "cues/extra.txt"],
    ]
    assert "3 files differ" in done.stdout


def test_logs_and_hidden_files_may_be_there_or_not(results):
    (results / "cues/tables/.made").mkdir()
    (results / "cues/tables/.made/table1.csv.record").touch()
    (results / "reports/cues").mkdir(parents=True)
    (results / "reports/cues/report.html").touch()
    assert verify(results).returncode == 0
    for folder in ("logs", "cues/logs", "cues/benchmarks", ".state", "cues/tables/.made"):
        shutil.rmtree(results / folder)
    assert verify(results).returncode == 0
    # A model may have such a name.
    (results / "cues/models/logs").mkdir()
    (results / "cues/models/logs/a").touch()
    assert "cues/models/logs/a" in verify(results).stdout


def edited(change):
    def damage(path):
        made = json.loads(path.read_text())
        change(by_id(made))
        path.write_text(json.dumps(made))

    return damage


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (Path.unlink, "cannot be read"),
        (lambda path: path.write_text(path.read_text()[:300]), "is no RO-Crate"),
        (lambda path: path.write_text("[]"), "is no RO-Crate"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "is no RO-Crate"),
        (lambda path: path.write_text('{"@graph": []}'), "names no file"),
        (edited(lambda made: made["report.html"].update({"@id": "../../etc/passwd"})), "outside of the tree"),
        (edited(lambda made: made["report.html"].update({"@id": "%2e%2e/secret"})), "outside of the tree"),
        (edited(lambda made: made["report.html"].update({"@id": "/etc/passwd"})), "outside of the tree"),
        (edited(lambda made: made["report.html"].pop("sha256")), "has no sha256 for report.html"),
        (edited(lambda made: made["report.html"].update(sha256=7)), "has no sha256 for report.html"),
    ],
)
def test_a_crate_that_says_nothing_certain_is_no_proof(results, damage, text):
    damage(results / "ro-crate-metadata.json")
    done = verify(results)
    assert done.returncode == 2 and text in done.stderr and "Traceback" not in done.stderr


def test_make_verify_needs_no_environment():
    done = subprocess.run(["make", "-n", "-C", str(ROOT), "verify", "ARGS=there"], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1 if "Leaving" not in done.stdout else -2] == "python3 tools/verify.py there"


def test_the_tool_and_the_crate_agree_on_what_is_left_out():
    from shapelens.artefacts import crate as library

    spec = importlib.util.spec_from_file_location("verify", VERIFY)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.CRATE == library.CRATE and module.WORK == library.WORK
