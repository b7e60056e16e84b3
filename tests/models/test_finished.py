"""Finished models as users bring them: each read rightly or refused, never silently wrong."""

import argparse
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from shapelens.artefacts.files import read_json
from shapelens.errors import UserError
from shapelens.models import from_elsewhere
from shapelens.models.architectures import PreActResNet18, build
from shapelens.models.classifier import Pooled
from shapelens.models.from_elsewhere import convert, initialise, load_finished
from shapelens.models.normalisation import IMAGENET_MEAN, IMAGENET_STD
from shapelens.models.spec import Finished, Network
from shapelens.models.store import load_model
from shapelens.models.weights import read_state

torch.set_num_threads(1)
ROOT = Path(__file__).resolve().parents[2]
MEAN, STD = [0.4, 0.5, 0.6], [0.1, 0.2, 0.3]
OWN_MEAN, OWN_STD = [0.3, 0.4, 0.45], [0.15, 0.25, 0.2]
SMALL = {"arch": "resnet-small", "width": 4}


def images(n: int = 4, side: int = 16) -> Tensor:
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(0))


def net(seed: int = 7, classes: int = 3) -> nn.Module:
    return build("resnet-small", classes, 4, seed=seed).eval()


def column(values: list[float]) -> Tensor:
    return torch.tensor(values).view(-1, 1, 1)


def normalised(x: Tensor, mean: list[float], std: list[float]) -> Tensor:
    return (x - column(mean)) / column(std)


def saved(folder: Path, content: Any, name: str = "w.pth") -> str:
    torch.save(content, folder / name)
    return str(folder / name)


def finished(weights: str, **keys: Any) -> Finished:
    return Finished.model_validate({"weights": weights, **keys})


def small(weights: str, **keys: Any) -> Finished:
    return finished(weights, **SMALL, **keys)


def stored_and_loaded(spec: Finished, folder: Path, classes: Any = 3, **more: Any) -> nn.Module:
    """Return a model as a measurement finds it: converted, written, and loaded again."""
    convert(spec, classes, MEAN, STD, folder / "out", model="m", code="c", **more)
    return load_model(folder / "out")


def selection(folder: Path) -> Any:
    return read_json(folder / "out" / "selection.json")


# M2, M3, M4: a file's own input normalisation


def with_statistics(network: nn.Module, layout: str) -> dict[str, Tensor]:
    """Return a checkpoint of a network that normalises by OWN_MEAN and OWN_STD, as it is published."""
    mean, std = torch.tensor(OWN_MEAN), torch.tensor(OWN_STD)
    state = network.state_dict()
    if layout == "sequential":  # torchattacks#63, auto-attack#13
        return {"0.mean": mean, "0.std": std} | {f"1.{name}": tensor for name, tensor in state.items()}
    if layout == "robustbench":  # RobustBench#16
        return {"mu": mean.view(1, 3, 1, 1), "sigma": std.view(1, 3, 1, 1)} | state
    if layout == "robustness":  # robustness#26
        found = {"module.normalizer.new_mean": mean.view(3, 1, 1), "module.normalizer.new_std": std.view(3, 1, 1)}
        for part in ("module.model.", "module.attacker.model."):
            found |= {part + name: tensor for name, tensor in state.items()}
        return found | {
            "module.attacker.normalize.new_mean": mean.view(3, 1, 1),
            "module.attacker.normalize.new_std": std.view(3, 1, 1),
        }
    assert layout == "from 0 to 255"
    return {"pixel_mean": 255 * mean, "pixel_std": 255 * std} | {f"net.{name}": t for name, t in state.items()}


@pytest.mark.parametrize("layout", ["sequential", "robustbench", "robustness", "from 0 to 255"])
def test_a_files_own_normalisation_is_used(layout: str, tmp_path: Path) -> None:
    weights = saved(tmp_path, {"state_dict": with_statistics(net(), layout), "epoch": 3})
    model = stored_and_loaded(small(weights), tmp_path)
    torch.testing.assert_close(model(images()), net()(normalised(images(), OWN_MEAN, OWN_STD)))
    assert any("own mean and std" in line for line in selection(tmp_path)["assumed"])


def test_a_normalisation_beside_the_state_dict_is_used(tmp_path: Path) -> None:
    weights = saved(tmp_path, {"net": net().state_dict(), "mean": tuple(OWN_MEAN), "std": np.array(OWN_STD)})
    model = load_finished(small(weights), 3, MEAN, STD)
    torch.testing.assert_close(model(images()), net()(normalised(images(), OWN_MEAN, OWN_STD)))


def test_a_config_that_contradicts_the_file_is_refused(tmp_path: Path) -> None:
    weights = saved(tmp_path, with_statistics(net(), "sequential"))
    for other in ("imagenet", "none", "per-image", {"mean": 0.5, "std": 0.5}):
        with pytest.raises(UserError, match="holds its own"):
            load_finished(small(weights, normalisation=other), 3, MEAN, STD)
    same = small(weights, normalisation={"mean": OWN_MEAN, "std": OWN_STD})
    torch.testing.assert_close(
        load_finished(same, 3, MEAN, STD)(images()), net()(normalised(images(), OWN_MEAN, OWN_STD))
    )


def test_two_normalisations_that_differ_and_half_a_one_are_refused(tmp_path: Path) -> None:
    state = with_statistics(net(), "robustness")
    state["module.attacker.normalize.new_mean"] = torch.zeros(3, 1, 1)
    with pytest.raises(UserError, match="several input normalisations"):
        load_finished(small(saved(tmp_path, state)), 3, MEAN, STD)
    state = with_statistics(net(), "sequential")
    del state["0.std"]
    with pytest.raises(UserError, match="without a standard deviation"):
        load_finished(small(saved(tmp_path, state)), 3, MEAN, STD)


# M5: a bare file


def test_a_bare_file_needs_its_normalisation_and_takes_any(tmp_path: Path) -> None:
    weights = saved(tmp_path, net().state_dict())
    with pytest.raises(UserError, match=r"normalisation: .* does not say"):
        load_finished(small(weights), 3, MEAN, STD)
    grey = small(weights, normalisation={"mean": "1/2", "std": 0.25})
    model = stored_and_loaded(grey, tmp_path)
    torch.testing.assert_close(model(images()), net()((images() - 0.5) / 0.25))
    by_channel = small(weights, normalisation={"mean": OWN_MEAN, "std": OWN_STD})
    torch.testing.assert_close(
        load_finished(by_channel, 3, MEAN, STD)(images()), net()(normalised(images(), OWN_MEAN, OWN_STD))
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"mean": 123.7, "std": 58.4}, r"0 to 255.*mean: \[0.4851\]"),
        ({"mean": 0.5, "std": 0}, "not above 0"),
        ({"mean": [0.5, 0.5], "std": 1}, "2 numbers"),
        ({"mean": 0.5}, "std"),
        ("imagnet", "imagenet"),
    ],
)
def test_impossible_normalisations_are_refused(given: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        finished("w.pth", normalisation=given, arch="resnet18")


# M9, M10: several networks in one file


def two_networks() -> dict[str, Tensor]:
    student, teacher = net(1).state_dict(), net(2).state_dict()
    return {f"student.{n}": t for n, t in student.items()} | {f"teacher.{n}": t for n, t in teacher.items()}


def test_two_networks_in_a_file_are_refused_until_one_is_named(tmp_path: Path) -> None:
    weights = saved(tmp_path, two_networks())
    with pytest.raises(UserError, match=r"2 networks.*student and teacher.*prefix: student"):
        load_finished(small(weights, normalisation="none"), 3, MEAN, STD)
    for name, seed in (("student", 1), ("teacher", 2)):
        model = load_finished(small(weights, normalisation="none", prefix=name), 3, MEAN, STD)
        torch.testing.assert_close(model(images()), net(seed)(images()))
    with pytest.raises(UserError, match="no such network below 'pupil'"):
        load_finished(small(weights, normalisation="none", prefix="pupil"), 3, MEAN, STD)
    with pytest.raises(UserError, match="2 networks"):
        initialise(Network.model_validate({**SMALL, "weights": weights}), 3, MEAN, STD, 0)


def test_which_network_is_read_does_not_depend_on_the_hash_seed(tmp_path: Path) -> None:
    weights = saved(tmp_path, two_networks() | {"encoder.x": torch.zeros(2)})
    code = (
        "from shapelens.models.weights import fit, read_state; from shapelens.models.architectures import build\n"
        f"try: fit(build('resnet-small', 3, 4), read_state({weights!r}), 'w')\n"
        "except Exception as error: print(error)"
    )
    said = set()
    for seed in ("1", "2", "3"):
        environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT / "workflow/scripts"), "OMP_NUM_THREADS": "1"}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        said.add(done.stdout)
    assert len(said) == 1 and "student and teacher" in said.pop()


@pytest.mark.parametrize("names", [("state_dict", "state_dict_ema"), ("model", "model_ema"), ("net", "ema")])
def test_trained_weights_are_taken_before_their_average_and_it_is_said(names: tuple[str, str], tmp_path: Path) -> None:
    raw, average = names
    weights = saved(tmp_path, {average: net(2).state_dict(), raw: net(1).state_dict(), "args": {"lr": 0.1}})
    model = stored_and_loaded(small(weights, normalisation="none"), tmp_path)
    torch.testing.assert_close(model(images()), net(1)(images()))
    assert any("averaged" in line and f"prefix: {average}" in line for line in selection(tmp_path)["assumed"])
    model = load_finished(small(weights, normalisation="none", prefix=average), 3, MEAN, STD)
    torch.testing.assert_close(model(images()), net(2)(images()))


def test_a_tensor_that_nobody_uses_is_refused_until_the_network_is_named(tmp_path: Path) -> None:
    state = {f"1.{name}": tensor for name, tensor in net().state_dict().items()} | {"0.weight": torch.eye(3)}
    weights = saved(tmp_path, state)
    with pytest.raises(UserError, match=r"beside it 0\.weight.*prefix: 1"):
        load_finished(small(weights, normalisation="none"), 3, MEAN, STD)
    model = stored_and_loaded(small(weights, normalisation="none", prefix="1"), tmp_path)
    torch.testing.assert_close(model(images()), net()(images()))
    assert any("not used: 0.weight" in line for line in selection(tmp_path)["assumed"])


# M1: the order of the classes


def labelled(network: nn.Module, classes: int, per_class: int = 12) -> tuple[Tensor, Tensor]:
    """Return random stored images with the classes that the network names, the same number of each."""
    generator = torch.Generator().manual_seed(3)
    picked: list[Tensor] = []
    wanted = dict.fromkeys(range(classes), per_class)
    for _ in range(400):
        shade = torch.rand(64, 3, 1, 1, generator=generator)
        x = ((shade + 0.3 * torch.rand(64, 3, 8, 8, generator=generator)).clamp(0, 1) * 255).to(torch.uint8)
        for image, answer in zip(x, network(x / 255).argmax(1).tolist(), strict=True):
            if wanted.get(answer, 0):
                wanted[answer] -= 1
                picked.append(image)
        if not any(wanted.values()):
            break
    assert not any(wanted.values()), wanted
    stack = torch.stack(picked)
    return stack, network(stack / 255).argmax(1)


class Shades(nn.Module):
    """Names the class whose shade is the nearest to an image's mean; smooth, so that gradients pass."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.register_buffer("shade", (torch.arange(classes) + 0.5) / classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = -((x.mean((1, 2, 3))[:, None] - self.shade) ** 2) * 100
        return logits


def shaded(classes: int, per_class: int = 12) -> tuple[Tensor, Tensor]:
    labels = torch.arange(classes).repeat(per_class)
    shades = ((labels + 0.5) / classes).view(-1, 1, 1, 1).expand(-1, 3, 8, 8)
    noise = 0.2 / classes * torch.rand(shades.shape, generator=torch.Generator().manual_seed(1))
    return ((shades + noise) * 255).to(torch.uint8), labels


def scripted(folder: Path, module: nn.Module) -> str:
    torch.jit.save(torch.jit.script(module.eval()), folder / "w.ts.pt")  # type: ignore[no-untyped-call]
    return str(folder / "w.ts.pt")


@pytest.mark.filterwarnings("ignore:.torch.jit")
def test_numeric_class_names_in_the_order_of_text_are_warned_of(tmp_path: Path, caplog: Any) -> None:
    numbers = 12
    names = sorted(map(str, range(numbers)))  # 0, 1, 10, 11, 2, …: the order of folders
    x, numeric = shaded(numbers)
    labels = torch.tensor([names.index(str(int(label))) for label in numeric])
    weights = scripted(tmp_path, Shades(numbers))
    convert(finished(weights, normalisation="none"), names, MEAN, STD, tmp_path / "out", model="m", code="c",
            validation=(x, labels))  # fmt: skip
    found = selection(tmp_path)
    text = " ".join(found["warnings"])
    assert found["validation_accuracy"] == pytest.approx(2 / 12)
    order = f"classes: [{', '.join(map(str, range(numbers)))}]"
    assert "numbers in the order of text" in text and "near chance" in text and text.count(order) == 2
    logged = " ".join(record.message for record in caplog.records if record.levelname == "WARNING")
    assert all(f"m: {warning}" in logged for warning in found["warnings"])
    # Without validation images, as in a study of test sets alone, the names are all that can be looked at.
    convert(finished(weights, normalisation="none"), names, MEAN, STD, tmp_path / "out", model="m", code="c")
    assert ["numbers in the order of text" in text for text in selection(tmp_path)["warnings"]] == [True]
    # The remedy that it names is the right one.
    chosen = finished(weights, normalisation="none", classes=list(range(numbers)))
    convert(chosen, names, MEAN, STD, tmp_path / "out", model="m", code="c", validation=(x, labels))
    assert selection(tmp_path)["validation_accuracy"] == 1 and selection(tmp_path)["warnings"] == []


@pytest.mark.filterwarnings("ignore:.torch.jit")
def test_two_classes_exchanged_are_named_although_accuracy_is_high(tmp_path: Path) -> None:
    names = ["ant", "bee", "cat", "dog", "elk", "fox"]
    x, labels = shaded(6)
    swapped = torch.tensor([0, 1, 3, 2, 4, 5])[labels]
    convert(finished(scripted(tmp_path, Shades(6)), normalisation="none"), names, MEAN, STD, tmp_path / "out",
            model="m", code="c", validation=(x, swapped))  # fmt: skip
    found = selection(tmp_path)
    assert found["validation_accuracy"] == pytest.approx(4 / 6)
    (warning,) = found["warnings"]
    assert "100.0% instead of 66.7%" in warning and "classes: [ant, bee, dog, cat, elk, fox]" in warning


def test_no_order_is_named_for_a_model_that_errs_without_one() -> None:
    from shapelens.models.checks import better_order

    rng = np.random.default_rng(0)
    true = np.repeat(np.arange(50), 4)
    for share in (0.0, 0.3, 0.8):
        for _ in range(20):
            said = np.where(rng.random(len(true)) < share, true, rng.integers(0, 50, len(true)))
            assert better_order(true, said, 50) is None


@pytest.mark.filterwarnings("ignore:.torch.jit")
def test_an_expected_accuracy_that_is_missed_ends_the_run(tmp_path: Path) -> None:
    x, labels = shaded(6)
    weights = scripted(tmp_path, Shades(6))
    for expected, right in ((0.9, True), (1, True)):
        spec = finished(weights, normalisation="none", expected_accuracy=expected)
        convert(spec, 6, MEAN, STD, tmp_path / "out", model="m", code="c", validation=(x, labels))
        wrong = finished(weights, normalisation="none", expected_accuracy=expected)
        with pytest.raises(UserError, match=r"expected_accuracy: .*0\.0%"):
            convert(wrong, 6, MEAN, STD, tmp_path / "out", model="m", code="c", validation=(x, (labels + 1) % 6))
        assert right
    with pytest.raises(ValueError, match="less than or equal to 1"):
        finished(weights, expected_accuracy=93)


# M6, M7, M8: torchvision, by its own functions


def published(monkeypatch: pytest.MonkeyPatch, name: str, **arguments: Any) -> nn.Module:
    """Let torchvision's weights be random ones, and return its own network with them."""
    models = pytest.importorskip("torchvision.models")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        builder = name.partition("_Weights")[0].lower()
        source = models.get_model(builder, weights=None, **arguments)
        # Statistics of random images, so that every layer's output depends on them as in a trained network.
        for module in source.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
        with torch.no_grad():
            source.train()(torch.rand(8, 3, 64, 64))
    monkeypatch.setattr(from_elsewhere, "torchvision_state", lambda _name: source.state_dict())
    whole: nn.Module = source.eval()
    return whole


def test_googlenet_keeps_its_input_transform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = published(monkeypatch, "GoogLeNet_Weights", aux_logits=True, transform_input=True, init_weights=False)
    spec = finished("torchvision:GoogLeNet_Weights.IMAGENET1K_V1", input_size=64)
    model = stored_and_loaded(spec, tmp_path, classes=1000)
    x = images(2, 64)
    expected = source(normalised(x, list(IMAGENET_MEAN), list(IMAGENET_STD)))
    torch.testing.assert_close(model(x), expected, rtol=1e-3, atol=1e-3)
    source.transform_input = False  # the fault: rebuilt by hand, it has none
    without = source(normalised(x, list(IMAGENET_MEAN), list(IMAGENET_STD)))
    assert (model(x) - without).abs().max() > 0.05


def test_densenet_is_read_under_its_published_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = published(monkeypatch, "DenseNet121_Weights")
    old = {
        re.sub(r"(denselayer\d+\.(?:norm|relu|conv))([12])\.", r"\1.\2.", name): tensor
        for name, tensor in source.state_dict().items()
        if not name.endswith("num_batches_tracked")  # older than that counter
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    monkeypatch.setattr(from_elsewhere, "torchvision_state", lambda _name: old)
    x = images(2, 32)
    expected = source(normalised(x, list(IMAGENET_MEAN), list(IMAGENET_STD)))
    spec = finished("torchvision:DenseNet121_Weights.IMAGENET1K_V1", input_size=32)
    torch.testing.assert_close(stored_and_loaded(spec, tmp_path, 1000)(x), expected, rtol=1e-4, atol=1e-4)
    weights = saved(tmp_path, old)
    local = finished("torchvision:DenseNet121_Weights.IMAGENET1K_V1", file=weights, input_size=32)
    torch.testing.assert_close(load_finished(local, 1000, MEAN, STD)(x), expected, rtol=1e-4, atol=1e-4)
    bare = finished(weights, arch="torchvision:densenet121", normalisation="imagenet")
    torch.testing.assert_close(load_finished(bare, 1000, MEAN, STD)(x), expected, rtol=1e-4, atol=1e-4)


def test_a_librarys_weights_bring_their_size_mean_and_std(monkeypatch: pytest.MonkeyPatch) -> None:
    """EfficientNetV2-L was trained at 480 pixels with mean and std 0.5; here its settings on a small network."""
    models = pytest.importorskip("torchvision.models")
    name = "EfficientNet_V2_L_Weights.IMAGENET1K_V1"
    transforms = models.get_weight(name).transforms()
    small_one = from_elsewhere.Published(net(classes=1000), tuple(transforms.mean), tuple(transforms.std), 480)
    monkeypatch.setattr(from_elsewhere, "torchvision_published", lambda *_: small_one)
    monkeypatch.setattr(from_elsewhere, "torchvision_state", lambda _name: {})
    model = load_finished(finished(f"torchvision:{name}"), 1000, MEAN, STD)
    assert model.input_size == transforms.crop_size[0] == 480
    torch.testing.assert_close(model(images()), net(classes=1000)((images() - 0.5) / 0.5))


@pytest.mark.parametrize("other", ["dataset", "none", "per-image", {"mean": 0.5, "std": 0.5}])
def test_a_config_that_contradicts_a_librarys_weights_is_refused(other: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    published(monkeypatch, "ResNet18_Weights")
    name = "torchvision:ResNet18_Weights.IMAGENET1K_V1"
    with pytest.raises(UserError, match=r"was published with its own, mean 0\.485, .* and std 0\.229") as refusal:
        load_finished(finished(name, normalisation=other), 1000, MEAN, STD)
    assert "arch" not in str(refusal.value)
    for same in ("imagenet", {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}):
        load_finished(finished(name, normalisation=same, input_size=32), 1000, MEAN, STD)


def test_another_size_than_the_weights_own_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published(monkeypatch, "ResNet18_Weights")
    validation = ((images(4, 32) * 255).to(torch.uint8), torch.zeros(4, dtype=torch.int64))
    for size, wanted, said in ((None, 224, "resized to 224×224"), (64, 64, "made for images of 224×224")):
        spec = finished("torchvision:ResNet18_Weights.IMAGENET1K_V1", outputs=[1, 2, 3], input_size=size)
        model = convert(spec, 3, MEAN, STD, tmp_path / "out", model="m", code="c", validation=validation)
        assert model.input_size == wanted
        assert any(said in line for line in selection(tmp_path)["assumed"])


# Outputs


def test_pooled_outputs_are_geirhos_mean_of_probabilities() -> None:
    logits = torch.randn(7, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 4
    groups = [(3,), (0, 1, 2, 9), (5, 6)]
    p = torch.softmax(logits, 1)
    for pooling, pool in (("mean", torch.mean), ("sum", torch.sum)):
        expected = torch.stack([pool(p[:, list(group)], 1) for group in groups], 1)
        found = torch.softmax(Pooled(groups, pooling).double()(logits), 1)
        torch.testing.assert_close(found, expected / expected.sum(1, keepdim=True))
    huge = torch.tensor([[1000.0, -1000.0, 0.0]])
    assert torch.isfinite(Pooled([(0, 1), (2,)])(huge)).all()


def test_imagenet_16_is_the_published_mapping() -> None:
    from shapelens.models.imagenet import SIXTEEN, WNIDS

    assert len(WNIDS) == len(set(WNIDS)) == 1000 and list(WNIDS) == sorted(WNIDS)
    assert sum(map(len, SIXTEEN.values())) == len({i for group in SIXTEEN.values() for i in group}) == 207
    # By WordNet: every dog of ImageNet but the wild ones that the authors left out; ovens without the stove.
    assert [WNIDS[index] for index in SIXTEEN["oven"]] == ["n04111531"]
    assert [WNIDS[index] for index in SIXTEEN["keyboard"]] == ["n03085013", "n04505470"]
    assert len(SIXTEEN["dog"]) == 109 and len(SIXTEEN["bird"]) == 49


def thousand(folder: Path, **keys: Any) -> Finished:
    return small(saved(folder, net(classes=1000).state_dict()), normalisation="none", **keys)


def test_outputs_by_index_wordnet_id_and_name(tmp_path: Path) -> None:
    from shapelens.models.imagenet import SIXTEEN, WNIDS

    logits = net(classes=1000)(images())
    p = torch.softmax(logits, 1)
    names = ["truck", "knife", "dog"]  # any order of the dataset's
    model = stored_and_loaded(thousand(tmp_path, outputs="imagenet-16"), tmp_path, names)
    expected = torch.stack([p[:, list(SIXTEEN[name])].mean(1) for name in names], 1)
    torch.testing.assert_close(torch.softmax(model(images()), 1), expected / expected.sum(1, keepdim=True))
    picked = logits[:, [404, 1, 10]]
    for outputs in ([404, 1, 10], [[404], 1, 10], [WNIDS[404], WNIDS[1], 10], {"c": 10, "a": WNIDS[404], "b": [1]}):
        model = load_finished(thousand(tmp_path, outputs=outputs), ["a", "b", "c"], MEAN, STD)
        torch.testing.assert_close(model(images()), picked)
    by_name = thousand(tmp_path, outputs="by-name")
    model = load_finished(by_name, [WNIDS[404], WNIDS[1], WNIDS[10]], MEAN, STD)
    torch.testing.assert_close(model(images()), picked)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"outputs": [1, 2]}, "2 entries, but the dataset has 3 classes"),
        ({"outputs": [1, 2, 1000]}, "from 0 to 999"),
        ({"outputs": [1, 2, [2, 3]]}, "output 2 stands for both 'b' and 'c'"),
        ({"outputs": {"a": 1, "b": 2}}, "no entry for the dataset's class 'c'"),
        ({"outputs": {"a": 1, "b": 2, "c": 3, "d": 4}}, "no class 'd'"),
        ({"outputs": ["n02690373", "tench", 2]}, "no output named 'tench'"),
        ({"outputs": "imagenet-16"}, "'a' is none of the 16"),
        ({"outputs": "by-name"}, "no output named 'a'"),
        ({"classes": ["a", "b", "c"]}, "3 names, but .* has 1000 outputs"),
    ],
)
def test_outputs_that_do_not_fit_are_named(keys: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said):
        load_finished(thousand(tmp_path, **keys), ["a", "b", "c"], MEAN, STD)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"outputs": "imagenet-61"}, "did you mean imagenet-16"),
        ({"outputs": [1, -1]}, "below 0"),
        ({"outputs": [1, [2, 2]]}, "twice"),
        ({"outputs": [1, True]}, "True"),
        ({"outputs": 3}, "no map of outputs"),
        ({"outputs": [1], "class_indices": [1]}, "leave one"),
        ({"classes": ["a", "a"]}, "more than once"),
    ],
)
def test_outputs_that_mean_nothing_are_refused_before_any_job(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        finished("w.pth", arch="resnet18", **keys)


def test_a_models_own_class_order_is_followed_by_name(tmp_path: Path) -> None:
    weights = saved(tmp_path, net(classes=4).state_dict())
    own = small(weights, normalisation="none", classes=["dog", "car", "yak", "cat"])
    model = stored_and_loaded(own, tmp_path, ["car", "cat", "dog"])
    torch.testing.assert_close(model(images()), net(classes=4)(images())[:, [1, 3, 0]])
    with pytest.raises(UserError, match=r"no output named 'cats'.*did you mean cat"):
        load_finished(own, ["car", "cats", "dog"], MEAN, STD)
    mapped = small(weights, normalisation="none", classes=["dog", "car", "yak", "cat"],
                   outputs={"animal": ["dog", "cat", "yak"], "thing": "car"}, pooling="sum")  # fmt: skip
    p = torch.softmax(net(classes=4)(images()), 1)
    found = torch.softmax(load_finished(mapped, ["animal", "thing"], MEAN, STD)(images()), 1)
    torch.testing.assert_close(found, torch.stack([p[:, [0, 2, 3]].sum(1), p[:, 1]], 1))


# M14: one logit, one channel


def test_one_logit_is_a_model_of_two_classes(tmp_path: Path) -> None:
    weights = saved(tmp_path, net(classes=1).state_dict())
    z = net(classes=1)(images())[:, 0]
    model = stored_and_loaded(small(weights, normalisation="none"), tmp_path, ["cat", "dog"])
    torch.testing.assert_close(torch.softmax(model(images()), 1)[:, 1], torch.sigmoid(z))
    assert any("one logit" in line and "'dog'" in line for line in selection(tmp_path)["assumed"])
    turned = small(weights, normalisation="none", classes=["dog", "cat"])
    model = stored_and_loaded(turned, tmp_path, ["cat", "dog"])
    torch.testing.assert_close(torch.softmax(model(images()), 1)[:, 0], torch.sigmoid(z))
    with pytest.raises(UserError, match="has 2 outputs, but the dataset has 3"):
        load_finished(small(weights, normalisation="none"), 3, MEAN, STD)


def test_one_channel_sees_grey_images(tmp_path: Path) -> None:
    source = build("resnet-small", 3, 4, channels=1, seed=5).eval()
    weights = saved(tmp_path, source.state_dict())
    model = stored_and_loaded(small(weights, normalisation={"mean": 0.5, "std": 0.25}), tmp_path)
    x = images()
    grey = (x * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    torch.testing.assert_close(model(x), source((grey - 0.5) / 0.25))
    assert any("one channel" in line for line in selection(tmp_path)["assumed"])
    with pytest.raises(UserError, match="one channel"):
        load_finished(small(weights, normalisation="imagenet"), 3, MEAN, STD)


def test_probabilities_are_refused_until_they_are_called_so(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from torch import nn\n\n\ndef build():\n"
        "    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4), nn.Softmax(1))\n"
    )
    linear = nn.Linear(3, 4)
    weights = saved(tmp_path, {f"2.{name}": tensor for name, tensor in linear.state_dict().items()})
    mine = {"module": f"{tmp_path / 'mine.py'}:build"}
    with pytest.raises(UserError, match="probabilities: true"):
        load_finished(finished(weights, **mine), 4, MEAN, STD)
    model = stored_and_loaded(finished(weights, probabilities=True, **mine), tmp_path, 4)
    torch.testing.assert_close(torch.softmax(model(images()), 1), torch.softmax(linear(images().mean((2, 3))), 1))
    bare = small(saved(tmp_path, net().state_dict()), normalisation="none", probabilities=True)
    with pytest.raises(UserError, match="no probabilities"):
        load_finished(bare, 3, MEAN, STD)


# M15: other kinds of files


class Config:
    """A class of the user's own, as training scripts put them into checkpoints."""

    def __init__(self) -> None:
        self.lr = 0.1


def test_checkpoints_with_plain_data_are_read(tmp_path: Path) -> None:
    optimiser = torch.optim.SGD(net().parameters(), 0.1, momentum=0.9)
    content = {
        "args": argparse.Namespace(lr=0.1, out=Path("runs")),
        "config": Config(),
        "best": np.float64(93.5),
        "curve": np.arange(3.0),
        "state_dict": {f"module.{name}": tensor for name, tensor in net().state_dict().items()},
        "optimizer": optimiser.state_dict(),
    }
    for suffix in (".pth.tar", ".ckpt", ".bin"):
        state = read_state(saved(tmp_path, content, f"w{suffix}"))
        model = load_finished(small(str(tmp_path / f"w{suffix}"), normalisation="none"), 3, MEAN, STD)
        torch.testing.assert_close(model(images()), net()(images()))
        assert not any(name.startswith("optimizer") for name in state)
    network = Network.model_validate({**SMALL, "weights": str(tmp_path / "w.ckpt"), "normalisation": "none"})
    torch.testing.assert_close(initialise(network, 3, MEAN, STD, 0).eval()(images()), net()(images()))


def test_a_pickled_module_is_read_as_data(tmp_path: Path) -> None:
    for content in (net(), {"epoch": 1, "model": nn.DataParallel(net())}):
        model = load_finished(small(saved(tmp_path, content), normalisation="none"), 3, MEAN, STD)
        torch.testing.assert_close(model(images()), net()(images()))


class Small(nn.Module):
    """A network that no library has."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.drop = nn.Dropout(dropout)
        self.fc = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.norm(self.conv(x)))
        out: Tensor = self.fc(self.drop(x.mean((2, 3))))
        return out


def exported(folder: Path, module: nn.Module, batch: bool = True) -> str:
    shapes = ({0: torch.export.Dim("batch", min=1, max=4096)},) if batch else None
    program = torch.export.export(module, (torch.rand(2 if batch else 1, 3, 16, 16),), dynamic_shapes=shapes)
    torch.export.save(program, folder / "w.pt2")
    return str(folder / "w.pt2")


@pytest.mark.filterwarnings("ignore:.torch.jit")
@pytest.mark.parametrize("kind", ["export", "export of one image", "script", "trace"])
def test_programs_are_read_whole(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = Small().eval()
    if kind.startswith("export"):
        weights = exported(tmp_path, source, batch=kind == "export")
    elif kind == "script":
        weights = scripted(tmp_path, source)
    else:
        torch.jit.save(torch.jit.trace(source, images()), tmp_path / "w.pth")  # type: ignore[no-untyped-call]
        weights = str(tmp_path / "w.pth")
    with pytest.raises(UserError, match="normalisation"):
        load_finished(finished(weights), 3, MEAN, STD)
    validation = ((images(5) * 255).to(torch.uint8), torch.tensor([0, 1, 2, 0, 1]))
    spec = finished(weights, normalisation={"mean": 0.5, "std": 0.25})
    model = stored_and_loaded(spec, tmp_path, validation=validation)
    Path(weights).unlink()  # the stored copy stands for itself
    x = images(5).requires_grad_(True)
    logits = load_model(tmp_path / "out")(x)
    torch.testing.assert_close(logits, source((x - 0.5) / 0.25))
    found, expected = (torch.autograd.grad(out.sum(), x)[0] for out in (logits, source((x - 0.5) / 0.25)))
    torch.testing.assert_close(found, expected)
    assert model.training is False


@pytest.mark.filterwarnings("ignore:.torch.jit")
def test_programs_in_training_mode_and_without_gradients_are_refused(tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.jit.save(torch.jit.trace(Small(0.5).train(), images(), check_trace=False), tmp_path / "t.pt")  # type: ignore[no-untyped-call]
    with pytest.raises(UserError, match="training mode"):
        load_finished(finished(str(tmp_path / "t.pt"), normalisation="none"), 3, MEAN, STD, (images() * 255).byte())

    class Rounded(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x * 255).round().mean((2, 3))

    with pytest.raises(UserError, match="no gradient passes"):
        load_finished(finished(exported(tmp_path, Rounded()), normalisation="none"), 3, MEAN, STD)


def test_an_exported_program_that_would_be_unpickled_is_refused(tmp_path: Path, monkeypatch: Any) -> None:
    import pickle
    import zipfile

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (eval, ("__import__('pathlib').Path('sprung').touch()",))

    monkeypatch.chdir(tmp_path)
    weights = exported(tmp_path, Small().eval())
    with zipfile.ZipFile(weights) as source, zipfile.ZipFile("evil.pt2", "w", zipfile.ZIP_STORED) as target:
        for name in source.namelist():
            evil = name.endswith("sample_inputs/model.pt")
            target.writestr(name, pickle.dumps(Trap()) if evil else source.read(name))
    with pytest.raises(UserError, match="Python objects"):
        load_finished(finished("evil.pt2", normalisation="none"), 3, MEAN, STD)
    assert not Path("sprung").exists()


def test_a_network_of_the_users_own(tmp_path: Path) -> None:
    code = (ROOT / "tests/models/test_finished.py").read_text()
    body = code[code.index("class Small(nn.Module)") : code.index("def exported(")]
    (tmp_path / "mine.py").write_text(
        "from torch import Tensor, nn\nfrom torch.nn import functional\n\n\n"
        + body
        + "def build():\n    return Small()\n"
    )
    torch.manual_seed(0)
    source = Small().eval()
    weights = saved(tmp_path, {"model": source.state_dict()})
    mine = f"{tmp_path / 'mine.py'}:build"
    model = stored_and_loaded(finished(weights, module=mine, classes=["c", "a", "b"]), tmp_path, ["a", "b", "c"])
    torch.testing.assert_close(model(images()), source(images())[:, [1, 2, 0]])
    assert any("images in [0, 1]" in line for line in selection(tmp_path)["assumed"])
    record = read_json(tmp_path / "out" / "spec.json")["spec"]
    assert "class Small" in record["reading"]["source"]
    (tmp_path / "mine.py").write_text((tmp_path / "mine.py").read_text() + "# other\n")
    with pytest.raises(UserError, match="has changed"):
        load_model(tmp_path / "out")
    for broken, said in (("def build():\n    return 3\n", "returned int"), ("1 / 0\n", "ZeroDivisionError"),
                         ("x = 1\n", "AttributeError")):  # fmt: skip
        (tmp_path / "mine.py").write_text(broken)
        with pytest.raises(UserError, match=said):
            load_finished(finished(weights, module=mine), 3, MEAN, STD)


# The networks of the robustness literature


class ReferencePreAct(nn.Module):
    """PreActResNet-18 as in RobustBench's published checkpoints: names, order and arithmetic written out again."""

    class Block(nn.Module):
        def __init__(self, i: int, o: int, stride: int, raw: bool) -> None:
            super().__init__()
            self.bn1, self.conv1 = nn.BatchNorm2d(i), nn.Conv2d(i, o, 3, stride, 1, bias=False)
            self.bn2, self.conv2 = nn.BatchNorm2d(o), nn.Conv2d(o, o, 3, 1, 1, bias=False)
            self.raw = raw
            if stride != 1 or i != o:
                self.shortcut = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False))

        def forward(self, x: Tensor) -> Tensor:
            out = functional.relu(self.bn1(x))
            shortcut = self.shortcut(x if self.raw else out) if hasattr(self, "shortcut") else x
            out = self.conv2(functional.relu(self.bn2(self.conv1(out))))
            whole: Tensor = out + shortcut
            return whole

    def __init__(self, raw: bool, norm: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        widths = [64, 64, 128, 256, 512]
        for n in range(4):
            i, o = widths[n], widths[n + 1]
            blocks = [self.Block(i, o, 2 if n else 1, raw), self.Block(o, o, 1, raw)]
            setattr(self, f"layer{n + 1}", nn.Sequential(*blocks))
        if norm:
            self.bn = nn.BatchNorm2d(512)
        self.linear = nn.Linear(512, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.conv1(x)))))  # type: ignore[operator]
        if hasattr(self, "bn"):
            x = functional.relu(self.bn(x))
        out: Tensor = self.linear(functional.avg_pool2d(x, 4).flatten(1))
        return out


def stirred(network: nn.Module) -> nn.Module:
    """Give batch norms statistics of their own, so that leaving one out would show."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.copy_(0.2 * torch.randn(module.running_mean.shape, generator=generator))
            module.running_var.copy_(0.5 + torch.rand(module.running_var.shape, generator=generator))
    return network.eval()


@pytest.mark.parametrize(
    ("arch", "raw", "norm"),
    [("preact-resnet18", False, True), ("preact-resnet18-nobn", False, False), ("preact-resnet18-v1", True, False)],
)
def test_preact_resnet18_as_robustbench_publishes_it(arch: str, raw: bool, norm: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = stirred(ReferencePreAct(raw, norm))
    state = {f"module.{name}": tensor for name, tensor in source.state_dict().items()}
    state |= {"mu": torch.tensor(OWN_MEAN).view(1, 3, 1, 1), "sigma": torch.tensor(OWN_STD).view(1, 3, 1, 1)}
    weights = saved(tmp_path, {"state_dict": {k.removeprefix("module."): v for k, v in state.items()}})
    model = load_finished(finished(weights, arch=arch), 10, MEAN, STD)
    x = images(2, 32)
    expected = source(normalised(x, OWN_MEAN, OWN_STD))
    torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-4)


def test_a_preact_file_without_the_last_norm_is_told_the_two_that_have_none(tmp_path: Path) -> None:
    weights = saved(tmp_path, PreActResNet18(10, last_norm=False).state_dict())
    with pytest.raises(UserError, match=r"missing bn\.weight.*preact-resnet18-nobn or -v1"):
        load_finished(finished(weights, arch="preact-resnet18", normalisation="none"), 10, MEAN, STD)


class ReferenceWide(nn.Module):
    """WideResNet as in TRADES' and RobustBench's code, with its block that is never applied."""

    class Block(nn.Module):
        def __init__(self, i: int, o: int, stride: int) -> None:
            super().__init__()
            self.bn1, self.conv1 = nn.BatchNorm2d(i), nn.Conv2d(i, o, 3, stride, 1, bias=False)
            self.bn2, self.conv2 = nn.BatchNorm2d(o), nn.Conv2d(o, o, 3, 1, 1, bias=False)
            self.convShortcut = None if i == o else nn.Conv2d(i, o, 1, stride, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            out = functional.relu(self.bn1(x))
            shortcut = x if self.convShortcut is None else self.convShortcut(out)
            whole: Tensor = shortcut + self.conv2(functional.relu(self.bn2(self.conv1(out))))
            return whole

    class Stage(nn.Module):
        def __init__(self, i: int, o: int, stride: int, n: int) -> None:
            super().__init__()
            blocks = [ReferenceWide.Block(i if k == 0 else o, o, stride if k == 0 else 1) for k in range(n)]
            self.layer = nn.Sequential(*blocks)

    def __init__(self, depth: int, factor: int, sub_block: bool) -> None:
        super().__init__()
        n, (a, b, c) = (depth - 4) // 6, (16 * factor, 32 * factor, 64 * factor)
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.block1 = self.Stage(16, a, 1, n)
        if sub_block:
            self.sub_block1 = self.Stage(16, a, 1, n)
        self.block2, self.block3 = self.Stage(a, b, 2, n), self.Stage(b, c, 2, n)
        self.bn1, self.fc = nn.BatchNorm2d(c), nn.Linear(c, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block3.layer(self.block2.layer(self.block1.layer(self.conv1(x))))
        out: Tensor = self.fc(functional.avg_pool2d(functional.relu(self.bn1(x)), 8).flatten(1))
        return out


@pytest.mark.parametrize("sub_block", [False, True])
def test_wide_resnet_as_robustbench_publishes_it(sub_block: bool, tmp_path: Path, monkeypatch: Any) -> None:
    """At factor 2, to be quick; the published ones have factor 10 and are built by the same function."""
    from shapelens.models import spec

    monkeypatch.setattr(spec, "ARCHITECTURES", (*spec.ARCHITECTURES, "wide-resnet-28-2"))
    torch.manual_seed(0)
    source = stirred(ReferenceWide(28, 2, sub_block))
    weights = saved(tmp_path, {f"module.{name}": tensor for name, tensor in source.state_dict().items()})
    model = load_finished(finished(weights, arch="wide-resnet-28-2", normalisation="none"), 10, MEAN, STD)
    x = images(2, 32)
    torch.testing.assert_close(model(x), source(x), rtol=1e-4, atol=1e-4)


def test_the_published_sizes_of_wide_resnet() -> None:
    """36.5 and 46.2 million parameters (Zagoruyko and Komodakis 2016, Table 4; Zhang et al. 2019)."""
    for arch, millions in (("wide-resnet-28-10", 36.5), ("wide-resnet-34-10", 46.2)):
        with torch.device("meta"):
            network = build(arch, 10)
        assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(millions, abs=0.05)


# timm


def test_timm_models_from_local_files(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    source = stirred(timm.create_model("efficientnet_lite0"))
    weights = saved(tmp_path, {"state_dict": source.state_dict(), "epoch": 1})
    x = images(2, 64)
    expected = source(normalised(x, list(IMAGENET_MEAN), list(IMAGENET_STD)))
    spec = finished("timm:efficientnet_lite0", file=weights, input_size=64)
    torch.testing.assert_close(stored_and_loaded(spec, tmp_path, 1000)(x), expected, rtol=1e-4, atol=1e-4)
    # A head of five classes, one channel: read by arch, as any file is.
    tuned = stirred(timm.create_model("resnet18", num_classes=5, in_chans=1))
    weights = saved(tmp_path, tuned.state_dict())
    bare = finished(weights, arch="timm:resnet18", normalisation={"mean": 0.5, "std": 0.5})
    grey = (x * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    torch.testing.assert_close(stored_and_loaded(bare, tmp_path, 5)(x), tuned((grey - 0.5) / 0.5))
    with pytest.raises(UserError, match="arch: timm:resnet18"):
        load_finished(finished("timm:resnet18", file=weights), 5, MEAN, STD)


def test_a_timm_folder_is_read_and_named(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    from timm.models import save_for_hf

    torch.manual_seed(0)
    source = stirred(timm.create_model("resnet18", num_classes=4))
    save_for_hf(source, str(tmp_path / "folder"), model_config={"num_classes": 4})
    spec = finished(f"timm:local-dir:{tmp_path / 'folder'}", input_size=32)
    model = stored_and_loaded(spec, tmp_path, 4)
    x = images(2, 32)
    torch.testing.assert_close(model(x), source(normalised(x, list(IMAGENET_MEAN), list(IMAGENET_STD))))
    assert any("from the folder" in line for line in selection(tmp_path)["assumed"])


def test_any_architecture_of_a_library_can_be_trained() -> None:
    pytest.importorskip("timm")
    for arch in ("torchvision:mobilenet_v3_small", "timm:mobilenetv3_small_050"):
        network = Network.model_validate({"arch": arch, "normalisation": {"mean": 0.5, "std": 0.5}})
        models = [initialise(network, 5, MEAN, STD, seed).eval() for seed in (1, 1, 2)]
        first, again, other = (model(images(2, 32)) for model in models)
        assert first.shape == (2, 5) and torch.equal(first, again) and not torch.equal(first, other)
    with pytest.raises(UserError, match="did you mean"):
        build("torchvision:resnet181", 5)


# What a file holds that is no weight, or says of itself


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: (t * 100).to(torch.int8), "conv1.weight holds int8 numbers, as of a quantised network"),
        (lambda t: torch.where(t == t.max(), torch.nan, t), "conv1.weight holds values that are not finite"),
        (lambda t: t / 0, "conv1.weight holds values that are not finite"),
    ],
)
def test_tensors_that_are_no_weights_are_refused(change: Any, words: str, tmp_path: Path) -> None:
    state = net().state_dict()
    weights = saved(tmp_path, state | {"conv1.weight": change(state["conv1.weight"])})
    with pytest.raises(UserError, match=words):
        load_finished(small(weights, normalisation="none"), 3, MEAN, STD)
    with pytest.raises(UserError, match=words):
        initialise(Network(**SMALL, weights=weights), 3, MEAN, STD, seed=0)


def test_a_deviation_of_255_brings_pixels_from_0_to_1(tmp_path: Path) -> None:
    statistics = {"mean": torch.zeros(3, 1, 1), "std": torch.full((3, 1, 1), 255.0)}
    weights = saved(tmp_path, statistics | {f"net.{name}": tensor for name, tensor in net().state_dict().items()})
    torch.testing.assert_close(load_finished(small(weights), 3, MEAN, STD)(images()), net()(images()))


@pytest.mark.parametrize(
    "values", [{"mean": 0, "std": 255}, {"mean": 0.5, "std": [58, 57, 57]}, {"mean": -0.5, "std": 1}]
)
def test_a_normalisation_in_another_unit_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"divide it by 255|is below 0"):
        Network(normalisation=values)


NAMED = {
    "class_to_idx": {"dog": 0, "cat": 2, "ant": 1},
    "meta": {"CLASSES": ("dog", "ant", "cat")},
    "id2label": {0: "dog", 1: "ant", 2: "cat"},
    "classes": ["dog", "ant", "cat"],
}


@pytest.mark.parametrize("key", NAMED)
def test_the_class_names_in_a_file_are_the_order_of_its_outputs(key: str, tmp_path: Path) -> None:
    names = ["ant", "cat", "dog"]
    weights = saved(tmp_path, {"state_dict": net().state_dict(), key: NAMED[key]})
    model = stored_and_loaded(small(weights, normalisation="none"), tmp_path, names)
    torch.testing.assert_close(model(images()), net()(images())[:, [1, 2, 0]])
    assert any("order of the class names in the file: dog, ant, cat" in line for line in selection(tmp_path)["assumed"])
    with pytest.raises(UserError, match=r"its own class names in another order, \[dog, ant, cat\]"):
        load_finished(small(weights, normalisation="none", classes=["cat", "dog", "ant"]), names, MEAN, STD)
    two = load_finished(small(weights, normalisation="none"), ["cat", "dog"], MEAN, STD)
    torch.testing.assert_close(two(images()), net()(images())[:, [2, 0]])
    strangers = stored_and_loaded(small(weights, normalisation="none"), tmp_path, ["a", "b", "c"])
    torch.testing.assert_close(strangers(images()), net()(images()))
    assumed = " ".join(selection(tmp_path)["assumed"])
    assert "are not the dataset's: dog" in assumed and "classes in their order: a, b, c" in assumed


class Ending(nn.Module):
    """The small network with a function behind it."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.net, self.kind = net(), kind

    def forward(self, x: Tensor) -> Tensor:
        z = self.net(x)
        return 100 * z.softmax(1) if self.kind == "per cent" else z.sigmoid()


def ending(folder: Path, kind: str) -> str:
    torch.jit.trace(Ending(kind).eval(), images()).save(str(folder / "ending.pt"))
    return str(folder / "ending.pt")


@pytest.mark.filterwarnings("ignore:.torch.jit")
def test_per_cent_are_probabilities(tmp_path: Path) -> None:
    weights = ending(tmp_path, "per cent")
    with pytest.raises(UserError, match=r"sum to 100 for every image; .* set probabilities: true"):
        load_finished(finished(weights, normalisation="none"), 3, MEAN, STD, images())
    model = load_finished(finished(weights, normalisation="none", probabilities=True), 3, MEAN, STD, images())
    torch.testing.assert_close(model(images()).softmax(1), net()(images()).softmax(1))


@pytest.mark.filterwarnings("ignore:.torch.jit")
def test_sigmoids_are_said(tmp_path: Path) -> None:
    stored_and_loaded(finished(ending(tmp_path, "sigmoid"), normalisation="none"), tmp_path)
    assert any("if they are sigmoids and not logits" in line for line in selection(tmp_path)["assumed"])


@pytest.mark.filterwarnings("ignore:.torch.jit")
@pytest.mark.parametrize(("given", "named"), [("none", ""), ({"mean": 0.5, "std": 0.5}, "`normalisation: none`")])
def test_a_normalisation_that_fits_better_is_named(given: Any, named: str, tmp_path: Path) -> None:
    x, labels = shaded(6)
    weights = scripted(tmp_path, Shades(6))
    convert(finished(weights, normalisation=given), 6, MEAN, STD, tmp_path / "out", model="m", code="c",
            validation=(x, labels))  # fmt: skip
    said = [line for line in selection(tmp_path)["warnings"] if "another input normalisation fits better" in line]
    assert bool(said) == bool(named) and all(named in line and "accuracy 100.0% instead of" in line for line in said)
