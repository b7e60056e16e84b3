import numpy as np
import pytest
from PIL import Image

from shapelens.attribution.saved_maps import read_maps
from shapelens.errors import UserError
from shapelens.names.display import Display
from shapelens.names.models import ModelInfo, exemplars, opposites
from shapelens.plots.saliency import figure2, figure8, sheet
from shapelens.plots.save import SHEET_WIDTH, save_figure

from ..tidy_data import grid, shown

COUNT = 3
PICTURES = np.random.default_rng(0).random((COUNT, 3, 8, 8)).astype(np.float32)


@pytest.fixture
def paths(tmp_path):
    found = {}
    for place, model in enumerate(grid()):
        path = tmp_path / f"{model.name}.npz"
        maps = np.random.default_rng(place).normal(size=(2, 2, COUNT, 3, 8, 8)).astype(np.float32)
        np.savez(
            path,
            methods=np.array(["grad", "smoothgrad"]),
            testsets=np.array(["clean", "saturation-1024"]),
            images=np.array([4, 9, 2]),
            labels=np.array([0, 1, 2]),
            predicted=np.zeros((2, COUNT), np.int64),
            maps=maps,
        )
        found[model.name] = path
    return found


def draw(function, maps, models=None, testsets=("clean",), display=None, pictures=PICTURES, method="smoothgrad"):
    """Draw maps: what ``read_maps`` returns by method and test set, or the files that it reads."""
    opened = maps if callable(maps) else lambda *which: read_maps(maps, *which)
    what = shown(
        models=models,
        testsets=testsets,
        method=method,
        dataset="cues",
        maps=opened,
        pictures=lambda name: pictures,
    )
    return function(what, display or Display())


def test_maps_are_read_by_method_and_test_set(paths):
    maps = read_maps(paths, "smoothgrad", "saturation-1024", limit=2)
    with np.load(paths["fgsm-8"]) as file:
        assert np.array_equal(maps.maps["fgsm-8"], file["maps"][1, 1, :2])
    assert maps.images.tolist() == [4, 9]
    with pytest.raises(UserError, match="this file has methods grad, smoothgrad"):
        read_maps(paths, "gradcam", "clean")
    with pytest.raises(UserError, match="this file has testsets"):
        read_maps(paths, "grad", "stylised")


def test_maps_of_other_images_are_refused(paths):
    with np.load(paths["fgsm-8"]) as file:
        content = dict(file)
    content["images"] = np.array([4, 9, 3])
    np.savez(paths["fgsm-8"], **content)
    with pytest.raises(UserError, match="images differ from those of standard"):
        read_maps(paths, "grad", "clean")


@pytest.mark.parametrize("method", ["smoothgrad", "grad"])
def test_sheets_hold_all_models_and_keep_their_width(paths, tmp_path, method):
    figure = draw(sheet, paths, method=method)
    assert len(figure.axes[0].get_images()) == COUNT * 12
    assert figure.texts[0].get_text().startswith({"smoothgrad": "SmoothGrad maps", "grad": "Grad maps"}[method])
    for dpi in (200, 400):
        save_figure(figure, tmp_path / "a.png", tmp_path / "a.pdf", dpi, max_width=SHEET_WIDTH)
        assert Image.open(tmp_path / "a.png").width <= SHEET_WIDTH


def test_absolute_maps_lie_in_0_1_and_signed_ones_keep_their_sign(paths):
    def drawn(display):
        figure = draw(sheet, paths, display=display)
        return [np.asarray(i.get_array()) for i in figure.axes[0].get_images() if np.ndim(i.get_array()) == 2]

    absolute, signed = drawn(Display()), drawn(Display(signed=True))
    assert len(absolute) == len(signed) == COUNT * 11
    assert min(a.min() for a in absolute) >= 0 and max(a.max() for a in absolute) == 1
    assert min(a.min() for a in signed) < -0.5 and max(a.max() for a in signed) <= 1


def test_figure2_sets_test_sets_side_by_side(paths):
    figure = draw(figure2, paths, testsets=("clean", "saturation-1024"))
    assert len(figure.axes[0].get_images()) == COUNT * 4 * 2
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert "Original" in texts and "Saturation 1024" in texts
    assert [m.name.split("-")[0].capitalize() for m in exemplars(grid())][:2] == texts[2:4]
    with pytest.raises(UserError, match="not of the same images"):
        draw(figure2, paths, pictures=PICTURES[:2])


def test_figure8_sets_standard_pgd_and_spatial_side_by_side(paths):
    spatial = ModelInfo(name="flow", family="spatial")
    paths["flow"] = paths["standard"]
    models = [*grid(), spatial]
    assert [m.name for m in opposites(models)] == ["standard", "pgd-inf-8", "flow"]
    figure = draw(figure8, paths, models, ("clean", "saturation-1024"))
    assert len(figure.axes[0].get_images()) == COUNT * 4 * 2
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts.count("Standard") == 2 and "Underfit" not in texts
    assert [m.name for m in opposites(grid())] == ["standard", "pgd-inf-8"]


def test_undefined_maps_and_long_names_do_not_stop_a_sheet(paths, tmp_path):
    maps = read_maps(paths, "grad", "clean")
    maps.maps["standard"][1] = np.nan
    maps.maps["a-model-with-a-very-long-name-indeed"] = maps.maps["fgsm-8"]
    models = [*grid(), ModelInfo(name="a-model-with-a-very-long-name-indeed", family="finished")]
    figure = draw(sheet, lambda *which: maps, models)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts.count("undefined") == 1
    assert any(text.endswith("…") for text in texts)
    with pytest.raises(UserError, match="no model of the grid"):
        draw(sheet, lambda *which: maps, [])
