"""Per-image predictions and their tables."""

import numpy as np
import pytest
import torch
from torch import nn

from shapelens.artefacts.files import save_npy
from shapelens.artefacts.parquet import write_parquet
from shapelens.errors import UserError
from shapelens.instruments.predictions.rows import prediction_table
from shapelens.models.answers import judge, predict, ranks
from shapelens.models.classifier import Classifier
from shapelens.models.evaluation_mode import still

torch.set_num_threads(1)
KEYS = {"input_size": None, "device": "cpu"}


@pytest.fixture
def classifier():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2), nn.ReLU(),
        nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(72, 6),
    )  # fmt: skip
    network[1].running_mean.uniform_(-0.3, 0.3)
    with torch.no_grad():
        network[-1].weight *= 20
    return Classifier(network, nn.Identity())


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (37, 3, 16, 16), dtype=np.uint8)


LABELS = np.arange(37) % 6


def spread(results):
    return max(np.abs(found[1] - results[0][1]).max() for found in results)


def test_batch_size_and_order_change_nothing(classifier, images, tmp_path):
    save_npy(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    results = [predict(classifier, mapped, LABELS, batch=batch, **KEYS) for batch in (1, 5, 37, 100)]
    assert results[0][0].dtype == np.int16 and results[0][1].dtype == np.float32
    assert len(np.unique(results[0][0])) > 1
    assert all(np.array_equal(found.predicted, results[0].predicted) for found in results)
    assert all(np.array_equal(found.rank, results[0].rank) for found in results)
    assert spread(results) < 1e-5
    order = np.random.default_rng(1).permutation(37)
    predicted, probability = predict(classifier, images[order], LABELS[order], batch=8, **KEYS)[:2]
    assert np.array_equal(predicted, results[0][0][order])
    np.testing.assert_allclose(probability, results[0][1][order], atol=1e-5)


def test_batch_size_catches_batch_norm_in_training_mode(classifier, images):
    """The planted fault: statistics of the batch instead of the stored ones."""

    def faulty(batch):
        classifier.train()
        with torch.no_grad():
            parts = torch.from_numpy(images / np.float32(255)).split(batch)
            return None, torch.cat([classifier(part).softmax(1)[:, 0] for part in parts]).numpy()

    assert spread([faulty(5), faulty(37)]) > 1e-3


def test_values_are_those_of_the_model(classifier, images):
    predicted, probability = predict(classifier, images, LABELS, batch=10, **KEYS)[:2]
    with torch.no_grad():
        p = classifier.eval()(torch.from_numpy(images / np.float32(255))).softmax(1).numpy()
    assert np.array_equal(predicted, p.argmax(1))
    np.testing.assert_allclose(probability, p[np.arange(37), LABELS], rtol=1e-4, atol=1e-7)
    as_float = predict(classifier, (images / 255).astype(np.float32), LABELS, batch=10, **KEYS)
    assert np.array_equal(as_float[0], predicted)


def test_ranks_of_both_classes_are_places_in_the_sorted_probabilities(classifier, images):
    others = np.where(np.arange(37) % 3 == 0, -1, (LABELS + 1 + np.arange(37) % 5) % 6)
    found = predict(classifier, images, LABELS, others, batch=10, **KEYS)
    with torch.no_grad():
        p = classifier.eval()(torch.from_numpy(images / np.float32(255))).softmax(1).numpy()
    place = 1 + np.argsort(np.argsort(-p, axis=1), axis=1)
    rows, has = np.arange(37), others >= 0
    assert np.array_equal(found.rank, place[rows, LABELS]) and len(np.unique(found.rank)) > 3
    assert np.array_equal(found.rank == 1, found.predicted == LABELS)
    assert np.array_equal(found.other_rank[has], place[rows, others][has]) and not found.other_rank[~has].any()
    np.testing.assert_allclose(found.other_probability[has], p[rows, others][has], rtol=1e-4, atol=1e-7)
    assert np.isnan(found.other_probability[~has]).all()
    assert (found.rank.dtype, found.other_rank.dtype) == (np.int16, np.int16)
    with pytest.raises(UserError, match=r"labels 1 to 6.*6 classes"):
        predict(classifier, images, LABELS, LABELS + 1, batch=10, **KEYS)


def test_equal_logits_are_placed_by_class():
    logits = torch.tensor([[1.0, 3.0, 3.0, 0.0]]).expand(4, 4)
    assert ranks(logits, torch.arange(4)).tolist() == [3, 1, 2, 4]
    assert judge(logits, torch.arange(4))[0].tolist() == [1, 1, 1, 1]
    flat = torch.zeros(5, 5)  # a model that has collapsed: no class is more probable than another
    assert ranks(flat, torch.arange(5)).tolist() == [1, 2, 3, 4, 5]


def test_images_are_resized_on_the_way(classifier, images):
    seen = []
    classifier.network.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].shape[2:]))
    predict(classifier, images, LABELS, batch=40, input_size=24, device="cpu")
    assert seen == [(24, 24)]


def test_the_model_is_left_as_it_was(classifier, images):
    classifier.train()
    classifier.network[0].eval()
    classifier.network[3].weight.requires_grad_(False)
    before = {key: value.clone() for key, value in classifier.state_dict().items()}
    predict(classifier, images, LABELS, batch=10, **KEYS)
    assert classifier.training and not classifier.network[0].training and classifier.network[1].training
    assert [p.requires_grad for p in classifier.network[3].parameters()] == [False, True]
    assert all(torch.equal(value, before[key]) for key, value in classifier.state_dict().items())
    with pytest.raises(RuntimeError, match="inside"), still(classifier):
        assert not classifier.training
        raise RuntimeError("inside")
    assert classifier.training


def test_refusals(classifier, images):
    with pytest.raises(UserError, match=r"labels 0 to 6.*6 classes"):
        predict(classifier, images, LABELS + (np.arange(37) == 36) * 6, batch=10, **KEYS)
    with torch.no_grad():
        classifier.network[-1].bias[0] = float("nan")
    with pytest.raises(UserError, match="image 0 are not finite"):
        predict(classifier, images, LABELS, batch=10, **KEYS)


def test_table_and_parquet(classifier, images, tmp_path):
    import pandas as pd
    import pyarrow.parquet as pq

    for name, count in (("conflict", 5), ("clean", 8)):
        save_npy(tmp_path / name / "images.npy", images[:count])
        save_npy(tmp_path / name / "labels.npy", LABELS[:count])
    save_npy(tmp_path / "conflict/textures.npy", LABELS[1:6])
    folders = {"clean": tmp_path / "clean", "conflict": tmp_path / "conflict"}
    table = prediction_table(classifier, folders, batch=3, **KEYS)
    assert table["testset"].tolist() == ["clean"] * 8 + ["conflict"] * 5
    assert table["image"].tolist() == [*range(8), *range(5)]
    assert table["texture"].tolist() == [-1] * 8 + [1, 2, 3, 4, 5]
    assert table["texture_rank"].tolist()[:8] == [0] * 8 and table["texture_rank"][8:].between(1, 6).all()
    assert table["texture_probability"].isna().tolist() == [True] * 8 + [False] * 5
    assert ((table["rank"] == 1) == (table["predicted"] == table["label"])).all()
    for name in ("one", "two"):
        write_parquet(tmp_path / name, table)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    schema = pq.read_schema(tmp_path / "one")
    types = {name: str(schema.field(name).type).replace("large_", "") for name in schema.names}
    assert types == {
        "testset": "string", "image": "int32", "label": "int16", "texture": "int16", "predicted": "int16",
        "probability": "float", "rank": "int16", "texture_rank": "int16", "texture_probability": "float",
    }  # fmt: skip
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "one"), table)
