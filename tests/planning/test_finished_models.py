"""What is said of finished models and initial weights before any job, and what makes them stale."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from shapelens.errors import UserError
from shapelens.planning.plan import Plan

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "workflow" / "scripts"
CUES = {"kind": "cues", "classes": 3, "size": 16}


def plan(models, **study):
    return Plan({"dataset": CUES, "models": models, "rulers": False, **study}, SCRIPTS)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.pth").write_bytes(b"weights")
    return tmp_path


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"weights": "hf-hub:timm/resnet18.a1_in1k"}, "did you mean timm:hf-hub:timm/resnet18.a1_in1k"),
        ({"weights": "torchhub:resnet18"}, "no library of models"),
        ({"weights": "ResNet18_Weights.IMAGENET1K_V1"}, "did you mean torchvision:ResNet18_Weights"),
        ({"weights": "torchvision:resnet18"}, "names no weights of torchvision"),
        ({"weights": "timm:"}, "names no weights"),
        ({"weights": "w.pth"}, "arch: w.pth is a file of weights"),
        ({"weights": "no.pth", "arch": "resnet18"}, r"no\.pth does not exist.*did you mean"),
        ({"weights": "w.pth", "arch": "resnet81"}, "did you mean resnet18"),
        ({"weights": "w.pth", "arch": "resnet18", "class_indices": [0, 1]}, "2 entries, but the dataset has 3 classes"),
        ({"weights": "w.pth", "arch": "resnet18", "outputs": [0, 1, 2, 3]}, "4 entries"),
        ({"weights": "w.pth", "arch": "resnet18", "module": "w.py:build"}, "leave one"),
        ({"weights": "w.pth", "module": "w.py"}, "not of the form"),
        ({"weights": "w.pth", "module": "w.py:build"}, r"models\.m\.module.*w\.py does not exist"),
        ({"weights": "w.pth", "file": "w.pth", "arch": "resnet18"}, "file: weights names a file already"),
        ({"weights": "w.pth", "arch": "torchvision:inception_v3"}, "built in two ways"),
        ({"weights": "timm:resnet18", "file": "no.pth"}, r"models\.m\.file.*does not exist"),
        ({"weights": "timm:local-dir:nowhere"}, "nowhere does not exist"),
    ],
)
def test_mistakes_are_found_before_any_job(entry, said):
    with pytest.raises(UserError, match=said):
        plan({"m": entry})


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("torchvision:ResNet81_Weights.IMAGENET1K_V1", "did you mean ResNet"),
        ("torchvision:ResNet18_Weights.IMAGENET1K_V9", "did you mean ResNet18_Weights.IMAGENET1K_V1"),
        ("timm:resnet81", "did you mean resnet"),
    ],
)
def test_names_that_no_library_has_are_found_before_any_job(name, said):
    pytest.importorskip(name.partition(":")[0])
    with pytest.raises(UserError, match=said):
        plan({"m": {"weights": name}})


def test_names_of_libraries_are_known_as_the_libraries_know_them():
    models, timm = pytest.importorskip("torchvision.models"), pytest.importorskip("timm")
    from shapelens.planning import library_names as names

    builders = set(models.list_models(module=models))
    assert names._found("torchvision", "models", names.TORCHVISION_BUILDER) == builders
    enums = {
        f"{models.get_model_weights(b).__name__}.{e}" for b in builders for e in models.get_model_weights(b).__members__
    }
    assert names._enums() == enums
    assert set(timm.list_models()) <= names._found("timm", "models", names.TIMM_BUILDER)


def test_reading_the_config_imports_no_torch():
    study = {"dataset": CUES, "rulers": False, "network": {"arch": "timm:resnet18"}, "models": {"standard": {}}}
    code = (
        f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); from pathlib import Path\n"
        "from shapelens.planning.plan import Plan\n"
        f"Plan({study!r}, Path({str(SCRIPTS)!r})); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


@pytest.mark.parametrize("name", ["no.pth", "no.pth.tar", "folder/no.ckpt", "no.bin"])
def test_initial_weights_that_are_not_there_are_found(name):
    with pytest.raises(UserError, match=r"network\.weights of model standard.*does not exist|cannot be looked at"):
        plan({"standard": {}}, network={"weights": name})
    with pytest.raises(UserError, match="timm:resnet18 are of another network"):
        plan({"standard": {}}, network={"weights": "timm:resnet18"})


def digest(entry, model="m"):
    wildcards = SimpleNamespace(dataset="cues", model=model, seed="0")
    return json.loads(plan({model: entry}).asks.finished(wildcards))["content"]


def test_every_file_that_decides_a_model_makes_it_stale(here):
    (here / "net.py").write_text("def build(): ...")
    (here / "folder").mkdir()
    (here / "folder" / "config.json").write_text("{}")
    cases = {
        "w.pth": {"weights": "w.pth", "arch": "resnet18"},
        "net.py": {"weights": "w.pth", "module": "net.py:build"},
        "folder/config.json": {"weights": "timm:local-dir:folder"},
        "local.pth": {"weights": "timm:resnet18", "file": "local.pth"},
    }
    (here / "local.pth").write_bytes(b"local")
    for path, entry in cases.items():
        before = digest(entry)
        assert digest(entry) == before
        (here / path).write_bytes((here / path).read_bytes() + b"\n# changed")
        assert digest(entry) != before, path


def test_a_checkpoint_of_any_suffix_makes_a_training_stale(here):
    wildcards = SimpleNamespace(dataset="cues", model="standard", seed="0")
    for name in ("w.pth.tar", "w.ckpt"):
        (here / name).write_bytes(b"1")
        before = plan({"standard": {}}, network={"weights": name}).asks.training(wildcards)
        (here / name).write_bytes(b"2")
        assert plan({"standard": {}}, network={"weights": name}).asks.training(wildcards) != before


def test_the_example_of_the_documentation_is_a_study(here):
    (here / "lite0.safetensors").write_bytes(b"w")
    (here / "ours.pt").write_bytes(b"w")
    (here / "my_net.py").write_text("def build(): ...")
    entries = yaml.safe_load(
        """
        imagenet: {weights: "timm:tf_efficientnet_lite0", file: lite0.safetensors, normalisation: {mean: 0.5, std: 0.5},
                   outputs: imagenet-16}
        ours: {weights: ours.pt, module: "my_net.py:build", classes: [cat, dog, car]}
        """
    )
    assert set(plan(entries).studies["cues"].finished()) == {"imagenet", "ours"}
