"""Disks that are full, read-only or somebody else's: a clear error, no half file, a way on. A small tmpfs is real."""

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from shapelens.artefacts.contact_sheet import contact_sheet
from shapelens.artefacts.files import ImageSet, save_npy, save_npz, write_text
from shapelens.artefacts.parquet import write_parquet
from shapelens.artefacts.writing import atomic_path
from shapelens.datasets.archives import unpack
from shapelens.datasets.build import build_dataset
from shapelens.datasets.spec import Cues, ImageFolder
from shapelens.errors import UserError
from shapelens.models.store import save_model
from shapelens.training.state import load_state, save_state
from shapelens.transforms.apply import write_testset
from shapelens.transforms.spec import Clean, Saturation

from .conftest import mounted

SCRIPTS = Path(__file__).resolve().parents[2] / "workflow" / "scripts"
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (100, 3, 64, 64), dtype=np.uint8)
NOBODY = 65534


@pytest.fixture
def disk(tmp_path):
    """A disk of 512 KiB, and how to fill it up to some bytes."""
    with mounted(tmp_path / "disk", "size=512k") as folder:
        yield folder


def network():
    return torch.nn.Linear(1000, 300)


def save_a_state(path):
    save_state(path.parent, {"model": network().state_dict()}, {"step": 1})


def write_set(path):
    zeros = np.zeros(len(IMAGES), np.int64)
    write_testset(ImageSet(IMAGES, zeros, zeros), Saturation(level=8), 0, path.parent)


def decode_images(path):
    source = path.parents[3] / "photos"
    for n in range(40):
        (source / f"class{n % 2}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(IMAGES[n].transpose(1, 2, 0)).save(source / f"class{n % 2}" / f"{n}.png")
    build_dataset(ImageFolder(kind="image_folder", path=str(source), size=128), 0, source, path.parents[1])


# What is written, and the file that the error names.
WRITERS = {
    "checkpoint": ("model.safetensors", lambda path: save_model(network(), path)),
    "state": ("state.safetensors", save_a_state),
    "test set": ("images.npy", write_set),
    "images": ("train/images.npy", decode_images),
    "array": ("a.npy", lambda path: save_npy(path, IMAGES)),
    "maps": ("maps.npz", lambda path: save_npz(path, {"maps": IMAGES})),
    "Parquet": ("a.parquet", lambda path: write_parquet(path, pd.DataFrame({"a": RNG.random(200_000)}))),
    "CSV": ("a.csv", lambda path: write_text(path, "0.123,0.456\n" * 100_000)),
    "picture": ("a.png", lambda path: contact_sheet([list(IMAGES[:40])], path)),
}


@pytest.mark.parametrize("what", WRITERS)
def test_a_full_disk_is_named_and_leaves_no_half_file(disk, what):
    name, write = WRITERS[what]
    path = disk / "out" / name
    ballast = disk / "ballast"
    ballast.write_bytes(b"x" * (480 * 1024))
    with pytest.raises(UserError) as caught:
        write(path)
    text = str(caught.value)
    assert str(path) in text and "the disk is full" in text and "MB free" in text, text
    assert "Make space on it and give the same command again" in text
    assert not path.exists()
    assert not [left for left in disk.rglob("*") if left.is_file() and left != ballast], "something was left"


def test_an_old_state_outlives_a_full_disk(disk):
    """The training goes on from it after space is made."""
    save_state(disk / "state", {"model": {"w": torch.arange(3)}}, {"step": 7})
    with pytest.raises(UserError, match="the disk is full"):
        save_a_state(disk / "state" / "state.safetensors")
    groups, record = load_state(disk / "state", torch.device("cpu"))
    assert record == {"step": 7} and groups["model"]["w"].tolist() == [0, 1, 2]


def test_after_space_is_made_the_same_call_works(disk):
    cues = Cues(kind="cues", classes=2, size=16, train=60, validation=8, test=8)
    ballast = disk / "ballast"
    ballast.write_bytes(b"x" * (500 * 1024))
    with pytest.raises(UserError, match="the disk is full"):
        build_dataset(cues, 0, None, disk / "data")
    assert not (disk / "data/manifest.json").exists()
    ballast.unlink()
    build_dataset(cues, 0, None, disk / "data")


def test_an_archive_that_does_not_fit_is_not_called_damaged(disk, tmp_path):
    archive = tmp_path / "photos.tar"
    with tarfile.open(archive, "w") as tar:
        info = tarfile.TarInfo("a.png")
        info.size = 10**6
        tar.addfile(info, io.BytesIO(bytes(info.size)))
    with pytest.raises(UserError, match="the disk is full"):
        unpack(archive, disk / "photos")
    assert not list(disk.iterdir())


def test_a_mapping_on_a_full_disk_kills_without_a_word(disk):
    """The planted fault: why memory-mapped files book their space first."""
    code = f"import numpy as np; np.lib.format.open_memmap({str(disk / 'a.npy')!r}, mode='w+', shape=(10**6,))[:] = 1"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == -7  # SIGBUS


def test_a_download_that_does_not_fit_is_not_tried_again(disk, tmp_path, monkeypatch):
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread

    from shapelens.datasets.fetch import fetch

    class Server(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(10**6))
            self.end_headers()
            self.wfile.write(bytes(10**6))

        def log_message(self, *arguments):
            pass

    with HTTPServer(("127.0.0.1", 0), Server) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/a.tar"
        waits = []
        with pytest.raises(UserError, match=r"\.part could not be written.*the disk is full"):
            fetch(address, disk / "a.tar", sha256="0" * 64, pause=waits.append)
        server.shutdown()
    assert waits == [] and not (disk / "a.tar").exists()


def test_a_read_only_disk_is_named(disk):
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(UserError, match=r"a\.csv could not be written .*the file system is read-only"):
        write_text(disk / "a.csv", "1")


def as_nobody(code, folder):
    """Run Python code as a user who owns nothing; skips without the right or the means to."""
    if os.geteuid() or shutil.which("setpriv") is None:
        pytest.skip("permissions: only root can become another user, by setpriv (package util-linux)")
    command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", sys.executable, "-B", "-c", code]
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)


@pytest.fixture
def public(tmp_path):
    """A folder that every user may enter."""
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        folder.chmod(folder.stat().st_mode | 0o755)
    return tmp_path


def test_a_missing_permission_is_named(public):
    folder = public / "results"
    folder.mkdir(mode=0o755)
    code = "from shapelens.artefacts.files import write_text; write_text({!r}, '1')".format(str(folder / "a.csv"))
    done = as_nobody(code, public)
    assert f"{folder / 'a.csv'} could not be written" in done.stderr, done.stderr
    assert "this user may not write there" in done.stderr
    assert not list(folder.iterdir())
    begun = as_nobody("from shapelens.artefacts.writing import refuse_read_only as f; f('results')", public)
    assert f"{folder} cannot be written to" in begun.stderr, begun.stderr
    secret = folder / "cues" / "tables"
    secret.mkdir(parents=True)
    secret.chmod(0o700)
    begun = as_nobody("from shapelens.artefacts.writing import refuse_unreadable as f; f('results/cues')", public)
    assert f"{secret} cannot be read: it belongs to another user, root" in begun.stderr, begun.stderr


def test_a_job_that_may_not_read_a_file_says_which(public):
    secret = public / "secret.npy"
    secret.write_bytes(b"")
    secret.chmod(0)
    scriptdir = str(SCRIPTS)
    code = f"""
from types import SimpleNamespace as N
from shapelens.job import job
with job(N(input=[], output=[], log=["/dev/null"], scriptdir={scriptdir!r}, rule="table", resources=N(gpu=0))):
    open({str(secret)!r})
"""
    done = as_nobody(code, public)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error in table: {secret}: permission denied. Give this user the right"), done.stderr


FAULTY = """
import os, sys
from pathlib import Path
from types import SimpleNamespace as N
from shapelens.job import job
disk, body = Path(sys.argv[1]), sys.argv[2]
told = N(input=[], output=[], log=[str(disk / "logs/a.log")], scriptdir=sys.argv[3], rule="table", resources=N(gpu=0))
with job(told) as log:
    (disk / "ballast").write_bytes(b"x" * 400 * 1024)
    with open(disk / "rest", "wb", buffering=0) as rest:
        try:
            while True:
                rest.write(b"x" * 1024)
        except OSError as full:
            error = full
    log.info("a line that no longer fits " * 1000)
    exec(body)
"""
BODIES = {
    "the system's error": "open(disk / 'a.csv', 'w').write('x' * 10**6)",
    "an error that another caused": "raise RuntimeError('the writer failed') from error",
    "a folder that cannot be made": "(disk / 'rest/a').mkdir()",
    "no folder for temporary files": "raise FileNotFoundError(2, 'No usable temporary directory found in [/tmp]')",
    "memory": "raise MemoryError('Unable to allocate 3.00 TiB')",
}


@pytest.mark.parametrize("how", BODIES)
def test_a_job_says_one_sentence_where_nothing_can_be_written(disk, tmp_path, how):
    """Its log lies on the full disk, too: neither a line nor the traceback fits, and the terminal has one error."""
    command = [sys.executable, "-c", FAULTY, str(disk), BODIES[how], str(SCRIPTS)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(SCRIPTS)})
    said = [line for line in done.stderr.splitlines() if not line.startswith("a line")]
    assert done.returncode == 1 and len(said) == 1 and said[0].startswith("Error in table: "), done.stderr
    assert re.search("disk is full|a file stands where a folder|no memory was left|is its disk full", said[0]), said


def test_an_error_about_another_file_stays_what_it_is(tmp_path):
    with pytest.raises(PermissionError), atomic_path(tmp_path / "a.csv"):
        raise PermissionError(13, "Permission denied", "/elsewhere/input.npy")
    with pytest.raises(ZeroDivisionError), atomic_path(tmp_path / "a.csv"):
        raise ZeroDivisionError


def test_what_killed_writers_left_is_removed_and_what_others_write_is_not(tmp_path):
    path = tmp_path / "images[1].npy"
    left = [tmp_path / f".images[1].npy.{end}" for end in ("abc_1234.npy", "abc_1234.lock", "abc_5678.lock")]
    other = tmp_path / ".images[1].npy.notes.npy"
    for file in (*left, other):
        file.write_bytes(b"half")
    with atomic_path(path) as mine:
        assert not [file for file in left if file.exists()]
        save_file({"a": torch.zeros(1)}, mine)  # safetensors puts another file into its place
        with atomic_path(path) as second:  # as another process would: the first one's name is locked
            assert mine.exists() and second != mine
            second.write_bytes(b"second")
        mine.write_bytes(b"first")
    assert path.read_bytes() == b"first"
    assert {file.name for file in tmp_path.iterdir()} == {path.name, other.name}


def test_what_a_killed_job_unpacked_is_removed(tmp_path):
    left = tmp_path / "data/.unpacked-abc"
    left.mkdir(parents=True)
    (left / "big").write_bytes(b"x")
    source = tmp_path / "photos"
    for n in range(24):
        (source / f"class{n % 2}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(IMAGES[n].transpose(1, 2, 0)).save(source / f"class{n % 2}" / f"{n}.png")
    build_dataset(ImageFolder(kind="image_folder", path=str(source), size=16), 0, source, tmp_path / "data")
    assert not left.exists()
    assert not list((tmp_path / "data").glob(".*"))


def test_a_clean_set_of_a_full_disk_is_not_complete(disk):
    zeros = np.zeros(len(IMAGES), np.int64)
    with pytest.raises(UserError, match=r"images\.npy could not be written"):
        write_testset(ImageSet(IMAGES, zeros, zeros), Clean(), 0, disk / "clean")
    assert not (disk / "clean/manifest.json").exists()
