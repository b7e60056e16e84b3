"""Archives: what is unpacked, and what is refused."""

import io
import stat
import tarfile
import zipfile

import numpy as np
import pytest

from shapelens.datasets.archives import is_archive, unpack
from shapelens.errors import UserError

CONTENT = {"a/one.txt": b"one", "a/b/two.txt": b"two" * 1000, "three.txt": b""}


def make_tar(path, mode="w", members=()):
    with tarfile.open(path, mode) as tar:
        for name, data in CONTENT.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o4777
            tar.addfile(info, io.BytesIO(data))
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def make_zip(path, members=()):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in CONTENT.items():
            packed.writestr(name, data)
        for info, data in members:
            packed.writestr(info, data)
    return path


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2", ".xz", ".zip"])
def test_every_kind_is_unpacked(tmp_path, suffix):
    path = tmp_path / f"archive{suffix}"
    make_zip(path) if suffix == ".zip" else make_tar(path, f"w:{suffix[1:]}")
    assert is_archive(path)
    folder = unpack(path, tmp_path / "out")
    found = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert found == CONTENT
    assert not any(p.stat().st_mode & stat.S_ISUID for p in folder.rglob("*"))
    assert not list(tmp_path.glob(".out*"))


def planted(kind):
    info = tarfile.TarInfo("planted")
    match kind:
        case "parent":
            info.name = "a/../../planted"
        case "absolute":
            info.name = "/planted"
        case "drive":
            info.name = "C:\\planted"
        case "backslash":
            info.name = "a\\..\\..\\planted"
        case "symlink":
            info.type, info.linkname = tarfile.SYMTYPE, "/etc"
        case "hardlink":
            info.type, info.linkname = tarfile.LNKTYPE, "a/one.txt"
        case "device":
            info.type = tarfile.CHRTYPE
        case "pipe":
            info.type = tarfile.FIFOTYPE
    return info


OUTSIDE = ["parent", "absolute", "drive", "backslash"]


@pytest.mark.parametrize("kind", [*OUTSIDE, "symlink", "hardlink", "device", "pipe"])
def test_a_planted_tar_member_is_refused_and_nothing_stays(tmp_path, kind):
    path = make_tar(tmp_path / "bad.tar", members=[(planted(kind), b"")])
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match="outside the folder" if kind in OUTSIDE else "only files and folders"):
        unpack(path, tmp_path / "out")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("kind", [*OUTSIDE, "symlink", "pipe"])
def test_a_planted_zip_member_is_refused_and_nothing_stays(tmp_path, kind):
    info = zipfile.ZipInfo("planted")
    info.filename = planted(kind).name
    info.create_system = 3
    if kind in {"symlink", "pipe"}:
        info.external_attr = (stat.S_IFLNK if kind == "symlink" else stat.S_IFIFO) << 16
    path = make_zip(tmp_path / "bad.zip", members=[(info, b"/etc")])
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match="outside the folder" if kind in OUTSIDE else "only files and folders"):
        unpack(path, tmp_path / "out")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_link_does_not_carry_later_files_outside(tmp_path):
    link = tarfile.TarInfo("door")
    link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    path = make_tar(tmp_path / "bad.tar", members=[(link, b""), (tarfile.TarInfo("door/planted"), b"x")])
    with pytest.raises(UserError, match="door"):
        unpack(path, tmp_path / "out")
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_bombs_are_refused(tmp_path, kind):
    zeros = bytes(10**6)
    path = tmp_path / f"bomb.{kind}"
    if kind == "tar":
        make_tar(path, "w:xz", [(tarfile.TarInfo(f"z{n}"), zeros) for n in range(3)])
    else:
        make_zip(path, [(zipfile.ZipInfo(f"z{n}"), zeros) for n in range(3)])
    with pytest.raises(UserError, match="more than 2,000,000 bytes"):
        unpack(path, tmp_path / "out", max_bytes=2 * 10**6)
    with pytest.raises(UserError, match="more than 4 files"):
        unpack(path, tmp_path / "out", max_files=4)
    unpack(path, tmp_path / "out")


def test_the_default_limit_follows_the_archives_size(tmp_path, monkeypatch):
    monkeypatch.setattr("shapelens.datasets.archives.ALWAYS_ALLOWED", 10**5)
    path = make_tar(tmp_path / "bomb.tar.xz", "w:xz", [(tarfile.TarInfo("z"), bytes(10**6))])
    with pytest.raises(UserError, match="unpacks to more than"):
        unpack(path, tmp_path / "out")


@pytest.mark.parametrize("kind", ["w:gz", "w:xz", "w:bz2", "zip"])
def test_a_damaged_archive_leaves_nothing(tmp_path, kind):
    path = tmp_path / "cut"
    if kind == "zip":
        data = bytearray(make_zip(path).read_bytes())
        data[len("a/one.txt") + 30] ^= 255  # the first byte after the first local header
        path.write_bytes(bytes(data))
    else:
        noise = np.random.default_rng(0).bytes(2 * 10**6)
        make_tar(path, kind, [(tarfile.TarInfo("noise"), noise)])
        path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(UserError, match="cannot be unpacked"):
        unpack(path, tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cut"]


def test_a_tar_that_ends_with_a_zip_is_a_tar(tmp_path):
    inner = make_zip(tmp_path / "inner.zip").read_bytes()
    path = make_tar(tmp_path / "outer.tar", members=[(tarfile.TarInfo("inner.zip"), inner)])
    assert (unpack(path, tmp_path / "out") / "inner.zip").read_bytes() == inner


def test_wrong_uses_are_named(tmp_path):
    (tmp_path / "text").write_text("no archive")
    with pytest.raises(UserError, match="no archive"):
        unpack(tmp_path / "text", tmp_path / "out")
    with pytest.raises(UserError, match="no such file"):
        unpack(tmp_path / "none", tmp_path / "out")
    with pytest.raises(UserError, match="exists already"):
        unpack(make_tar(tmp_path / "good.tar"), tmp_path)
