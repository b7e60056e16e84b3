"""What outlives a job beside its results is replaced or named where it is of the wrong kind, shape or encoding.

Nothing here may end in a traceback, wait for ever, or refuse a command until a file is deleted that has no name.
"""

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from shapelens.artefacts.files import write_text
from shapelens.artefacts.memory import recall
from shapelens.artefacts.writing import disk_fault
from shapelens.datasets.fetch import check_fetched, fetch
from shapelens.errors import UserError
from shapelens.machine import leases
from shapelens.machine.one_clone import NAME, hold
from shapelens.planning.code_digest import Code
from shapelens.planning.plan import Plan
from shapelens.planning.source_digest import content_digest
from shapelens.training.state import FILE, load_state, save_state

from ..hostile import EVIL

SCRIPTS = Path(__file__).resolve().parents[2] / "workflow" / "scripts"
CPU = torch.device("cpu")


def a_folder(path):
    path.mkdir()
    (path / "inside").touch()


# What may stand in a file's place. Each text is also valid JSON of another shape, or none.
KINDS = {
    "a folder": a_folder,
    "a pipe": os.mkfifo,
    "a link in a circle": lambda path: path.symlink_to(path.name),
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "nothing in it": lambda path: path.write_bytes(b""),
    "NUL bytes": lambda path: path.write_bytes(bytes(100)),
    "UTF-16": lambda path: path.write_bytes('{"a": ["b", "c"]}'.encode("utf-16")),
    "another encoding": lambda path: path.write_bytes(b'{"\xe9": ["\xff"]}'),
    "a list": lambda path: path.write_text("[1, 2]"),
    "a number": lambda path: path.write_text("1e999"),
    "null": lambda path: path.write_text("null"),
    "entries of another shape": lambda path: path.write_text('{"a": 1, "b": [1, 2], "c": ["x", "y"], "d": {}}'),
    "deep nesting": lambda path: path.write_text("[" * 100_000),
    "a number of 10,000 digits": lambda path: path.write_text('{"a": ' + "9" * 10_000 + "}"),
    "markup": lambda path: path.write_text(EVIL),
}
kinds = pytest.mark.parametrize("kind", KINDS)


def put(kind, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file():
        path.unlink()
    KINDS[kind](path)
    return path


@kinds
def test_memories_of_earlier_runs_are_replaced_or_named(tmp_path, monkeypatch, kind, caplog):
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "photographs"
    source.mkdir()
    (source / "1.png").write_bytes(b"1")
    cache, memory = tmp_path / "shapelens-hashes.json", tmp_path / "shapelens-code.json"
    expected = content_digest(source, tmp_path / "other.json"), Code(SCRIPTS).digest(SCRIPTS / "list.py")
    for path in (cache, memory):
        put(kind, path)
    code = Code(SCRIPTS, memory)
    assert (content_digest(source, cache), code.digest(SCRIPTS / "list.py")) == expected
    code.remember()
    for path in (cache, memory):
        if path.is_dir():
            assert f"{path}: a folder stands where a file belongs" in caplog.text
        else:
            assert recall(path, lambda entry: True), "a whole file is in its place"


def test_a_digest_that_was_not_counted_is_not_believed(tmp_path):
    """The clock and size of a file are right, and what is said of its bytes is no hash."""
    source, cache = tmp_path / "a.zip", tmp_path / "hashes.json"
    source.write_bytes(b"1")
    expected = content_digest(source, cache)
    known = json.loads(cache.read_text())
    for wrong in ("", "0" * 63, ["0" * 64], 5, None):
        cache.write_text(json.dumps({key: [state, wrong] for key, (state, _) in known.items()}))
        assert content_digest(source, cache) == expected


def write_state(folder, value):
    save_state(folder, {"model": {"w": torch.tensor([value])}}, {"step": 1})


@kinds
def test_a_state_that_is_none_is_replaced_or_named(tmp_path, kind, caplog):
    folder = tmp_path / "m-seed0"
    path = put(kind, folder / FILE)
    if kind in ("a folder", "a pipe"):
        with pytest.raises(UserError, match=rf"{FILE} is no plain file, and a training keeps its state there; move it"):
            load_state(folder, CPU)
        return
    assert load_state(folder, CPU) is None
    if kind not in ("a link to nothing", "a link in a circle"):
        assert f"{path} is damaged" in caplog.text and "begins anew" in caplog.text
    write_state(folder, 1.0)
    assert load_state(folder, CPU)[1] == {"step": 1}


def test_a_state_of_another_training_or_with_a_flipped_bit_is_none(tmp_path, caplog):
    ours, other = tmp_path / "m-seed0", tmp_path / "m-seed1"
    write_state(ours, 1.0)
    write_state(other, 2.0)
    assert load_state(ours, CPU)[0]["model"]["w"].item() == 1.0
    shutil.copy(other / FILE, ours / FILE)
    assert load_state(ours, CPU) is None and "not what was saved for this training" in caplog.text
    write_state(ours, 1.0)
    whole = bytearray((ours / FILE).read_bytes())
    whole[-1] ^= 1
    (ours / FILE).write_bytes(whole)
    assert load_state(ours, CPU) is None
    save_file({"model/w": torch.zeros(1)}, ours / FILE)
    assert load_state(ours, CPU) is None


@kinds
def test_locks_of_gpus_are_used_or_named(tmp_path, monkeypatch, kind):
    folder = tmp_path / "slots"
    folder.mkdir(mode=0o700)
    put(kind, folder / "gpu.lock")
    opened = leases.open_folder(folder)
    try:
        file = leases._lock(opened, "gpu.lock", 2)
        assert stat.S_ISREG(os.fstat(file).st_mode)
        os.close(file)
    except UserError as error:
        assert kind.startswith(("a folder", "a pipe", "a link")) and str(folder / "gpu.lock") in str(error)
    finally:
        os.close(opened.file)


@kinds
@pytest.mark.parametrize("what", [".a.zip.lock", ".a.zip.part", "a.zip", "a.zip.sha256"])
def test_what_a_download_left_is_used_or_named(tmp_path, kind, what):
    if kind == "a pipe":
        pytest.skip("named pipes among downloads: reading one waits for its writer, as every program does")
    path = put(kind, tmp_path / what)
    try:
        fetch("https://127.0.0.1:9/a.zip", tmp_path / "a.zip", attempts=1, pause=lambda _: None)
    except UserError as error:
        assert str(path) in str(error) or "could not be fetched" in str(error), error
    except OSError as error:
        assert str(path) in disk_fault(error, tmp_path), error
    try:
        check_fetched(tmp_path / "a.zip", None, None)
    except UserError as error:
        assert str(path) in str(error)
    except FileNotFoundError:
        assert not (tmp_path / "a.zip").exists()
    except OSError as error:
        assert str(path) in disk_fault(error, tmp_path)


@kinds
def test_records_that_captions_read_never_keep_the_workflow_from_being_read(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    from ..planning.test_text import STUDY, captions

    for folder in ("photographs", "stimuli", "styles"):
        (tmp_path / folder / "a").mkdir(parents=True)
        (tmp_path / folder / "a/1.png").touch()
    (tmp_path / "w.pth").touch()
    records = ["data/manifest.json", "styles/manifest.json", "models/standard/seed0/run.json"]
    records += ["testsets/sketch/manifest.json", "testsets/geirhos/manifest.json", "models/ours/seed0/selection.json"]
    for name in records:
        put(kind, tmp_path / "results/images" / name)
    assert captions(Plan(STUDY, SCRIPTS).studies)["images"]["n"] == "all"


SHAPES = [[], 1, "a", None, {}, [[]], {"a": 1}, 1e999]


@pytest.mark.parametrize("shape", SHAPES, ids=repr)
def test_records_of_another_shape_never_do(tmp_path, monkeypatch, shape):
    """Every value that captions look for is there, and is of a kind that it should not be."""
    monkeypatch.chdir(tmp_path)
    from ..planning.test_text import STUDY, captions

    for folder in ("photographs", "stimuli", "styles"):
        (tmp_path / folder / "a").mkdir(parents=True)
        (tmp_path / folder / "a/1.png").touch()
    (tmp_path / "w.pth").touch()
    keys = ("said", "skipped", "passed_over", "same_images", "classes_without_images", "splits", "left_out", "images")
    record = {**dict.fromkeys(keys, shape), "criterion": "finished", "warnings": shape, "assumed": shape}
    record |= {"precision": shape, "type": shape, "threads": shape, "device": shape}
    names = ["data/manifest.json", "styles/manifest.json", "models/standard/seed0/run.json"]
    names += ["testsets/sketch/manifest.json", "testsets/geirhos/manifest.json", "models/ours/seed0/selection.json"]
    for name in names:
        path = tmp_path / "results/images" / name
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(record))
    assert captions(Plan(STUDY, SCRIPTS).studies)["images"]


@kinds
def test_the_lock_of_a_run_is_used_or_named(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    put(kind, tmp_path / "results" / NAME)
    hold("results")


HOLDING = (
    "import sys; from shapelens.machine.one_clone import hold; hold(sys.argv[1]); print('held', flush=True); input()"
)


def test_two_checkouts_do_not_make_one_folder_of_results_at_once(tmp_path, monkeypatch):
    shared, first, second = (tmp_path / name for name in ("shared", "first", "second"))
    shared.mkdir()
    for clone in (first, second):
        clone.mkdir()
        (clone / "results").symlink_to(shared)
    command = [sys.executable, "-c", HOLDING, "results"]
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    with subprocess.Popen(
        command, cwd=first, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout.readline() == "held\n"
        monkeypatch.chdir(second)
        name = f"{first} on {socket.gethostname()}"
        with pytest.raises(UserError, match=rf"{shared} is being made by another checkout, {name}, and two would"):
            hold("results")
        monkeypatch.chdir(first)  # Snakemake's own lock stands between two runs of one checkout
        hold("results")
        run.kill()
    monkeypatch.chdir(second)
    done = subprocess.run(command, cwd=second, env=environment, input="\n", capture_output=True, text=True)
    assert "being made by another checkout" in done.stderr  # by this process, in the name of the first


def test_what_stands_where_a_folder_belongs_is_named(tmp_path):
    (tmp_path / "results").write_text("")
    for use in (
        lambda: write_text(tmp_path / "results/a.csv", ""),
        lambda: write_text(tmp_path / "results/b/a.csv", ""),
    ):
        try:
            use()
        except UserError as error:
            said = str(error)
        except OSError as error:
            said = disk_fault(error, tmp_path)
        assert f"{tmp_path / 'results'}" in said and "a file stands where a folder belongs" in said
