import importlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from PIL import Image

from shapelens.artefacts import fonts
from shapelens.artefacts.files import sha256
from shapelens.names.display import Display
from shapelens.plots.curves import levels
from shapelens.plots.pictures import figure1
from shapelens.plots.save import save_figure

from ..artefacts.test_fonts import cats
from ..tidy_data import accuracy, entry, grid, shape_bias, shown

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"


def pictures():
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 16, 16)).astype(np.uint8)
    sets = {"clean": images, "patch-shuffle-2": images[:, :, ::-1]}
    return figure1(shown(testsets=list(sets), pictures=sets.__getitem__), Display())


def curves():
    return levels(shown(accuracy=accuracy(), options=entry("figure7").options), Display())


def hashes(figure, folder, name, **kwargs):
    paths = folder / f"{name}.png", folder / f"{name}.pdf"
    save_figure(figure, *paths, 100, **kwargs)
    return [sha256(path) for path in paths]


@pytest.mark.parametrize("make", [pictures, curves])
def test_same_figure_same_bytes(make, tmp_path):
    figure = make()
    first = hashes(figure, tmp_path, "a")
    assert first == hashes(figure, tmp_path, "b")
    assert first == hashes(make(), tmp_path, "c")
    for name in ("a.png", "a.pdf"):
        content = (tmp_path / name).read_bytes()
        assert b"matplotlib" not in content.lower() and b"CreationDate" not in content
    # Planted fault: matplotlib's own defaults write its version and the date.
    figure.savefig(tmp_path / "d.pdf")
    assert b"CreationDate" in (tmp_path / "d.pdf").read_bytes()


def test_bytes_do_not_depend_on_the_process(tmp_path):
    code = (
        "import sys, numpy as np; from shapelens.plots.pictures import _image_grid; "
        "from shapelens.plots.save import save_figure; x = np.zeros((1, 3, 8, 8)); "
        "figure = _image_grid([('ε ℓ∞', x), ('b', x)], 'a', 'cues', 'b'); "
        "save_figure(figure, sys.argv[1] + '.png', sys.argv[1] + '.pdf', 72)"
    )
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONPATH": str(SCRIPTS), "PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", code, str(tmp_path / seed)], check=True, env=environment)
    for suffix in ("png", "pdf"):
        assert sha256(tmp_path / f"1.{suffix}") == sha256(tmp_path / f"2.{suffix}")


def test_width_is_kept(tmp_path):
    hashes(curves(), tmp_path, "wide")
    assert Image.open(tmp_path / "wide.png").width == 690
    hashes(curves(), tmp_path, "narrow", max_width=500)
    assert Image.open(tmp_path / "narrow.png").width == 500


def test_a_failed_write_leaves_nothing(tmp_path):
    figure = pictures()
    figure.savefig = lambda *_, **__: (_ for _ in ()).throw(OSError("disk full"))
    with pytest.raises(OSError, match="disk full"):
        save_figure(figure, tmp_path / "a.png", tmp_path / "a.pdf", 100)
    assert list(tmp_path.iterdir()) == []


def test_letters_that_the_common_font_lacks_come_from_a_font_of_the_system(tmp_path, monkeypatch):
    font = cats(tmp_path / "cats.ttf")
    monkeypatch.setattr(fonts, "system_fonts", lambda: (font,))
    figure = levels(shown(accuracy=accuracy(), options={**entry("figure7").options, "axis": "k 猫"}), Display())
    save_figure(figure, tmp_path / "a.png", tmp_path / "a.pdf", 80)
    pixels = np.asarray(Image.open(tmp_path / "a.png").convert("L"))
    # The letter is a full square of nine tenths of the size, in points of 80/72 pixels.
    side = int(7.5 * 0.9 * 80 / 72) - 1
    windows = np.lib.stride_tricks.sliding_window_view(pixels < 100, (side, side))
    assert windows.all(axis=(2, 3)).any()


NASTY = "$x_{ <b>&|\\ %#~^ {{a}} \u00e4 \u00e9"
"""A name that is no mathematics, no markup and no template, and would be damaged mathematics."""


@pytest.mark.parametrize("figure", ["figure5", "figure7", "fourier", "shape_bias", "robustness"])
def test_every_figure_shows_a_users_label_as_it_is(figure, tmp_path):
    declared = entry(figure)
    module, _, function = declared.draw.partition(":")
    models = [model.model_copy(update={"label": f"{NASTY} {model.name}"}) for model in grid()]
    what = shown(
        accuracy=pd.concat([accuracy(), shape_bias()]), models=models, testsets=declared.testsets,
        options=declared.options, dataset="cues",
    )  # fmt: skip
    drawn = getattr(importlib.import_module(f"shapelens.plots.{module}"), function)(what, Display())
    save_figure(drawn, tmp_path / "a.png", tmp_path / "a.pdf", 50)
    texts = [text for text in drawn.findobj(Text) if NASTY in text.get_text()]
    assert texts and not any(text.get_parse_math() for text in texts)
