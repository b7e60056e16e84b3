"""Training the style networks: files, bytes, resuming, what is read, and what the losses reward."""

import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from shapelens.artefacts.files import read_json, save_npy, sha256, write_json
from shapelens.stylisation.decoder import batch_losses
from shapelens.stylisation.encoder import equalise
from shapelens.stylisation.networks import Layout, StyleNet, build
from shapelens.stylisation.run import load_networks, make_networks
from shapelens.stylisation.spec import StyleNetworks
from shapelens.training.optimiser import Adam, Sgd

from .test_networks import PUBLISHED_DECODER, encoder_state, state

CPU = torch.device("cpu")
DECIDING = {
    "encoder.safetensors", "decoder.safetensors", "spec.json", "encoder_history.csv", "decoder_history.csv",
    "contact_sheet.png",
}  # fmt: skip
SPEC = StyleNetworks(
    widths=(3, 4), convolutions=(1,), encoder_epochs=2, encoder_batch=4, decoder_steps=9, decoder_batch=4
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images without a test split: that nothing reads it is part of what is tested."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    splits: dict[str, Any] = {}
    for split, count in (("train", 16), ("validation", 6)):
        save_npy(folder / split / "images.npy", rng.integers(0, 256, (count, 3, 10, 10), dtype=np.uint8))
        save_npy(folder / split / "labels.npy", np.arange(count, dtype=np.int64) % 2)
        splits[split] = {"sha256": {f"{k}.npy": sha256(folder / split / f"{k}.npy") for k in ("images", "labels")}}
    record = {"classes": ["a", "b"], "splits": splits, "channel_mean": [0.5] * 3, "channel_std": [0.25] * 3}
    write_json(folder / "manifest.json", record)
    save_npy(folder / "styles" / "images.npy", rng.integers(0, 256, (5, 3, 10, 10), dtype=np.uint8))
    write_json(folder / "styles" / "manifest.json", {"sha256": {"images.npy": sha256(folder / "styles/images.npy")}})
    return folder


def execute(data: Path, out: Path, spec: StyleNetworks = SPEC) -> None:
    make_networks(spec, data, data / "styles", out, out.parent / "state", CPU, 7, code="code 1")


def contents(folder: Path) -> dict[str, str]:
    return {name: sha256(folder / name) for name in DECIDING}


@pytest.fixture(scope="module")
def unbroken(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("unbroken") / "networks"
    execute(data, out)
    return out


def test_files_of_the_networks(unbroken: Path) -> None:
    assert {path.name for path in unbroken.iterdir()} == {*DECIDING, "run.json"}
    assert not list((unbroken.parent / "state").glob("*"))
    record = read_json(unbroken / "spec.json")
    assert record["layout"] == {"widths": [3, 4], "convolutions": [1]}
    assert record["sha256"]["decoder.safetensors"] == sha256(unbroken / "decoder.safetensors")
    assert len((unbroken / "encoder_history.csv").read_text().splitlines()) == 3
    header, *rows = (unbroken / "decoder_history.csv").read_text().splitlines()
    assert header == "step,lr,content,style,reconstruction"
    assert [row.split(",")[0] for row in rows] == ["9"]
    assert read_json(unbroken / "run.json")["seconds"]["decoder"] > 0


class KilledError(Exception):
    """Stands for a job that dies."""


@pytest.mark.parametrize(("optimiser", "step"), [(Sgd, 5), (Adam, int(np.random.default_rng().integers(1, 9)))])
def test_a_killed_training_ends_with_the_same_bits(
    data: Path, unbroken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimiser: Any, step: int
) -> None:
    whole, count = optimiser.step, iter(range(10**6))

    def dying(self: Any, lr: float) -> None:
        if next(count) == step:
            raise KilledError
        whole(self, lr)

    for module in ("loop", "decoder"):
        room = "training" if module == "loop" else "stylisation"
        monkeypatch.setattr(f"shapelens.{room}.{module}.SAVE_SECONDS", -1.0)
    with monkeypatch.context() as patch:
        patch.setattr(optimiser, "step", dying)
        with pytest.raises(KilledError):
            execute(data, tmp_path / "networks")
    assert list((tmp_path / "state").rglob("state.safetensors"))
    assert not (tmp_path / "networks" / "spec.json").exists()
    execute(data, tmp_path / "networks")
    assert contents(tmp_path / "networks") == contents(unbroken), f"killed at step {step}"


@pytest.mark.parametrize(("optimiser", "network"), [(Sgd, "style encoder"), (Adam, "style decoder")])
def test_sigterm_saves_the_step_it_comes_in(
    data: Path,
    unbroken: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    optimiser: Any,
    network: str,
) -> None:
    whole, count = optimiser.step, iter(range(1, 10**6))

    def asked(self: Any, lr: float) -> None:
        if next(count) == 2:
            signal.raise_signal(signal.SIGTERM)
        whole(self, lr)

    def die(*_: object) -> None:
        raise KilledError

    before = signal.signal(signal.SIGTERM, die)
    try:
        with monkeypatch.context() as patch, pytest.raises(KilledError):
            patch.setattr(optimiser, "step", asked)
            execute(data, tmp_path / "networks")
    finally:
        signal.signal(signal.SIGTERM, before)
    with caplog.at_level("INFO"):
        execute(data, tmp_path / "networks")
    assert re.search(rf"{network}.*: continues at step 2 of ", caplog.text)
    assert contents(tmp_path / "networks") == contents(unbroken)


def test_a_lost_optimiser_state_would_be_seen(
    data: Path, unbroken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, count = Adam.step, iter(range(10**6))

    def forgetful(self: Adam, lr: float) -> None:
        if next(count) == 4:
            for group in self.state().values():
                for tensor in group.values():
                    tensor.zero_()
        whole(self, lr)

    monkeypatch.setattr(Adam, "step", forgetful)
    execute(data, tmp_path / "networks")
    assert contents(tmp_path / "networks")["encoder.safetensors"] == contents(unbroken)["encoder.safetensors"]
    assert contents(tmp_path / "networks")["decoder.safetensors"] != contents(unbroken)["decoder.safetensors"]


def test_published_networks_are_converted(data: Path, tmp_path: Path) -> None:
    torch.save(encoder_state(), tmp_path / "vgg_normalised.pth")
    torch.save(state(PUBLISHED_DECODER, 1), tmp_path / "decoder.pth")
    spec = StyleNetworks(
        source="published", encoder=str(tmp_path / "vgg_normalised.pth"), decoder=str(tmp_path / "decoder.pth")
    )
    execute(data, tmp_path / "networks", spec)
    networks = load_networks(tmp_path / "networks", CPU)
    torch.testing.assert_close(networks.encoder.state_dict()["29.weight"], encoder_state()["29.weight"])
    record = read_json(tmp_path / "networks" / "spec.json")
    assert record["source_sha256"]["encoder"] == sha256(tmp_path / "vgg_normalised.pth")


def test_published_networks_without_their_files_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="need the paths"):
        execute(data, tmp_path / "networks", StyleNetworks(source="published"))


def test_equalising_changes_units_and_nothing_else() -> None:
    networks = build(Layout((5, 6), (2,)), [0.5] * 3, [0.25] * 3, 0)
    images = torch.randint(256, (8, 3, 12, 12), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    with torch.no_grad():
        before = networks.encoder(images.float() / 255)
        equalise(networks.encoder, [images, images])
        after = networks.encoder(images.float() / 255)
    size = after.square().mean((0, 2, 3)).sqrt()
    alive = before.amax((0, 2, 3)) > 0
    torch.testing.assert_close(size[alive], torch.ones(int(alive.sum())))
    factor = before.square().mean((0, 2, 3)).sqrt()[None, :, None, None]
    torch.testing.assert_close(after * factor, before, rtol=1e-4, atol=1e-5)


def test_losses_vanish_where_everything_is_reached() -> None:
    """A decoder that returns the image itself: in its own style nothing is left to learn."""
    networks = build(Layout((3, 4), (1,)), [0.5] * 3, [0.25] * 3, 0)
    x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))

    class Perfect(torch.nn.Module):
        def forward(self, encoding: torch.Tensor) -> torch.Tensor:
            return torch.cat([x, x[: len(encoding) - len(x)]])

    content, style, whole = batch_losses(StyleNet(networks.encoder, Perfect()), x, x, 1)  # type: ignore[arg-type]
    assert max(content.item(), whole.item()) < 1e-8
    assert style.item() < 1e-6
    darker = batch_losses(StyleNet(networks.encoder, Perfect()), x, x / 2, 1)  # type: ignore[arg-type]
    assert min(darker[0].item(), darker[1].item()) > 1e-2


def test_adam_is_torchs() -> None:
    ours, theirs = (torch.nn.Linear(3, 2) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    optimiser, peer = Adam(ours), torch.optim.Adam(theirs.parameters(), lr=0.1, betas=(0.9, 0.99))
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    for _ in range(5):
        for layer in (ours, theirs):
            layer(x).square().sum().backward()
        optimiser.step(0.1)
        peer.step()
        peer.zero_grad()
    torch.testing.assert_close(ours.weight, theirs.weight)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"encoder": "a.pth"}, "only for source: published"),
        ({"widths": (8, 8, 8)}, "widths need 2"),
        ({"widths": (8, 0)}, "at least 1"),
        ({"decoder_step": 3}, "did you mean decoder_steps"),
    ],
)
def test_specs_that_make_no_sense_are_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        StyleNetworks.model_validate(keys)
