"""One job: from a dataset's training images and the style images to the folder of the stylisation networks."""

import csv
import hashlib
import io
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from shapelens.artefacts.contact_sheet import contact_sheet
from shapelens.artefacts.files import check_sha256, open_npy, read_json, sha256, verified_set, write_json, write_text
from shapelens.errors import UserError
from shapelens.models.devices import describe
from shapelens.models.from_elsewhere import HISTORY_HEADER
from shapelens.models.store import save_model
from shapelens.spec import canonical_json
from shapelens.stylisation.apply import Stylist
from shapelens.stylisation.decoder import COLUMNS, train_decoder
from shapelens.stylisation.encoder import equalise, train_encoder
from shapelens.stylisation.networks import Decoder, Encoder, Layout, StyleNet, build, check_side
from shapelens.stylisation.published import read_published
from shapelens.stylisation.spec import StyleNetworks
from shapelens.training.run import history_csv, open_split
from shapelens.training.state import drop_state

NETWORKS = ("encoder.safetensors", "decoder.safetensors")
SHEET_IMAGES = 8


def make_networks(
    spec: StyleNetworks,
    data_folder: str | Path,
    styles_folder: str | Path,
    out_folder: str | Path,
    state_root: str | Path,
    device: torch.device,
    data_seed: int,
    *,
    code: str,
) -> None:
    """Train the networks, or convert the published ones, and write them.

    Writes encoder.safetensors, decoder.safetensors, spec.json (with the sha256 of both and their layout),
    encoder_history.csv, decoder_history.csv, run.json and contact_sheet.png (content, style, stylised, reconstruction).
    All but run.json are byte-identical from run to run on the same device and threads. Only training and validation
    images are read. An interrupted training leaves its state under ``state_root`` and continues from it.

    Args:
        spec: which networks, and how they are trained; ``data_seed`` is their training seed.
        data_folder: ``train``, ``validation`` and manifest.json of the dataset.
        styles_folder: images.npy and manifest.json of the style images.
        out_folder: is made if needed.
        state_root: where interrupted trainings keep their state.
        device: where to compute.
        data_seed: seed of the initial weights and of all that is drawn.
        code: the code digest.

    Raises:
        UserError: the images are too small, the loss is not finite, or a published file cannot be used.
    """
    data_folder, styles_folder, out_folder = Path(data_folder), Path(styles_folder), Path(out_folder)
    for folder in (data_folder / "train", data_folder / "validation", styles_folder):
        verified_set(folder)
    manifest, styles = read_json(data_folder / "manifest.json"), _open_styles(styles_folder)
    state_dir = Path(state_root) / _state_name(
        spec, data_seed, code, manifest, read_json(styles_folder / "manifest.json")
    )
    if spec.source == "published":
        if spec.encoder is None or spec.decoder is None:
            raise ValueError("published networks need the paths of their two files")
        networks = read_published(spec.encoder, spec.decoder).to(device)
        histories = [HISTORY_HEADER, _rows_csv([])]
        seconds = {"encoder": 0.0, "decoder": 0.0}
        origin: dict[str, Any] = {"encoder": sha256(spec.encoder), "decoder": sha256(spec.decoder)}
    else:
        networks, histories, seconds = _train(spec, data_folder, manifest, styles, state_dir, device, data_seed)
        origin = {}
    digests = {name: save_model(network, out_folder / name) for name, network in zip(NETWORKS, networks, strict=True)}
    for name, history in zip(("encoder", "decoder"), histories, strict=True):
        write_text(out_folder / f"{name}_history.csv", history)
    record = {"layout": networks.encoder.layout._asdict(), "sha256": digests, "source_sha256": origin}
    write_json(
        out_folder / "spec.json",
        {"spec": spec.model_dump(mode="json"), "data_seed": data_seed, "code": code, **record},
    )
    _write_sheet(networks, data_folder, styles, device, out_folder / "contact_sheet.png")
    write_json(out_folder / "run.json", {**describe(device), "seconds": seconds})
    for name in ("encoder", "decoder"):
        drop_state(state_dir / name)
    with suppress(OSError):  # another process may still save its state there
        state_dir.rmdir()


def load_networks(folder: str | Path, device: torch.device | str) -> StyleNet:
    """Load what ``make_networks`` wrote; raises UserError for files that are missing or are not those of spec.json."""
    folder = Path(folder)
    for name in ("spec.json", *NETWORKS):
        if not (folder / name).exists():
            raise UserError(f"{folder / name} is missing; run the workflow to make it")
    record = read_json(folder / "spec.json")
    layout = Layout(*(tuple(record["layout"][key]) for key in Layout._fields))
    networks = StyleNet(Encoder(layout), Decoder(layout))
    for name, network in zip(NETWORKS, networks, strict=True):
        check_sha256(folder / name, record["sha256"][name], folder / "spec.json")
        network.load_state_dict(load_file(folder / name))
    return networks.to(device)


def _train(
    spec: StyleNetworks,
    data_folder: Path,
    manifest: Mapping[str, Any],
    styles: torch.Tensor,
    state_dir: Path,
    device: torch.device,
    seed: int,
) -> tuple[StyleNet, list[str], dict[str, float]]:
    """Train both networks; returns them, their histories as CSV, and their seconds."""
    train_set, validation_set = (open_split(data_folder / split, device) for split in ("train", "validation"))
    side = validation_set.images.shape[-1]
    layout = Layout(spec.widths, spec.convolutions)
    check_side(layout, side, side)
    mean, std = manifest["channel_mean"], manifest["channel_std"]
    networks = build(layout, mean, std, seed)
    networks.encoder.to(device)
    networks.decoder.to(device)
    outcome = train_encoder(
        networks.encoder,
        spec,
        train_set,
        validation_set,
        mean=mean,
        std=std,
        classes=len(manifest["classes"]),
        seed=seed,
        device=device,
        state_dir=state_dir / "encoder",
    )
    equalise(networks.encoder, [train_set.images, styles])
    networks.encoder.requires_grad_(False)
    for network in networks:
        network.to(memory_format=torch.channels_last)
    rows, seconds = train_decoder(
        networks,
        spec,
        train_set.images,
        styles,
        side=side,
        seed=seed,
        device=device,
        state_dir=state_dir / "decoder",
    )
    histories = [history_csv(outcome), _rows_csv(rows)]
    return networks.to(device), histories, {"encoder": round(outcome.seconds, 3), "decoder": round(seconds, 3)}


def _open_styles(folder: Path) -> torch.Tensor:
    images = np.load(folder / "images.npy", mmap_mode="c", allow_pickle=False)
    if not len(images):
        raise UserError(f"{folder}: there are no style images; at least one is needed")
    return torch.from_numpy(images)


def _state_name(spec: StyleNetworks, seed: int, code: str, data: Mapping[str, Any], styles: Mapping[str, Any]) -> str:
    decides = {
        "spec": spec.model_dump(mode="json"),
        "seed": seed,
        "data": {split: data["splits"][split]["sha256"] for split in ("train", "validation")},
        "styles": styles["sha256"],
        "code": code,
    }
    return f"stylisation-{hashlib.sha256(canonical_json(decides).encode()).hexdigest()[:16]}"


def _rows_csv(rows: Iterable[Mapping[str, float]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([f"{row[key]:.6g}" for key in COLUMNS] for row in rows)
    return text.getvalue()


def _write_sheet(networks: StyleNet, data_folder: Path, styles: torch.Tensor, device: torch.device, path: Path) -> None:
    """Show validation images in styles spread over all of them, and as decoded from their own features."""
    images = open_npy(data_folder / "validation" / "images.npy")[:SHEET_IMAGES]
    chosen = np.linspace(0, len(styles) - 1, len(images)).round().astype(np.int64)
    painted = styles.numpy()[chosen]
    stylist = Stylist(networks, device)
    wanted = stylist.statistics(painted, np.arange(len(painted)), len(painted))
    stylised, decoded = (stylist.stylise(images, wanted, alpha) for alpha in (1.0, 0.0))
    rows = [list(images), list(painted), list(stylised), list(decoded)]
    contact_sheet(rows, path, row_titles=["content", "style", "stylised", "reconstruction"])
