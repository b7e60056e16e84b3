"""The tidy table of proportions: ten rows by hand, invariances, undefined values, and the published numbers."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from shapelens.errors import UserError
from shapelens.stats.accuracy import COLUMNS, accuracy_table, join_published, mean_value
from shapelens.stats.intervals import wilson
from shapelens.stats.ruler import Ruler
from shapelens.stats.spec import Statistics

from ..stats_data import PUBLISHED, frame


@pytest.fixture(autouse=True)
def everything_is_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests have no rulers; ``test_ruler`` has those of what is withheld."""
    monkeypatch.setattr(Ruler, "withheld", lambda *_: None)


STATISTICS = Statistics(resamples=300)
#            image       0  1  2  3  4  5  6  7  8  9
STANDARD_CLEAN = [1, 1, 1, 1, 1, 1, 1, 1, 0, 0]
STANDARD_SHUFFLED = [1, 1, 1, 1, 0, 0, 0, 0, 1, 0]
ROBUST_CLEAN = [1, 1, 1, 1, 0, 0, 1, 0, 1, 0]
ROBUST_SHUFFLED = [1, 0, 0, 0, 1, 0, 1, 0, 0, 0]
ATTACKED = [1, 1, 0, 0, 0, 0, 1, 0, 0, 0]
# On the conflict set the label is 1 and the texture 2, but for image 9, whose two cues agree.
CONFLICT = [1, 1, 1, 2, 0, 0, 3, 3, 3, 1]
TEXTURES = [2] * 9 + [1]


def by_hand() -> dict[str, Any]:
    def run(clean: list[int], shuffled: list[int]) -> pd.DataFrame:
        sets = [
            frame("clean", 1, clean),
            frame("patch-shuffle-2", 1, shuffled),
            frame("conflict", 1, CONFLICT, TEXTURES),
        ]
        return pd.concat(sets)

    return {
        "predictions": {
            ("standard", 0): run(STANDARD_CLEAN, STANDARD_SHUFFLED),
            ("pgd", 0): run(ROBUST_CLEAN, ROBUST_SHUFFLED),
        },
        "robust": {("pgd", 0): frame("clean", 1, ATTACKED).drop(columns=["testset", "texture"])},
    }


def table(data: dict[str, Any], **more: Any) -> pd.DataFrame:
    order = more.pop("order", ["standard", "pgd"])
    return accuracy_table(**data, dataset="d", order=order, statistics=STATISTICS, data_seed=0, **more)


def value(found: pd.DataFrame, model: str, testset: str, metric: str, seed: str = "mean") -> tuple[float, int]:
    rows = found.query("model == @model and testset == @testset and metric == @metric and seed == @seed")
    assert len(rows) == 1
    return float(rows["value"].iloc[0]), int(rows["n"].iloc[0])


def test_ten_rows_by_hand() -> None:
    found = table(by_hand())
    assert tuple(found.columns) == COLUMNS
    expected = {
        ("standard", "clean", "accuracy"): (0.8, 10),
        ("standard", "patch-shuffle-2", "accuracy"): (0.5, 10),
        ("standard", "patch-shuffle-2", "accuracy_on_correct"): (4 / 8, 8),
        ("standard", "patch-shuffle-2", "accuracy_on_common"): (4 / 8, 8),
        ("pgd", "clean", "accuracy"): (0.6, 10),
        ("pgd", "clean", "robust_accuracy"): (0.3, 10),
        ("pgd", "patch-shuffle-2", "accuracy"): (0.3, 10),
        ("pgd", "patch-shuffle-2", "accuracy_on_correct"): (2 / 6, 6),
        # Images 0 to 3 and 6 are right for both; of these pgd keeps 0 and 6, standard 0 to 3.
        ("pgd", "patch-shuffle-2", "accuracy_on_common"): (2 / 5, 5),
        ("pgd", "patch-shuffle-2", "gap_on_common"): (-2 / 5, 5),
        ("standard", "conflict", "shape_bias"): (3 / 4, 4),
        ("pgd", "conflict", "shape_bias"): (3 / 4, 4),
        ("standard", "conflict", "accuracy"): (0.4, 10),
        ("pgd", "conflict", "accuracy"): (0.4, 10),
        ("standard", "patch-shuffle-2", "relative_accuracy"): (5 / 8, 10),
        ("pgd", "patch-shuffle-2", "relative_accuracy"): (3 / 6, 10),
    }
    for key, (share, n) in expected.items():
        for seed in ("0", "mean"):
            assert value(found, *key, seed=seed) == (pytest.approx(share), n), key
    assert len(found) == 2 * len(expected)
    assert found["published"].isna().all()
    assert mean_value(found, "pgd", "clean", "accuracy")[:3] == pytest.approx((0.6, *wilson(6, 10)))
    assert math.isnan(mean_value(found, "pgd", "clean", "shape_bias").value)


def test_a_mean_of_batch_ratios_is_another_number() -> None:
    """The planted fault: averaging the ratio over batches, as the released code does, instead of summing."""
    clean, shuffled = (np.array(v).reshape(2, 5) for v in (ROBUST_CLEAN, ROBUST_SHUFFLED))
    batches = ((clean & shuffled).sum(axis=1) / clean.sum(axis=1)).mean()
    share = value(table(by_hand()), "pgd", "patch-shuffle-2", "accuracy_on_correct")[0]
    assert share == pytest.approx(1 / 3) != pytest.approx(batches)


def test_order_of_rows_and_numbers_of_images_change_nothing() -> None:
    data = by_hand()
    plain = table(data)
    shuffled = {
        name: {run: part.sample(frac=1, random_state=i) for i, (run, part) in enumerate(runs.items())}
        for name, runs in data.items()
    }
    pd.testing.assert_frame_equal(plain, table(shuffled))
    for runs in shuffled.values():
        for part in runs.values():
            part["image"] = 7 + 3 * part["image"]
    pd.testing.assert_frame_equal(plain, table(shuffled))


def test_empty_denominators_are_undefined_not_zero() -> None:
    nothing = pd.concat([frame("clean", 1, [0] * 5), frame("low-pass", 1, [1] * 5), frame("conflict", 1, [0] * 5, 2)])
    found = table({"predictions": {("standard", 0): nothing}, "robust": {}}).set_index(["testset", "metric", "seed"])
    for key in (("low-pass", "accuracy_on_correct"), ("conflict", "shape_bias")):
        for seed in ("0", "mean"):
            row = found.loc[(*key, seed)]
            assert row[["value", "low", "high"]].isna().all() and row["n"] == 0
    assert found.loc[("low-pass", "accuracy", "mean"), "value"] == 1
    assert "robust_accuracy" not in found.index.get_level_values("metric")


def seeds(count: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    runs, attacked = {}, {}
    for model, share in (("standard", 0.9), ("pgd", 0.7)):
        for seed in range(count):
            kept = share - 0.15 * seed
            right = [frame(name, 1, (rng.random(300) < kept).astype(int)) for name in ("clean", "saturation-8")]
            runs[model, seed] = pd.concat(right)
            attacked[model, seed] = frame("clean", 1, (rng.random(300) < kept / 2).astype(int))
    runs["mine", 0] = runs["pgd", 0]
    return {"predictions": runs, "robust": attacked}


def test_means_over_seeds() -> None:
    widths = {}
    for count in (1, 2, 3):
        found = table(seeds(count), order=["standard", "pgd", "mine"])
        assert list(dict.fromkeys(found["model"])) == ["standard", "pgd", "mine"]
        for metric in ("accuracy_on_correct", "gap_on_common", "accuracy"):
            single = [value(found, "pgd", "saturation-8", metric, str(s)) for s in range(count)]
            assert value(found, "pgd", "saturation-8", metric) == (
                pytest.approx(np.mean([v for v, _ in single])),
                sum(n for _, n in single),
            )
        interval = mean_value(found, "pgd", "saturation-8", "accuracy")
        assert interval.low < interval.value < interval.high
        widths[count] = interval.high - interval.low
        # A finished model has one run; it is compared with the reference's first seed.
        assert value(found, "mine", "saturation-8", "gap_on_common") == value(
            found, "pgd", "saturation-8", "gap_on_common", "0"
        )
    assert widths[2] < widths[1] < widths[3]


def test_runs_that_cannot_be_paired_are_refused() -> None:
    data = by_hand()
    data["predictions"]["pgd", 0] = pd.concat([data["predictions"]["pgd", 0], frame("clean", 1, [1], image=[3])])
    with pytest.raises(UserError, match=r"pgd \(seed 0\): an image occurs twice in clean"):
        table(data)
    data = by_hand()
    data["predictions"]["pgd", 0] = data["predictions"]["pgd", 0].assign(label=2)
    with pytest.raises(UserError, match=r"pgd \(seed 0\) and standard \(seed 0\).*different images or labels"):
        table(data)
    with pytest.raises(UserError, match="no predictions"):
        table({"predictions": {}, "robust": {}})


def test_without_the_reference_nothing_is_on_common() -> None:
    found = table(by_hand(), reference="other")
    assert not found["metric"].str.endswith("on_common").any()


def test_all_published_rows_are_joined() -> None:
    published = pd.read_csv(PUBLISHED)
    assert len(published) == 449
    joined = 0
    odd = []
    for kind, rows in published.groupby("dataset"):
        names = [f"{name}" for name in rows["testset"].unique() if name != "clean"]
        answers = pd.concat([frame(name, 1, [1, 1, 0]) for name in ["clean", *names]])
        models = list(rows["model"].unique())
        attacked = {(model, 0): frame("clean", 1, [1, 0, 0]) for model in models}
        found = table(
            {"predictions": {(model, 0): answers for model in models}, "robust": attacked},
            order=models,
            published=join_published(published, str(kind)),
        )
        assert found.loc[found["seed"] != "mean", "published"].isna().all()
        means = found[found["seed"] == "mean"].set_index(["model", "testset", "metric"])["published"]
        assert means.index.is_unique
        for row in rows.itertuples():
            share = means.loc[row.model, row.testset, row.metric]
            if share == pytest.approx(row.percent / 100, abs=1e-12):
                joined += 1
            else:
                odd.append((row.table, row.dataset, row.model))
    # Table 2 prints two of Table 1's clean accuracies with other digits; Table 1 is taken.
    assert odd == [(2, "caltech256", "pgd-l2-12"), (2, "tinyimagenet", "underfit")]
    assert joined == 447
    assert join_published(published, "cues").empty
