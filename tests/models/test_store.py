"""Models on disk: round trips, refusals, and weights from outside."""

import pickle
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from shapelens.artefacts.files import read_json, sha256, write_json
from shapelens.errors import UserError
from shapelens.models import from_elsewhere
from shapelens.models.architectures import build
from shapelens.models.classifier import Classifier
from shapelens.models.from_elsewhere import convert, initialise, load_finished
from shapelens.models.spec import Finished, Network
from shapelens.models.store import load_model, save_model
from shapelens.models.weights import fit, read_state

torch.set_num_threads(1)
MEAN, STD = [0.4, 0.5, 0.6], [0.1, 0.2, 0.3]
SMALL = {"arch": "resnet-small", "width": 4}


def images(n: int = 3) -> Tensor:
    return torch.rand(n, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def store(folder: Path, network: Network, classes: int = 3) -> Classifier:
    """Write what training writes, as far as loading reads it."""
    model = initialise(network, classes, MEAN, STD, seed=1).eval()
    digest = save_model(model, folder / "model.safetensors")
    spec = {"model": "m", "seed": 1, "classes": classes, "network": network.model_dump(mode="json")}
    write_json(folder / "spec.json", {"spec": spec, "code": "c"})
    write_json(folder / "selection.json", {"weights_sha256": digest})
    return model


@pytest.mark.parametrize("normalisation", ["dataset", "imagenet", "per-image", "none"])
def test_a_model_comes_back_bit_for_bit(normalisation: str, tmp_path: Path) -> None:
    network = Network.model_validate({**SMALL, "normalisation": normalisation, "input_size": 16})
    model = store(tmp_path, network)
    again = load_model(tmp_path)
    assert not again.training and again.input_size == 16
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in model.state_dict().items())
    torch.testing.assert_close(again(images()), model(images()))


def test_equal_weights_are_equal_bytes(tmp_path: Path) -> None:
    model = initialise(Network.model_validate(SMALL), 3, MEAN, STD, seed=1)
    first = save_model(model, tmp_path / "a.safetensors")
    second = save_model(model.to(memory_format=torch.channels_last), tmp_path / "b.safetensors")
    assert first == second == sha256(tmp_path / "a.safetensors")


def test_changed_weights_are_refused(tmp_path: Path) -> None:
    model = store(tmp_path, Network.model_validate(SMALL))
    with torch.no_grad():
        next(model.parameters()).add_(1)
    save_model(model, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match=r"selection\.json names"):
        load_model(tmp_path)


def test_a_spec_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    store(tmp_path, Network.model_validate(SMALL))
    spec = read_json(tmp_path / "spec.json")
    spec["spec"]["network"]["width"] = 8
    write_json(tmp_path / "spec.json", spec)
    with pytest.raises(UserError, match="size mismatch"):
        load_model(tmp_path)
    write_json(tmp_path / "spec.json", {"spec": {"model": "m"}})
    with pytest.raises(UserError, match="not the spec of a model"):
        load_model(tmp_path)
    (tmp_path / "spec.json").unlink()
    with pytest.raises(UserError, match="missing"):
        load_model(tmp_path)


def wrapped(state: dict[str, Tensor], how: str) -> object:
    if how == "parallel":
        return {"epoch": 3, "state_dict": {f"module.{name}": tensor for name, tensor in state.items()}}
    if how == "nested":
        inner = {f"module.model.{name}": tensor for name, tensor in state.items()}
        return {"model": {**inner, "module.normalizer.new_mean": torch.zeros(3)}, "epoch": 1}
    if how == "cifar names":
        renamed = {n.replace("downsample.", "shortcut.").replace("fc.", "linear."): t for n, t in state.items()}
        return {"net": renamed, "acc": 93.0}
    return state


@pytest.mark.parametrize("how", ["bare", "parallel", "nested", "cifar names"])
def test_wrapped_state_dicts_are_read(how: str, tmp_path: Path) -> None:
    network = build("resnet-small", 3, 4, seed=7)
    torch.save(wrapped(network.state_dict(), how), tmp_path / "w.pth")
    chosen = Finished.model_validate({"weights": str(tmp_path / "w.pth"), **SMALL, "normalisation": "none"})
    model = load_finished(chosen, 3, MEAN, STD)
    torch.testing.assert_close(model(images()), network.eval()(images()))


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (eval, ("__import__('pathlib').Path('sprung').touch()",))


def test_nothing_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {"a": torch.zeros(1)}, "extra": Trap()}, "trap.pth")
    with pytest.raises(UserError, match="weights only"):
        read_state("trap.pth")
    assert not Path("sprung").exists()
    with open("trap.pth", "rb") as file, pytest.raises(pickle.UnpicklingError):
        pickle.load(file)  # it is torch's archive, not a bare pickle
    torch.load("trap.pth", weights_only=False)  # the fault: this springs it
    assert Path("sprung").exists()


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a file"):
        read_state(tmp_path / "none.pth")
    for name in ("bad.pth", "bad.safetensors"):
        (tmp_path / name).write_text("not weights")
        with pytest.raises(UserError, match=name):
            read_state(tmp_path / name)
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(UserError, match="no state dict"):
        read_state(tmp_path / "list.pth")


def test_weights_of_another_network_are_refused() -> None:
    small, deep = build("resnet-small", 3, 4), build("resnet18-cifar", 3)
    with pytest.raises(UserError, match="left over"):
        fit(small, deep.state_dict(), "deep")
    with pytest.raises(UserError, match="missing"):
        fit(deep, small.state_dict(), "small")
    with pytest.raises(UserError, match="shape"):
        fit(small, build("resnet-small", 3, 8).state_dict(), "wide")
    with pytest.raises(UserError, match="shape"):
        fit(small, build("resnet-small", 5, 4).state_dict(), "head")


def test_initial_weights_may_have_another_head(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = build("resnet-small", 10, 4, seed=5)
    torch.save(source.state_dict(), tmp_path / "w.pth")
    network = Network.model_validate({**SMALL, "weights": str(tmp_path / "w.pth")})
    with caplog.at_level("INFO", logger="shapelens"):
        model = initialise(network, 3, MEAN, STD, seed=2)
    assert "10 outputs, not 3" in caplog.text
    body = model.network
    assert torch.equal(body.get_parameter("conv1.weight"), source.get_parameter("conv1.weight"))
    fresh = build("resnet-small", 3, 4, seed=2)
    assert torch.equal(body.get_parameter("fc.weight"), fresh.get_parameter("fc.weight"))


def test_outputs_must_be_the_classes(tmp_path: Path) -> None:
    torch.save(build("resnet-small", 10, 4).state_dict(), tmp_path / "w.pth")
    values = {"weights": str(tmp_path / "w.pth"), **SMALL}
    with pytest.raises(UserError, match=r"10 outputs, but the dataset has 3 classes; set class_indices"):
        load_finished(Finished.model_validate(values), 3, MEAN, STD)
    for indices in ((0, 1), (0, 1, 10), (0, 1, 1)):
        with pytest.raises(UserError, match="from 0 to 9"):
            load_finished(Finished.model_validate({**values, "class_indices": indices}), 3, MEAN, STD)
    with pytest.raises(UserError, match="arch"):
        load_finished(Finished.model_validate({"weights": values["weights"]}), 3, MEAN, STD)


def test_a_finished_model_is_stored_like_a_trained_one(tmp_path: Path) -> None:
    source = build("resnet-small", 10, 4, seed=5)
    torch.save(source.state_dict(), tmp_path / "w.pth")
    values = {"weights": str(tmp_path / "w.pth"), **SMALL, "normalisation": "dataset", "class_indices": (7, 2, 5)}
    stored = torch.randint(0, 256, (6, 3, 16, 16), dtype=torch.uint8)
    labels = source.eval()((stored / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1))
    labels = labels[:, [7, 2, 5]].argmax(1)
    labels[0] = (labels[0] + 1) % 3
    out = tmp_path / "seed0"
    convert(Finished.model_validate(values), 3, MEAN, STD, out, model="mine", code="c", validation=(stored, labels))
    assert {path.name for path in out.iterdir()} == {
        *("model.safetensors", "spec.json", "selection.json", "history.csv", "run.json")
    }
    selection = read_json(out / "selection.json")
    assert selection["criterion"] == "finished" and selection["validation_accuracy"] == pytest.approx(5 / 6)
    again = load_model(out)
    assert ((again(stored / 255).argmax(1)) == labels).sum() == 5
    # Our own files carry the statistics of the images that they were trained with.
    own = Finished.model_validate({**values, "weights": str(out / "model.safetensors")})
    torch.testing.assert_close(load_finished(own, 3, [0.0] * 3, [1.0] * 3)(images()), again(images()))


def test_torchvision_models_are_named_by_their_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = pytest.importorskip("torchvision.models")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        source = models.resnet18(weights=None).eval()
    monkeypatch.setattr(from_elsewhere, "torchvision_state", lambda name: source.state_dict())
    chosen = Finished(weights="torchvision:ResNet18_Weights.IMAGENET1K_V1", class_indices=(1, 999), input_size=32)
    convert(chosen, 2, MEAN, STD, tmp_path, model="m", code="c")
    x = torch.rand(2, 3, 32, 32)
    expected = source(
        (x - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    )
    torch.testing.assert_close(load_model(tmp_path)(x), expected[:, [1, 999]], rtol=1e-4, atol=1e-4)
    network = Network(arch="resnet18", weights="ResNet18_Weights.IMAGENET1K_V1")
    assert initialise(network, 5, MEAN, STD, 0)(x).shape == (2, 5)


def test_unknown_torchvision_weights_are_refused() -> None:
    pytest.importorskip("torchvision")
    with pytest.raises(UserError, match="IMAGENET1K_V1"):
        initialise(Network(arch="resnet18", weights="ResNet18_Weights.NONE"), 5, MEAN, STD, 0)


def test_timm_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UserError, match="needs the package timm"):
        load_finished(Finished(weights="timm:vit_small_patch16_224"), 3, MEAN, STD)


def test_timm_models_bring_their_normalisation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for timm's interface, so that the test needs neither the package nor the network."""

    class Vit(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(3, 4)
            self.num_classes = 4
            self.pretrained_cfg = {
                "mean": (0.5, 0.5, 0.5),
                "std": (0.25, 0.25, 0.25),
                "input_size": (3, 224, 224),
                "fixed_input_size": True,
            }

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.head(x.mean((2, 3)))
            return logits

    class Timm:
        @staticmethod
        def create_model(name: str, pretrained: bool) -> nn.Module:
            if name != "vit":
                raise RuntimeError(f"Unknown model ({name})")
            return Vit()

    monkeypatch.setitem(sys.modules, "timm", Timm())  # type: ignore[arg-type]
    with pytest.raises(UserError, match="input_size: 224"):
        load_finished(Finished(weights="timm:vit", input_size=64), 4, MEAN, STD)
    assert load_finished(Finished(weights="timm:vit"), 4, MEAN, STD).input_size == 224
    with pytest.raises(UserError, match="Unknown model"):
        load_finished(Finished(weights="timm:vitt"), 4, MEAN, STD)
    model = convert(Finished(weights="timm:vit", input_size=224), 4, MEAN, STD, tmp_path, model="m", code="c")
    again = load_model(tmp_path)
    x = torch.rand(2, 3, 224, 224)
    torch.testing.assert_close(again(x), model(x))
    torch.testing.assert_close(model(x), model.network((x - 0.5) / 0.25))
