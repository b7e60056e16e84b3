import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import Rectangle

from shapelens.errors import UserError
from shapelens.names.display import Display
from shapelens.names.models import ModelInfo, exemplars, seeds_text, strongest
from shapelens.plots.canvas import to_rgb
from shapelens.plots.pictures import figure1, figure3, figure4, figure6
from shapelens.plots.shown import label_probabilities

from ..tidy_data import grid, shown

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8)).astype(np.uint8)


def draw(function, pictures, models=None, **opened):
    """Draw a figure of images, given by test set."""
    opened["pictures"] = dict(pictures).__getitem__
    return function(shown(function.__name__, models, testsets=list(pictures), dataset="cues", **opened), Display())


def test_pictures_are_the_images_in_order():
    figure = draw(figure1, {"clean": IMAGES, "saturation-8": IMAGES[:, ::-1]})
    assert [text.get_text() for text in figure.axes[0].texts] == ["Original", "Saturation 8"]
    drawn = figure.axes[0].get_images()
    assert len(drawn) == 4
    assert np.array_equal(drawn[1].get_array(), to_rgb(IMAGES[1]))
    assert np.array_equal(drawn[2].get_array(), to_rgb(IMAGES[0, ::-1]))
    # Left to right by panel, top to bottom by image.
    lefts, tops = zip(*[(s.get_extent()[0], s.get_extent()[3]) for s in drawn], strict=True)
    assert lefts[0] == lefts[1] < lefts[2]
    assert tops[0] < tops[1]


def test_values_outside_the_range_are_clipped_for_viewing():
    image = np.array([-1.0, 0.5, 2.0]).reshape(1, 1, 3).repeat(3, axis=0)
    assert to_rgb(image)[0, :, 0].tolist() == [0.0, 0.5, 1.0]
    assert to_rgb(np.full((1, 2, 2), 255, np.uint8)).shape == (2, 2, 3)


def test_stylised_images_stand_beside_their_image_and_style():
    images = np.random.default_rng(1).random((5, 3, 8, 8)).astype(np.float32)
    sets = {"clean": images, "stylised": images[::-1]}
    axes = draw(figure3, sets, styles=lambda: 1 - images).axes[0]
    placed = sorted(axes.get_images(), key=lambda s: (round(s.get_extent()[3], 3), s.get_extent()[0]))
    assert len(placed) == 15
    # Two images in a row; each is original, style, stylised from left to right.
    columns = (images, 1 - images, images[::-1])
    for place, (image, column) in enumerate((i, p) for i in range(5) for p in columns):
        assert np.array_equal(placed[place].get_array(), to_rgb(column[image]))
    assert [text.get_text() for text in axes.texts].count("Style") == 2
    one = draw(figure3, {name: part[:1] for name, part in sets.items()}, styles=lambda: images[:1])
    assert len(one.axes[0].get_images()) == 3
    with pytest.raises(UserError, match="Style: 4"):
        draw(figure3, sets, styles=lambda: images[:4])


def test_panels_of_different_images_are_refused():
    with pytest.raises(UserError, match="Original: 2, Shuffle 2: 1"):
        draw(figure1, {"clean": IMAGES, "patch-shuffle-2": IMAGES[:1]})
    with pytest.raises(UserError, match="found none"):
        draw(figure1, {})


def test_bars_are_the_probabilities():
    models = exemplars(grid())
    shares = {m.name: np.array([[1.0, 0.5], [0.25, 0.0]]) for m in models}
    shares["underfit"] = np.array([[np.nan, 0.5], [0.25, 0.0]])
    asked = []
    figure = draw(
        figure6,
        {"clean": IMAGES, "patch-shuffle-2": IMAGES},
        probabilities=lambda few: asked.extend(few) or shares,
        classes=lambda: ["disc", "star"],
    )
    assert asked == models
    widths = {}
    for patch in figure.axes[0].patches:
        assert isinstance(patch, Rectangle)
        if patch.get_gid():
            widths.setdefault(patch.get_gid(), []).append(patch.get_width())
    full, quarter, half, none = widths["probability:standard"]
    assert (quarter / full, half / full, none) == pytest.approx((0.25, 0.5, 0))
    assert len(widths["probability:underfit"]) == 3
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts.count("–") == 1 and "50%" in texts and "star" in texts


def test_numbers_stand_beside_the_fullest_bar():
    images = np.zeros((1, 3, 4, 4), dtype=np.float32)
    ones = {"standard": np.ones((1, 1))}
    figure = draw(figure6, {"clean": images}, grid()[:1], probabilities=lambda few: ones, classes=lambda: ["disc"])
    renderer = FigureCanvasAgg(figure).get_renderer()
    (axes,) = figure.axes
    (text,) = [text for text in axes.texts if text.get_text() == "100%"]
    ends = [bar.get_window_extent(renderer).x1 for bar in axes.patches if bar.get_width() > 0]
    assert text.get_window_extent(renderer).x0 > max(ends)


def test_probabilities_are_read_by_image_and_averaged_over_seeds(tmp_path):
    rows = [(t, i, p) for t, i, p in (("clean", 3, 0.9), ("clean", 1, 0.7), ("patch-shuffle-2", 3, 0.4))]
    for seed, shift in ((0, 0.0), (1, 0.1)):
        frame = pd.DataFrame(rows, columns=["testset", "image", "probability"])
        frame["probability"] = (frame["probability"] - shift).astype("float32")
        frame["testset"] = frame["testset"].astype("category")
        frame.to_parquet(tmp_path / f"{seed}.parquet")
    found = label_probabilities(
        {"standard": [tmp_path / "0.parquet", tmp_path / "1.parquet"]}, ["clean", "patch-shuffle-2"], [1, 3]
    )
    expected = [[0.65, np.nan], [0.85, 0.35]]
    assert np.allclose(found["standard"], expected, equal_nan=True, atol=1e-6)


def test_grid_knows_its_models():
    models = grid()
    assert strongest(models, "pgd-inf").name == "pgd-inf-8"
    assert strongest(models, "finished") is None
    assert [m.name for m in exemplars(models)] == ["standard", "underfit", "pgd-inf-8"]
    finished = [ModelInfo(name="my-vit", family="finished")]
    assert exemplars(finished) == finished
    assert seeds_text(finished) == "" and seeds_text(models) == "seeds 0, 1"
    titles = {m.name: m.title for m in grid(calibration=True)}
    assert titles["pgd-inf-8"] == "PGD-ℓ∞ 8/255" and titles["pgd-l2-12"] == "PGD-ℓ2 12"
    assert titles["calibration-shape"] == "Calibration shape"
    assert ModelInfo(name="pgd-inf-8", label="Ours", family="pgd-inf", eps=8 / 255).title == "Ours"
    assert ModelInfo(name="standard-wide", family="standard").title == "standard-wide"


def test_the_strip_is_in_the_order_of_its_levels_and_shows_each_once():
    sets = ("clean", "saturation-0.25", "saturation-1024", "saturation-2", "saturation-16")
    figure = draw(figure4, dict.fromkeys(sets, IMAGES[:1]))
    assert [text.get_text() for text in figure.axes[0].texts] == ["0.25", "2", "16", "1024"]
