import math

import pandas as pd
import pytest

from shapelens.errors import UserError
from shapelens.instruments.registry import TABLES
from shapelens.stats.correlation import agreement
from shapelens.stats.spec import Statistics
from shapelens.stats.tidy import read_tidy
from shapelens.tables.footnotes import COLUMNS, read_footnotes
from shapelens.tables.layout import lay_out, lay_out_agreement, lay_out_means, select
from shapelens.tables.wide import Cell, letters

from ..tidy_data import REFERENCE, accuracy, conflicts, grid, means, per_image, shape_bias, undefine

FOOTNOTES = read_footnotes(REFERENCE / "footnotes.csv")


def wide(table, frame, **kwargs):
    entry, models = TABLES[table], grid(calibration=True)
    return lay_out(entry, select(entry, frame, models), models, FOOTNOTES, **kwargs)


def test_table1_sets_published_beside_measured():
    frame = accuracy("cifar10")
    table = wide("table1", frame)
    assert table.header == ("Model", "Accuracy", "published", "Robust accuracy", "published")
    assert len(table.rows) == 11
    row = dict(zip(table.header, table.rows[3], strict=False))
    assert table.rows[3][0] == "PGD-ℓ∞ 2/255"
    mean = frame[(frame["model"] == "pgd-inf-2") & (frame["seed"] == "mean")].set_index("metric").loc["accuracy"]
    assert row["Accuracy"] == Cell(100 * mean["value"], 100 * mean["low"], 100 * mean["high"])
    assert table.rows[3][4].number == "39.11" and table.rows[3][4].marks == "a"
    assert table.footnotes == (("a", "Printed as 39.11, above the 30.85 of the model with twice its ε."),)
    assert table.notes == (
        "n = 6,000 images; mean over seeds 0, 1; 95 % intervals in brackets.",
        "Published: Zhang and Zhu (2019), Table 1.",
    )


@pytest.mark.parametrize("kwargs", [{"published": False}, {}])
def test_published_columns_vanish_where_there_is_nothing_to_show(kwargs):
    table = wide("table1", accuracy("cifar10", published=bool(kwargs)), **kwargs)
    assert table.header == ("Model", "Accuracy", "Robust accuracy")
    assert table.footnotes == () and len(table.notes) == 1


def test_saturation_has_levels_across_and_published_rows_beneath():
    table = wide("saturation", accuracy("cifar10"))
    assert table.header == ("Model", "0.25", "0.5", "1", "4", "8", "16", "64", "1024")
    assert [row[0] for row in table.rows[:4]] == ["Standard", "published", "Underfit", "published"]
    assert table.rows[1][8].number == "31.06"
    assert "Published: Zhang and Zhu (2019), Table 6." in table.notes
    assert any("inferred from the order" in note for note in table.notes)
    partly = accuracy("cifar10")
    partly.loc[partly["model"] == "underfit", "published"] = math.nan
    assert [row[0] for row in wide("saturation", partly).rows[2:4]] == ["Underfit", "PGD-ℓ∞ 1/255"]


def test_undefined_is_a_dash_without_interval():
    table = wide("patch_shuffle", undefine(accuracy(), "standard", "patch-shuffle-8"))
    cell = table.rows[0][table.header.index("k = 8")]
    assert (cell.number, cell.interval) == ("–", "")
    # Planted fault: undefined must not become zero.
    assert cell.number != Cell(0.0).number


def test_every_footnote_is_about_a_published_number():
    published = pd.read_csv(REFERENCE / "zhang_zhu_2019_tables.csv", dtype=str)
    for note in FOOTNOTES:
        hits = [
            row
            for row in published.itertuples()
            if row.table == note.table and note.concerns(row.dataset, row.model, row.testset, row.metric)
        ]
        assert hits, note
    for table, dataset in (("table1", "tinyimagenet"), ("saturation", "tinyimagenet"), ("saturation", "caltech256")):
        assert wide(table, accuracy(dataset)).footnotes


def test_other_footnote_columns_are_refused(tmp_path):
    (tmp_path / "notes.csv").write_text("table,note\n1,x\n")
    with pytest.raises(UserError, match="columns are"):
        read_footnotes(tmp_path / "notes.csv")
    assert len(COLUMNS) == 7


def test_selection_is_in_the_order_of_the_grid_with_the_mean_last():
    frame = accuracy().sample(frac=1, random_state=0)
    chosen = select(TABLES["saturation"], frame, grid())
    assert list(dict.fromkeys(chosen["model"])) == [m.name for m in grid()]
    assert list(chosen["seed"][:3]) == ["0", "1", "mean"]
    assert list(dict.fromkeys(chosen["testset"]))[:3] == ["saturation-0.25", "saturation-0.5", "saturation-1"]
    assert len(chosen) == 11 * 8 * 3
    with pytest.raises(UserError, match="nothing of it was measured on cifar10"):
        select(TABLES["table3"], accuracy("cifar10"), grid())


def test_the_rulers_stand_beside_the_models_as_the_ends_of_the_scale():
    table = wide("shape_bias", shape_bias())
    assert table.header == ("Model", "Drawn")
    cells = {row[0]: row[1].number for row in table.rows}
    assert cells["Calibration shape"] == "100.0" and cells["Calibration texture"] == "0.0"
    assert cells["Underfit"] == "8.3"


def test_the_stylised_estimate_stands_beside_the_exact_one():
    table = wide("shape_bias", conflicts()[0])
    assert table.header == ("Model", "Drawn", "Stylised", "stylised − drawn")
    drawn, stylised, difference = table.rows[1][1:]
    assert (drawn.number, stylised.number) == ("8.3", "13.3")
    assert (difference.number, difference.interval) == ("5.0", "[1.0, 9.0]")
    whole = conflicts()[0]
    alone = wide("shape_bias", whole[whole["testset"] == "cue-conflict"])
    assert alone.header == ("Model", "Stylised")


def test_how_well_each_cue_is_read_stands_beside_the_ratio_on_each_conflict_set():
    whole = shape_bias()
    ranks = [whole.assign(metric=metric, value=value) for metric, value in (("shape_mrr", 0.9), ("texture_mrr", 0.5))]
    frame = pd.concat([whole, *ranks])
    table = wide("cue_reading", pd.concat([frame, frame.assign(testset="hybrid")]))
    assert table.header == (
        "Model",
        *(f"{what}, {where}" for where in ("drawn", "hybrid") for what in ("Shape bias", "Shape read", "Texture read")),
    )
    assert [cell.number for cell in table.rows[1][1:4]] == ["8.3", "90.0", "50.0"]


def test_table2_has_stylised_images_beside_the_published_ones():
    """Clean accuracies are Table 1's, which a footnote says where Table 2 prints another number."""
    frame = accuracy("tinyimagenet")
    plain = frame[frame["metric"] == "accuracy_on_correct"].assign(metric="accuracy", published=math.nan)
    table = wide("table2", pd.concat([frame, plain]))
    assert table.header[1:] == (
        "Accuracy, original",
        "published",
        "Accuracy, stylised",
        "On correctly classified, stylised",
        "published",
    )
    assert len(table.rows) == 11
    underfit = next(row for row in table.rows if row[0] == "Underfit")
    assert underfit[2].number == "60.05" and underfit[2].marks == "a" and underfit[5].number == "7.16"
    assert table.footnotes == (("a", "Printed as 60.05 in Table 1 and as 60.35 in Table 2."),)
    assert table.notes[1] == "Published: Zhang and Zhu (2019), Table 2."


def test_agreement_includes_stylised_images():
    found = agreement(accuracy(), kind="caltech256", statistics=Statistics(resamples=200))
    row = found.set_index(["testset", "metric"]).loc[("stylised", "accuracy_on_correct")]
    assert row["models"] == 11 and 0.3 < row["reachable"] < 0.8


def test_saliency_pools_seeds_within_images_before_counting_them():
    frame = per_image(images=5)
    tidy = means(frame)
    one = tidy[(tidy["model"] == "standard") & (tidy["method"] == "grad") & (tidy["metric"] == "gini")]
    one = one[(one["testset"] == "saturation-1024")].set_index("seed")
    raw = frame[(frame["model"] == "standard") & (frame["method"] == "grad") & (frame["testset"] == "saturation-1024")]
    each = raw.groupby("image")["gini"].mean()
    half = 2.7764451051977987 * each.std() / math.sqrt(5)  # Student's t, four degrees of freedom
    assert one.loc["mean", "value"] == pytest.approx(each.mean())
    assert one.loc["mean", "low"] == pytest.approx(each.mean() - half)
    assert one.loc["mean", "n"] == 5
    # Planted fault: counting both seeds of an image as independent would give ten.
    assert raw["gini"].count() == 10
    distance = tidy[(tidy["metric"] == "distance_to_clean") & (tidy["testset"] == "clean")]
    assert distance["value"].isna().all() and (distance["n"] == 0).all()
    single = means(frame[frame["image"] == 0])
    assert single["low"].isna().all() and single["value"].notna().any()


def test_saliency_table_has_a_row_per_method_test_set_and_model():
    table = lay_out_means(TABLES["saliency"], select(TABLES["saliency"], means(per_image()), grid()), grid())
    assert len(table.rows) == 2 * 2 * 11
    assert table.rows[0][:3] == ("Grad", "original", "Standard")
    assert table.rows[0][6].number == "–" and table.rows[11][1] == "saturation 1024"
    assert table.groups == (11, 22, 33)
    assert table.notes[0].startswith("n = 5 images; mean over seeds 0, 1;")


def test_agreement_and_its_absence():
    names = ["dataset", "testset", "metric", "misprints", "models", "tau", "low", "high", "p"]
    names += ["reachable", "reachable_low", "reachable_high"]
    row = ("cifar10", "saturation-0.25", "accuracy_on_correct", "kept", 11, 0.41, -0.1, 0.7, 0.03, 0.6, 0.4, 0.8)
    table = lay_out_agreement(TABLES["agreement"], pd.DataFrame([row], columns=names))
    assert table.rows[0][:3] == ("saturation 0.25", "accuracy on correct", "kept")
    assert [f"{c.number} {c.interval}".strip() for c in table.rows[0][3:]] == [
        "0.41 [−0.10, 0.70]",
        "0.60 [0.40, 0.80]",
        "0.030",
        "11",
    ]
    assert "enough published models" in lay_out_agreement(TABLES["agreement"], pd.DataFrame(columns=names)).notes[0]


def test_numbers_are_printed_without_a_signed_zero():
    assert Cell(-0.01).number == "0.0" and Cell(-1.25, digits=2).number == "−1.25"
    assert [letters(i) for i in (0, 25, 26, 27)] == ["a", "z", "aa", "ab"]


def test_reading_keeps_names_and_refuses_other_files(tmp_path):
    frame = accuracy()
    frame["model"] = frame["model"].replace({"standard": "nan"})
    frame.to_csv(tmp_path / "a.csv", index=False)
    read = read_tidy(tmp_path / "a.csv")
    assert "nan" in set(read["model"]) and set(read["seed"]) == {"0", "1", "mean"}
    frame.drop(columns="low").to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(UserError, match="column low is missing"):
        read_tidy(tmp_path / "b.csv")
