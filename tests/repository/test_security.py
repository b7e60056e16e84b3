"""Nothing from outside is run: no pickle, no archive's tricks, no image's, no config's; downloads are proven."""

import ast
import contextlib
import io
import os
import pickle
import re
import struct
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
import zlib
from email.message import Message
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import EpsImagePlugin, Image
from safetensors import SafetensorError

from shapelens.artefacts.files import open_npy
from shapelens.datasets.archives import MAX_DEPTH, MAX_HEADER, unpack
from shapelens.datasets.fetch import _Redirects
from shapelens.datasets.images import BadImageError, open_rgb
from shapelens.datasets.readers import read_tinyimagenet
from shapelens.datasets.sources import ALL_SOURCES
from shapelens.errors import UserError
from shapelens.study.config_files import check_files

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "workflow" / "scripts").rglob("*.py"))
WORKFLOW = [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]


class Trap:
    """Creates a file where it is unpickled."""

    def __reduce__(self):
        return (open, ("sprung", "w"))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    assert not Path("sprung").exists()


# No pickle


def dangerous(source):
    """Return the calls in a source that run or unpickle what they read, by line."""
    safe = {
        "torch.load": ("weights_only", True),
        "np.load": ("allow_pickle", False),
        "np.save": ("allow_pickle", False),
        "np.lib.format.write_array": ("allow_pickle", False),
        "Image.open": ("formats", None),
    }
    never = {
        *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "yaml.load", "yaml.unsafe_load"),
        *("np.savez", "pickle.load", "pickle.loads", "pd.read_pickle", "joblib.load", "shelve.open", "marshal.loads"),
    }
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name, given = ast.unparse(node.func), {k.arg: k.value for k in node.keywords}
        shell = isinstance(given.get("shell"), ast.Constant) and given["shell"].value
        if name in never or (name.startswith("subprocess.") and shell):
            found.append((node.lineno, name))
        if name in safe:
            key, wanted = safe[name]
            value = given.get(key)
            if value is None or (wanted is not None and getattr(value, "value", None) is not wanted):
                found.append((node.lineno, name))
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_no_source_unpickles_or_runs_what_it_reads(path):
    assert dangerous(path.read_text()) == []


def test_dangerous_calls_are_found():
    planted = "torch.load(p)\nnp.load(p, allow_pickle=True)\nImage.open(p)\neval(x)\nsubprocess.run(c, shell=True)\n"
    assert [line for line, _ in dangerous(planted)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("name", ["w.pth", "w.pt", "w.safetensors", "w.bin"])
@pytest.mark.parametrize("kind", ["bare", "torch", "legacy"])
def test_a_malicious_checkpoint_is_refused_and_not_run(here, name, kind):
    import torch

    from shapelens.models.weights import read_state

    if kind == "bare":
        Path(name).write_bytes(pickle.dumps({"a": Trap()}))
    else:
        torch.save({"a": torch.zeros(1), "b": Trap()}, name, _use_new_zipfile_serialization=kind == "torch")
    with pytest.raises(UserError, match=re.escape(name)):
        read_state(name)


def test_malicious_style_networks_are_refused_and_not_run(here):
    import torch

    from shapelens.stylisation.published import read_published

    torch.save({"0.weight": Trap()}, "vgg_normalised.pth")
    with pytest.raises(UserError, match="weights only"):
        read_published("vgg_normalised.pth", "decoder.pth")


def test_the_traps_work(tmp_path, monkeypatch):
    """The planted fault: loaded without care, the same files would be run."""
    monkeypatch.chdir(tmp_path)
    np.save("evil.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    np.load("evil.npy", allow_pickle=True)
    assert Path("sprung").exists()


def test_malicious_arrays_are_refused_wherever_arrays_are_opened(here):
    import torch

    from shapelens.attribution.saved_maps import open_maps, read_maps
    from shapelens.stylisation.run import _open_styles
    from shapelens.training.run import open_split
    from shapelens.training.state import FILE, load_state

    evil = np.array([Trap()], dtype=object)
    for name in ("images.npy", "labels.npy"):
        np.save(name, evil, allow_pickle=True)
    np.savez("maps.npz", methods=evil, testsets=evil, images=evil, labels=evil, maps=evil)
    Path(FILE).write_bytes(pickle.dumps(Trap()))
    with pytest.raises(UserError, match=r"images\.npy: is no array"):
        open_npy("images.npy")
    Path("bare.npy").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(UserError, match=r"bare\.npy: is no array"):
        open_npy("bare.npy")
    for use in (
        lambda: read_maps({"m": "maps.npz"}, "grad", "clean"),
        lambda: open_maps("maps.npz"),
        lambda: open_split(here, torch.device("cpu")),
        lambda: _open_styles(here),
    ):
        with pytest.raises(ValueError, match=r"allow_pickle|Python objects"):
            use()
    with contextlib.suppress(SafetensorError):
        assert load_state(here, torch.device("cpu")) is None


# Archives and images; what is refused by name, link or size is in test_datasets_archives.py


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_small_archive_cannot_fill_memory_by_a_long_name(tmp_path, mode, kind, monkeypatch):
    """The size of a name is the archive's own word, and tarfile reads it in one piece before any member is seen."""
    monkeypatch.setattr("shapelens.datasets.archives.MAX_HEADER", 2**20)
    long = tarfile.TarInfo("long")
    long.type, long.size = kind, 2**21
    path = tmp_path / "bomb.tar"
    with tarfile.open(path, mode) as tar:
        tar.fileobj.write(long.tobuf(tarfile.GNU_FORMAT) + bytes(long.size))
        tar.addfile(tarfile.TarInfo("plain"))
    with pytest.raises(UserError, match=r"bomb\.tar: it states 2,09.* bytes of names"):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists() and MAX_HEADER < 2**26


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_an_archive_cannot_nest_without_end(tmp_path, kind):
    name, path = "d/" * (MAX_DEPTH + 1) + "f", tmp_path / "deep"
    if kind == "tar":
        with tarfile.open(path, "w") as tar:
            tar.addfile(tarfile.TarInfo(name))
    else:
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr(name, b"")
    with pytest.raises(UserError, match=f"more than {MAX_DEPTH} folders deep"):
        unpack(path, tmp_path / "out")


def test_a_zip_that_lies_about_its_sizes_writes_no_more_than_it_states(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("zeros", bytes(10**6))
    data = (tmp_path / "bomb.zip").read_bytes().replace(struct.pack("<L", 10**6), struct.pack("<L", 10))
    (tmp_path / "bomb.zip").write_bytes(data)
    with pytest.raises(UserError, match=r"bomb\.zip cannot be unpacked"):
        unpack(tmp_path / "bomb.zip", tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["bomb.zip"]


def test_tiny_imagenet_names_no_folder_outside(tmp_path):
    (tmp_path / "source/val").mkdir(parents=True)
    (tmp_path / "source/wnids.txt").write_text("n01\n../../etc\n")
    (tmp_path / "source/val/val_annotations.txt").write_text("")
    with pytest.raises(UserError, match=r"wnids\.txt: '\.\./\.\./etc' is no name of a folder"):
        read_tinyimagenet(tmp_path)


def png_header(width, height):
    def chunk(kind, data):
        return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))

    start = chunk(b"IHDR", struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + start + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def test_an_image_bomb_is_an_error_before_it_is_decoded(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(12_000, 12_000))  # Pillow warns of it and goes on
    with pytest.raises(BadImageError, match=r"12000×12000 pixels are more than the limit of [\d,]+; reduce it"):
        open_rgb(path)
    path.write_bytes(png_header(60_000, 60_000))
    with pytest.raises(BadImageError, match="decompression bomb"):
        open_rgb(path)
    assert Image.MAX_IMAGE_PIXELS is not None


def test_no_image_is_handed_to_another_program(tmp_path, monkeypatch):
    """PostScript is a program, and Pillow has Ghostscript run it whatever the file's name says."""
    Image.new("RGB", (4, 4)).save(tmp_path / "a.eps")
    (tmp_path / "a.eps").rename(tmp_path / "a.png")
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *a, **k: pytest.fail("Ghostscript was run"))
    with Image.open(tmp_path / "a.png") as image:
        assert image.format == "EPS"  # the fault
    with pytest.raises(BadImageError, match="cannot identify"):
        open_rgb(tmp_path / "a.png")


# Downloads; hashes and recorded hashes are in test_datasets_fetch.py


def test_a_redirection_to_plain_http_is_refused_without_a_hash():
    request = urllib.request.Request("https://example.org/file")
    answer = (request, io.BytesIO(), 302, "Found", Message())
    for url in ("http://example.org/file", "file:///etc/passwd"):
        with pytest.raises(UserError, match=r"plain http is refused|'file' addresses are not fetched"):
            _Redirects(trusted=False).redirect_request(*answer, url)
    with pytest.raises(UserError, match="'file' addresses"):
        _Redirects(trusted=True).redirect_request(*answer, "file:///etc/passwd")
    assert _Redirects(trusted=True).redirect_request(*answer, "http://example.org/file")
    assert _Redirects(trusted=False).redirect_request(*answer, "https://example.org/other")


def test_every_official_source_is_fetched_by_https():
    assert [source.url for source in ALL_SOURCES if not source.url.startswith("https://")] == []


# The config


def test_no_rule_has_a_shell_command_or_python_of_its_own():
    text = "\n".join(path.read_text() for path in WORKFLOW)
    assert not re.findall(r"^\s*(?:shell|run|wrapper|notebook|cwl)\s*:", text, re.M)
    assert not re.findall(r"(?:^|[^.\w])(?:shell|eval|exec)\(", text)
    assert len(re.findall(r"^\s*script:", text, re.M)) > 15


def snakemake(*arguments):
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "1", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ, "CI": "true"})


@pytest.mark.parametrize("tag", ["object/apply:os.system ['touch sprung']", "object/new:os.system ['touch sprung']"])
def test_tags_of_yaml_are_refused(here, tag):
    from snakemake.common.configfile import load_configfile
    from snakemake.exceptions import WorkflowError

    Path("config.yaml").write_text(f"models: !!python/{tag}\n")
    with pytest.raises(WorkflowError, match="not valid JSON or YAML"):
        load_configfile("config.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "__use_yte__: true\nseeds: ?[0]\n",
        '"\\x5f_use_yte__": true\n',
        "common: &c {__use_yte__: true}\n<<: *c\n",
        "? __use_yte__\n: true\n",
        '{"__use_yte__": true}',
    ],
)
def test_a_config_with_python_in_it_is_no_study(tmp_path, text):
    """Snakemake itself runs it on reading; all that a workflow can do is to take none."""
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(UserError, match=r"study\.yaml: __use_yte__ makes a config a program"):
        check_files([ROOT / "config.yaml", tmp_path / "study.yaml"])


def test_nothing_of_a_config_is_used_before_its_file_is_looked_at(here):
    for path in (ROOT / "config.yaml", *sorted((ROOT / "configs").glob("*.yaml"))):
        check_files([path])
    # What the workflow would say of the study itself is not said: it has not been looked at.
    Path("study.yaml").write_text('"\\x5f_use_yte__": true\ndataset: ?str(open("made", "w"))\n')
    done = snakemake("--dry-run", "--configfile", "study.yaml")
    said = done.stdout + done.stderr
    assert done.returncode == 1 and "the config has" not in said
    assert "study.yaml: __use_yte__ makes a config a program" in said, said
    assert Path("made").exists(), "Snakemake has run it: what the documents warn of"
    # The default study's file is looked at before Snakemake reads it.
    Path("made").unlink()
    Path("study.yaml").rename("config.yaml")
    done = snakemake("--dry-run")
    said = done.stdout + done.stderr
    assert done.returncode == 1 and "config.yaml: __use_yte__ makes a config a program" in said, said
    assert not Path("made").exists()


def test_values_with_braces_and_shell_syntax_are_only_values(here):
    evil = "a $(touch sprung) `touch sprung`; touch sprung {wildcards.dataset} {input[0]}"
    for n in range(12):
        folder = here / evil / f"class{n % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((16, 16, 3), n, np.uint8)).save(folder / f"{n} {evil}.png")
    study = {
        "dataset": {"kind": "image_folder", "path": evil, "size": 16, "validation": 0.3, "test_share": 0.3},
        "models": {"standard": {}},
        "display": {"labels": {"standard": evil + "<script>"}},
    }
    Path("study.yaml").write_text(yaml.safe_dump(study))
    done = snakemake("results/images/data/manifest.json", "--configfile", "study.yaml")
    assert done.returncode == 0, done.stderr
    assert Path("results/images/data/manifest.json").exists()
    whole = snakemake("--dry-run", "--printshellcmds", "--configfile", "study.yaml")
    assert whole.returncode == 0, whole.stdout[-3000:] + whole.stderr
    assert "tables/table1.csv" in whole.stdout
