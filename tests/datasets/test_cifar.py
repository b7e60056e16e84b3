"""CIFAR-10 as it is passed round: pickles that run nothing, and folders of PNG images."""

import io
import os
import pickle
import pickletools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from shapelens.artefacts.files import open_image_set
from shapelens.datasets.build import build_dataset
from shapelens.datasets.cifar import unpickled
from shapelens.datasets.images import load
from shapelens.datasets.readers import read_cifar10, source_files
from shapelens.datasets.spec import Cifar10
from shapelens.errors import UserError

SPEC = Cifar10(kind="cifar10", path="cifar", validation=0.25)
NAMES = ["airplane", "automobile"]


def batch(count, seed, **changes):
    rng = np.random.default_rng(seed)
    return {
        b"batch_label": b"training batch 1 of 5",
        b"labels": [int(n % 2) for n in range(count)],
        b"data": rng.integers(0, 256, (count, 3072), dtype=np.uint8),
        b"filenames": [b"a.png"] * count,
        **changes,
    }


def python_version(root, protocol=2, write=None):
    root.mkdir(parents=True, exist_ok=True)
    made = {f"data_batch_{n}": batch(8, n) for n in (1, 2)} | {"test_batch": batch(6, 9)}
    for name, content in (made | {"batches.meta": {b"label_names": [b"airplane", b"automobile"]}}).items():
        (root / name).write_bytes((write or pickle.dumps)(content, protocol=protocol))
    (root / "readme.html").write_text("")
    return made


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_the_python_version_is_read_by_every_protocol(tmp_path, protocol):
    made = python_version(tmp_path / "cifar-10-batches-py", protocol)
    listing = read_cifar10(tmp_path)
    assert list(listing.classes) == NAMES
    assert [(r.name, r.label, r.split) for r in listing.records[7:9]] == [
        ("data_batch_1#7", 1, "train"),
        ("data_batch_2#0", 0, "train"),
    ]
    record = listing.records[-1]
    pixels = load(record, fit="native", resize=32, size=32)
    np.testing.assert_array_equal(pixels.ravel(), made["test_batch"][b"data"][5])
    assert [path.name for path in source_files(SPEC, tmp_path)] == [
        "batches.meta",
        "data_batch_1",
        "data_batch_2",
        "test_batch",
    ]


def as_python_2(content, protocol):
    """Return a pickle as Python 2 wrote it: text is bytes, and NumPy's module has its old name."""
    data = pickle.dumps(content, protocol=2)
    return data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def test_pickles_of_old_numpy_are_read(tmp_path):
    python_version(tmp_path, write=as_python_2)
    assert b"numpy.core" in (tmp_path / "test_batch").read_bytes()
    assert len(read_cifar10(tmp_path).records) == 22


def test_both_versions_and_png_folders_give_the_same_arrays(tmp_path):
    made = python_version(tmp_path / "py")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/batches.meta.txt").write_text("\n".join(NAMES))
    for name, content in made.items():
        labels = np.array(content[b"labels"], np.uint8)[:, None]
        (tmp_path / "bin" / f"{name}.bin").write_bytes(np.concatenate([labels, content[b"data"]], axis=1).tobytes())
        for n, pixels in enumerate(content[b"data"]):
            split = "test" if name == "test_batch" else "train"
            path = tmp_path / "png" / split / NAMES[n % 2] / f"{name}_{n:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.moveaxis(pixels.reshape(3, 32, 32), 0, -1)).save(path)
    found = {}
    for kind in ("py", "bin", "png"):
        manifest = build_dataset(SPEC, 0, tmp_path / kind, tmp_path / "out" / kind)
        assert manifest["classes"] == NAMES
        found[kind] = open_image_set(tmp_path / "out" / kind / "test")
    np.testing.assert_array_equal(found["py"].images, found["bin"].images)
    order = lambda images: sorted(zip(images.labels.tolist(), (i.tobytes() for i in images.images), strict=True))  # noqa: E731
    assert order(found["png"]) == order(found["bin"])
    assert "where CIFAR-10 has 50,000" in manifest["said"][-1]


def test_jpeg_copies_are_another_dataset(tmp_path):
    for split in ("train", "test"):
        for name in NAMES:
            path = tmp_path / split / name / "0.jpg"
            path.parent.mkdir(parents=True)
            Image.new("RGB", (32, 32)).save(path)
    with pytest.raises(UserError, match=r"4 files, such as test/airplane/0.jpg, .*Read them as kind: image_folder"):
        read_cifar10(tmp_path)


class Evil:
    def __init__(self, call):
        self.call = call

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "call",
    [
        (os.system, ("touch PLANTED",)),
        (eval, ("open('PLANTED', 'w')",)),
        (np.load, ("PLANTED",)),
        (getattr, (np.ndarray, "tofile")),
        (np.fromfile, ("PLANTED",)),
        (bytearray, (10**12,)),
    ],
)
@pytest.mark.parametrize("name", ["data_batch_1", "batches.meta"])
def test_a_pickle_that_asks_for_anything_else_is_refused_and_not_run(tmp_path, monkeypatch, call, name):
    monkeypatch.chdir(tmp_path)
    python_version(tmp_path / "py")
    (tmp_path / "py" / name).write_bytes(pickle.dumps(batch(8, 0, evil=Evil(call)), protocol=2))
    with pytest.raises(UserError, match=r"it asks to run .*; nothing of it was run") as refused:
        read_cifar10(tmp_path)
    assert name in str(refused.value) and not (tmp_path / "PLANTED").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {b"data": np.zeros((8, 3072), np.float32)},
        {b"data": np.zeros((8, 3071), np.uint8)},
        {b"data": np.array([None] * 8)},
        {b"data": [0] * 8},
        {b"labels": [0] * 7},
        {b"labels": [0.5] * 8},
        {b"labels": [-1] * 8},
        {b"labels": [7] * 8},
        {b"labels": None, b"fine_labels": [0] * 8},
    ],
)
def test_what_is_no_batch_is_refused(tmp_path, changes):
    python_version(tmp_path)
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps(batch(8, 0) | changes, protocol=2))
    with pytest.raises(UserError, match="data_batch_1"):
        read_cifar10(tmp_path)


def test_labels_in_an_array_are_read(tmp_path):
    python_version(tmp_path)
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps(batch(8, 0) | {b"labels": np.arange(8) % 2}))
    assert [record.label for record in read_cifar10(tmp_path).records[:3]] == [0, 1, 0]


def test_an_incomplete_or_doubled_source_is_refused(tmp_path):
    python_version(tmp_path / "a/py")
    (tmp_path / "a/py/test_batch").unlink()
    with pytest.raises(UserError, match="no test_batch; allowed: the python version of CIFAR-10, complete"):
        read_cifar10(tmp_path / "a")
    python_version(tmp_path / "b/one")
    python_version(tmp_path / "b/two")
    with pytest.raises(UserError, match=r"2 folders fit .*: one, two; set dataset.path to one"):
        read_cifar10(tmp_path / "b")


PICKLED = pickle.dumps(batch(1, 0) | {b"data": np.zeros((1, 12), np.uint8)}, protocol=2)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(places=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_damaged_pickle_gives_plain_data_or_a_reason(tmp_path_factory, places):
    data = bytearray(PICKLED)
    for place, value in places:
        data[int(place * (len(data) - 1))] = value
    path = tmp_path_factory.mktemp("pickle") / "batch"
    path.write_bytes(data)
    try:
        unpickled(path)
    except UserError as error:
        assert str(path) in str(error)


def test_the_damaged_pickles_start_from_a_sound_one():
    names = {argument for _, argument, _ in pickletools.genops(io.BytesIO(PICKLED)) if isinstance(argument, str)}
    assert "numpy ndarray" in names
