"""Files that were cut off or lost a bit are noticed by name and hash before they are used, with what mends them."""

import gzip
import io
import json
import lzma
import re
import runpy
import tarfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from shapelens.artefacts.files import open_image_set, read_json, save_npz, sha256, verified, verified_set, write_json
from shapelens.datasets.archives import unpack
from shapelens.datasets.build import build_dataset
from shapelens.datasets.fetch import check_fetched
from shapelens.datasets.spec import Cues, ImageFolder
from shapelens.errors import UserError
from shapelens.instruments.measuring import measure_job
from shapelens.instruments.spec import MeasurementJob
from shapelens.stats.spec import Statistics, StatisticsJob
from shapelens.stylisation.spec import DrawnStyles
from shapelens.stylisation.styles import write_styles
from shapelens.transforms.apply import write_testset
from shapelens.transforms.spec import Clean

from ..fake_job import Paths as Inputs

SCRIPTS = Path(__file__).resolve().parents[2] / "workflow" / "scripts"
CUES = Cues(kind="cues", classes=2, size=16, train=12, validation=4, test=4)
RESULTS = Path("results/cues")
RESOURCES = SimpleNamespace(gpu=0, batch=4)


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(bytes(data))


def cut_off(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def empty(path):
    path.write_bytes(b"")


damages = pytest.mark.parametrize("damage", [flip_a_bit, cut_off, empty])


def refusal(path, use, *words):
    """Return the error of what uses a damaged file: it names the file and the command that makes it again."""
    with pytest.raises(UserError) as caught:
        use()
    text = str(caught.value)
    assert str(path) in text, text
    assert f"snakemake {path} --cores 1 --force" in text, text
    for word in words or ("sha256",):
        assert word in text, text
    return text


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A small finished study: data, one test set, and the record of a model."""
    monkeypatch.chdir(tmp_path)
    build_dataset(CUES, 0, None, RESULTS / "data")
    write_testset(open_image_set(RESULTS / "data/test"), Clean(), 0, RESULTS / "testsets/clean")
    write_json(RESULTS / "models/m/seed0/selection.json", {"weights_sha256": "w"})
    return tmp_path


def recorded(path):
    """Write the record of a measured file, as the workflow does."""
    write_json(path.with_suffix(".json"), {"sha256": {path.name: sha256(path)}})
    return path


def run(script, **snakemake):
    """Run an adapter; its log has the error that it ends with."""
    log = Path("job.log")
    fake = SimpleNamespace(
        scriptdir=str(SCRIPTS), rule=script, log=[str(log)], threads=1, resources=RESOURCES, **snakemake
    )
    with pytest.raises(SystemExit):
        runpy.run_path(str(SCRIPTS / f"{script}.py"), init_globals={"snakemake": fake})
    raise UserError(log.read_text())


def test_undamaged_files_are_taken(tree):
    """The planted fault: checks that refuse everything would pass below."""
    assert verified_set(RESULTS / "testsets/clean") == RESULTS / "testsets/clean"
    assert verified_set(RESULTS / "data/train") == RESULTS / "data/train"
    path = RESULTS / "saliency/m/seed0.npz"
    save_npz(path, {"maps": np.zeros(3)})
    assert verified(recorded(path)) == path
    path.with_suffix(".json").unlink()
    assert verified(path) == path  # somebody's own file, outside the workflow


@damages
@pytest.mark.parametrize("name", ["images.npy", "labels.npy", "textures.npy"])
def test_a_damaged_test_set_is_not_measured(tree, monkeypatch, damage, name):
    path = RESULTS / "testsets/clean" / name
    damage(path)
    monkeypatch.setattr("shapelens.models.store.load_model", lambda folder, device: "a model")
    monkeypatch.setattr("shapelens.models.devices.configure", lambda threads: None)
    monkeypatch.setattr(
        "shapelens.instruments.predictions.measure.measure", lambda job: pytest.fail("measured"), raising=True
    )
    spec = MeasurementJob(instrument="predictions", settings={}, data_seed=0, testsets=("clean",))
    job = SimpleNamespace(
        threads=1,
        resources=RESOURCES,
        params=SimpleNamespace(spec=spec.canonical(), code="c", module="shapelens.instruments.predictions.measure"),
        input=SimpleNamespace(
            weights=str(RESULTS / "models/m/seed0/model.safetensors"),
            manifests=[str(RESULTS / "testsets/clean/manifest.json")],
        ),
        output=Inputs(record=str(RESULTS / "predictions/m/seed0.json")),
    )
    refusal(path, lambda: measure_job(job), "manifest.json names", sha256(path))


@damages
def test_damaged_test_images_make_no_test_set(tree, damage):
    path = RESULTS / "data/test/images.npy"
    damage(path)
    params = SimpleNamespace(spec=json.dumps({"testset": Clean().model_dump(), "data_seed": 0}))
    inputs, output = Inputs(images=str(path)), Inputs(manifest="out/manifest.json")
    refusal(path, lambda: run("testset", input=inputs, output=output, params=params), "manifest.json names")
    assert not Path("out").exists()


@damages
def test_damaged_predictions_make_no_table(tree, damage):
    from shapelens.artefacts.parquet import write_parquet
    from shapelens.instruments.runs import read_runs
    from shapelens.plots.shown import label_probabilities

    path = RESULTS / "predictions/m/seed0.parquet"
    table = pd.DataFrame({"testset": ["clean"] * 9, "image": range(9), "probability": np.linspace(0, 1, 9)})
    write_parquet(path, table)
    recorded(path)
    assert len(read_runs([path])["m", 0]) == 9
    assert label_probabilities({"m": [path]}, ["clean"], [3])["m"].shape == (1, 1)
    damage(path)
    refusal(path, lambda: read_runs([path]), "seed0.json names")
    refusal(path, lambda: label_probabilities({"m": [path]}, ["clean"], [3]), "seed0.json names")


@damages
def test_damaged_maps_are_neither_drawn_nor_measured(tree, damage):
    from shapelens.attribution.saved_maps import read_maps

    path = RESULTS / "saliency/m/seed0.npz"
    arrays = {"methods": np.array(["grad"]), "testsets": np.array(["clean"]), "images": np.arange(2)}
    save_npz(path, {**arrays, "labels": np.arange(2), "maps": np.zeros((1, 1, 2, 3, 16, 16), np.float32)})
    recorded(path)
    assert read_maps({"m": path}, "grad", "clean").maps["m"].shape == (2, 3, 16, 16)
    damage(path)
    refusal(path, lambda: read_maps({"m": path}, "grad", "clean"), "seed0.json names")
    inputs = Inputs(maps=[str(path), str(RESULTS / "saliency/n/seed0.npz")])
    output = ["distance.csv"]
    params = SimpleNamespace(
        spec=StatisticsJob(dataset="cues", kind="cues", data_seed=0, statistics=Statistics(), grid=()).canonical()
    )
    refusal(path, lambda: run("saliency_distance", input=inputs, output=output, params=params), "seed0.json names")
    assert not Path("distance.csv").exists()


@damages
def test_a_damaged_checkpoint_is_not_loaded(tree, damage):
    from shapelens.models.from_elsewhere import initialise
    from shapelens.models.spec import Network
    from shapelens.models.store import load_model, save_model

    folder = RESULTS / "models/m/seed0"
    network = Network(arch="resnet-small", width=4)
    path = folder / "model.safetensors"
    digest = save_model(initialise(network, 2, [0.5] * 3, [0.2] * 3, seed=0), path)
    write_json(folder / "spec.json", {"spec": {"classes": 2, "network": network.model_dump(mode="json")}})
    write_json(folder / "selection.json", {"weights_sha256": digest})
    load_model(folder)
    damage(path)
    refusal(path, lambda: load_model(folder), "selection.json names")
    write_json(folder / "selection.json", {"weights": digest})
    refusal(path, lambda: load_model(folder), "selection.json names None")
    (folder / "selection.json").unlink()
    if damage is not flip_a_bit:  # without a record one bit shows nowhere
        refusal(path, lambda: load_model(folder), "is not a safetensors file")


@damages
def test_damaged_style_networks_paint_nothing(tree, damage):
    import torch

    from shapelens.models.store import save_model
    from shapelens.stylisation.networks import Decoder, Encoder, Layout
    from shapelens.stylisation.run import NETWORKS, load_networks, make_networks
    from shapelens.stylisation.spec import StyleNetworks

    folder, layout = RESULTS / "stylisation", Layout((2, 2), (1,))
    networks = dict(zip(NETWORKS, (Encoder(layout), Decoder(layout)), strict=True))
    digests = {name: save_model(network, folder / name) for name, network in networks.items()}
    write_json(folder / "spec.json", {"layout": layout._asdict(), "sha256": digests})
    load_networks(folder, "cpu")
    damage(folder / "decoder.safetensors")
    refusal(folder / "decoder.safetensors", lambda: load_networks(folder, "cpu"), "spec.json names")

    write_styles(DrawnStyles(kind="drawn", count=2), 16, 0, None, RESULTS / "styles")
    for path in (RESULTS / "styles/images.npy", RESULTS / "data/validation/labels.npy"):
        whole = path.read_bytes()
        damage(path)
        places = RESULTS / "data", RESULTS / "styles", Path("out"), Path("state")
        refusal(path, lambda p=places: make_networks(StyleNetworks(), *p, torch.device("cpu"), 0, code="c"))
        path.write_bytes(whole)


@pytest.mark.parametrize("damage", [cut_off, empty])
@pytest.mark.parametrize("name", ["testsets/clean/manifest.json", "data/manifest.json"])
def test_a_damaged_manifest_is_named(tree, damage, name):
    path = RESULTS / name
    damage(path)
    folder = RESULTS / ("testsets/clean" if "clean" in name else "data/test")
    refusal(path, lambda: verified_set(folder), "is not JSON")
    write_json(path, {"sha256": ["images.npy"]})
    refusal(path, lambda: verified_set(folder), "by sha256")
    path.unlink()
    with pytest.raises(UserError, match=r"manifest\.json is missing"):
        verified_set(folder)


def test_an_array_that_is_gone_is_named(tree):
    path = RESULTS / "testsets/clean/labels.npy"
    path.unlink()
    refusal(path, lambda: verified_set(path.parent), "is missing")


def test_a_damaged_manifest_does_not_keep_the_workflow_from_being_read(tree):
    import yaml

    from shapelens.planning.for_readers import captions
    from shapelens.planning.plan import Plan

    raw = yaml.safe_load((SCRIPTS.parents[1] / "config.yaml").read_text())
    count = captions(Plan(raw, SCRIPTS).studies)["cues"]["n"]
    assert count == 4  # as measured
    cut_off(RESULTS / "data/manifest.json")
    assert captions(Plan(raw, SCRIPTS).studies)["cues"]["n"] == raw["dataset"]["test"]


@damages
@pytest.mark.parametrize("published", ["md5", "sha256", None])
def test_a_damaged_download_is_not_opened(tree, damage, published):
    import hashlib

    path = Path("resources/cifar-10-binary.tar.gz")
    path.parent.mkdir()
    path.write_bytes(np.random.default_rng(0).bytes(10_000))
    md5 = hashlib.md5(path.read_bytes()).hexdigest() if published == "md5" else None
    known = sha256(path) if published == "sha256" else None
    if published is None:
        path.with_name(path.name + ".sha256").write_text(f"{sha256(path)}  {path.name}\n")
    check_fetched(path, md5, known)
    damage(path)
    refusal(path, lambda: check_fetched(path, md5, known), "was expected")


def test_the_adapter_of_a_dataset_checks_the_download_first(tree):
    path = Path("resources/cifar-10-binary.tar.gz")
    path.parent.mkdir()
    path.write_bytes(b"half of it")
    spec = {"dataset": {"kind": "cifar10", "name": "cifar10"}, "data_seed": 0, "splits": ["train"]}
    job = {
        "input": Inputs(source=str(path)),
        "output": Inputs(manifest="out/manifest.json"),
        "params": SimpleNamespace(spec=json.dumps(spec)),
    }
    refusal(path, lambda: run("dataset", **job), "md5", "c32a1d4ab5d03f1284b67883e8d87530 was expected")
    assert not Path("out").exists()


@damages
@pytest.mark.parametrize("suffix", [".zip", ".tar.gz", ".tar.xz"])
def test_a_damaged_archive_gives_no_other_images(tree, damage, suffix):
    """Compressed archives have checksums of their own; those of the official sources are compared beforehand."""
    import shutil

    from PIL import Image

    rng = np.random.default_rng(0)
    for n in range(8):
        image = Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8))
        (Path("photos") / f"class{n % 2}").mkdir(parents=True, exist_ok=True)
        image.save(Path("photos") / f"class{n % 2}" / f"{n}.png")
    kind = {".zip": "zip", ".tar.gz": "gztar", ".tar.xz": "xztar"}[suffix]
    archive = Path(shutil.make_archive("photos", kind, "photos"))
    spec = ImageFolder(kind="image_folder", path=str(archive), size=16, validation=0.3, test_share=0.3)
    build_dataset(spec, 0, archive, Path("whole"))
    damage(archive)
    with pytest.raises(UserError, match=re.escape(archive.name)):
        build_dataset(spec, 0, archive, Path("data"))
    assert not Path("data/manifest.json").exists()
    assert read_json("whole/manifest.json")["source"]["sha256"] != sha256(archive)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_a_tar_that_ends_too_soon_is_not_half_unpacked(tmp_path, mode):
    """Cut between two members, or with a damaged header: Python's tarfile takes both for the end of the archive."""
    with tarfile.open(tmp_path / "whole.tar", "w") as tar:
        for name in "ab":
            info = tarfile.TarInfo(name)
            info.size = 700
            tar.addfile(info, io.BytesIO(name.encode() * 700))
    assert len(list(unpack(tmp_path / "whole.tar", tmp_path / "out").iterdir())) == 2
    whole = (tmp_path / "whole.tar").read_bytes()
    member = 3 * tarfile.BLOCKSIZE
    damaged = {
        "cut": whole[:member],
        "header": whole[: member + 3] + b"x" + whole[member + 4 :],
        "no-end": whole[: 2 * member],
    }
    opened = {"w": open, "w:gz": gzip.open, "w:xz": lzma.open}[mode]
    for name, data in damaged.items():
        path = tmp_path / name
        with opened(path, "wb") as file:
            file.write(data)
        with tarfile.open(path) as tar:
            assert len(tar.getnames()) < 2 or name == "no-end"  # the fault: nothing is said
        with pytest.raises(UserError, match=f"{name} cannot be unpacked: it was cut off"):
            unpack(path, tmp_path / f"{name}-out")
