"""How far the maps of one model's training seeds agree."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from shapelens.artefacts.files import save_npz
from shapelens.attribution.agreement import rank_correlation
from shapelens.attribution.map_numbers import distance
from shapelens.errors import UserError
from shapelens.instruments.saliency.between_seeds import seed_agreement
from shapelens.stats.spec import Statistics, StatisticsJob
from shapelens.stats.tidy import read_tidy

from ..fake_job import Params, Paths
from .test_saliency_rows import arrays_of

SCRIPTS = Path(__file__).resolve().parents[2] / "workflow" / "scripts"


def saved(folder, maps):
    paths = {}
    for (model, seed), one in maps.items():
        paths[model, seed] = folder / model / f"seed{seed}.npz"
        save_npz(paths[model, seed], arrays_of(**({} if one is None else {"maps": one})))
    return paths


def values(table):
    return table.set_index(["model", "method", "testset", "metric"])["value"]


def test_equal_maps_agree_wholly_and_maps_that_never_meet_not_at_all(tmp_path):
    same = arrays_of()["maps"]
    left, right = np.zeros((2, *same.shape), np.float32)
    left[..., 3], right[..., 7] = 1, 2
    maps = {("standard", 0): same, ("standard", 1): -3 * same, ("apart", 0): left, ("apart", 1): right}
    found = seed_agreement(saved(tmp_path, {**maps, ("finished", 0): None}), "cues")
    assert set(found["seed"]) == {"mean"} and set(found["model"]) == {"standard", "apart"} and (found["n"] == 3).all()
    by = values(found)
    for method in ("grad", "smoothgrad"):
        assert by["standard", method, "clean", "seed_distance"] == pytest.approx(0, abs=1e-7)
        assert by["standard", method, "clean", "seed_correlation"] == pytest.approx(1)
        assert by["apart", method, "clean", "seed_distance"] == 1
        # 20 of 400 pixels each: of two rankings with ties Spearman's correlation is Pearson's of the two columns.
        assert by["apart", method, "clean", "seed_correlation"] == pytest.approx(-(0.05**2) / (0.05 * 0.95))


def test_every_image_is_the_mean_over_pairs_of_seeds(tmp_path):
    maps = {("standard", seed): arrays_of()["maps"] for seed in range(3)}
    found = values(seed_agreement(saved(tmp_path, maps), "cues"))
    pairs = [(maps["standard", a][0, 1], maps["standard", b][0, 1]) for a, b in ((0, 1), (0, 2), (1, 2))]
    for metric, measure in (("seed_distance", distance), ("seed_correlation", rank_correlation)):
        expected = np.mean([measure(*pair) for pair in pairs])
        assert found["standard", "grad", "clean", metric] == pytest.approx(expected)


def test_one_seed_and_other_images_are_refused(tmp_path):
    with pytest.raises(UserError, match="no model has saliency maps of two training seeds"):
        seed_agreement(saved(tmp_path / "one", {("standard", 0): None}), "cues")
    paths = saved(tmp_path / "two", {("standard", 0): None, ("standard", 1): None})
    save_npz(paths["standard", 1], arrays_of(images=np.array([1, 2, 4])))
    with pytest.raises(UserError, match="different images or methods"):
        seed_agreement(paths, "cues")


def test_the_script_of_the_rule_writes_them(tmp_path):
    paths = saved(tmp_path, {("standard", seed): None for seed in range(2)})
    spec = StatisticsJob(dataset="cues", kind="cues", data_seed=0, statistics=Statistics(), grid=())
    fake = SimpleNamespace(
        input=Paths(maps=[str(path) for path in paths.values()]),
        output=[str(tmp_path / "out.csv")],
        params=Params(spec=spec.canonical()),
        log=[str(tmp_path / "log")],
        resources=SimpleNamespace(gpu=0),
        rule="saliency_agreement",
        scriptdir=str(SCRIPTS),
    )
    runpy.run_path(str(SCRIPTS / "saliency_agreement.py"), init_globals={"snakemake": fake})
    table = read_tidy(tmp_path / "out.csv")
    assert set(table["metric"]) == {"seed_distance", "seed_correlation"} and len(table) == 2 * 2 * 2
