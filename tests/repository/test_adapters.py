"""The scripts of the rules: what they import is there; a download and the accuracies run as their rules run them."""

import ast
import importlib
import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from shapelens.artefacts.files import sha256, write_json
from shapelens.datasets.sources import ALL_SOURCES

from ..fake_job import Params, Paths
from ..stats_data import frame

SCRIPTS = Path(__file__).resolve().parents[2] / "workflow" / "scripts"
ADAPTERS = sorted(SCRIPTS.glob("*.py"))


def missing(script):
    """Return the names that a script imports from the library and that are not there."""
    found = []
    for node in ast.walk(ast.parse(script.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("shapelens"):
            module = importlib.import_module(node.module)
            for alias in node.names:
                try:
                    getattr(module, alias.name, None) or importlib.import_module(f"{node.module}.{alias.name}")
                except ModuleNotFoundError:
                    found.append(f"{node.module}.{alias.name}")
    return found


@pytest.mark.parametrize("script", ADAPTERS, ids=lambda path: path.stem)
def test_everything_that_an_adapter_imports_is_there(script):
    assert missing(script) == []


def test_a_name_that_is_not_there_is_found(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("from shapelens.datasets.fetch import fetch, fetch_source\n")
    assert missing(script) == ["shapelens.datasets.fetch.fetch_source"]


@pytest.mark.parametrize("file", ["cifar-10-binary.tar.gz", "vgg_normalised.pth"])
def test_an_official_source_is_fetched_from_its_address_with_its_hash(tmp_path, monkeypatch, file):
    asked = []
    monkeypatch.setattr("shapelens.datasets.fetch.fetch", lambda url, path, **hashes: asked.append((url, path, hashes)))
    fake = SimpleNamespace(
        input=[],
        output=[str(tmp_path / file)],
        log=[str(tmp_path / "log")],
        resources=SimpleNamespace(gpu=0),
        rule="fetch",
        scriptdir=str(SCRIPTS),
    )
    runpy.run_path(str(SCRIPTS / "fetch.py"), init_globals={"snakemake": fake})
    [(url, path, hashes)] = asked
    assert url.startswith("https://") and url.endswith(file) and path == tmp_path / file
    md5 = "c32a1d4ab5d03f1284b67883e8d87530" if file.startswith("cifar") else None
    recorded = next(source.sha256 for source in ALL_SOURCES if source.file == file)
    assert recorded and hashes == {"md5": md5, "sha256": recorded}


@pytest.mark.parametrize("classes", [50, 200])
def test_published_numbers_stand_beside_the_whole_dataset_alone(tmp_path, classes):
    inputs = {}
    for folder in ("predictions", "robust"):
        path = tmp_path / folder / "standard" / "seed0.parquet"
        path.parent.mkdir(parents=True)
        frame("clean", [0, 1, 1], [0, 1, 0]).to_parquet(path)
        write_json(path.with_suffix(".json"), {"sha256": {path.name: sha256(path)}})
        inputs[folder] = [str(path)]
    write_json(tmp_path / "manifest.json", {"classes": [f"n{number:08}" for number in range(classes)]})
    spec = {
        "dataset": "tinyimagenet",
        "kind": "tinyimagenet",
        "data_seed": 0,
        "grid": [{"name": "standard", "family": "standard"}],
        "statistics": {"resamples": 100},
    }
    fake = SimpleNamespace(
        input=Paths(data=str(tmp_path / "manifest.json"), **inputs),
        output=[str(tmp_path / "accuracy.csv")],
        params=Params(spec=json.dumps(spec)),
        log=[str(tmp_path / "log")],
        resources=SimpleNamespace(gpu=0),
        rule="accuracy",
        scriptdir=str(SCRIPTS),
    )
    runpy.run_path(str(SCRIPTS / "accuracy.py"), init_globals={"snakemake": fake})
    published = pd.read_csv(tmp_path / "accuracy.csv").query("seed == 'mean'")["published"]
    assert published.notna().all() if classes == 200 else published.isna().all()
