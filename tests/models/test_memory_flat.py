"""Memory does not grow with the number of images, but for tables of a few numbers per image.

The jobs are those of benchmarks/memory.py, which measures whole processes at up to 10⁵ images; here what Python and
numpy allocate is counted, at a few hundred.
"""

import importlib
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from shapelens.instruments.runs import read_runs
from shapelens.stats import proportions, resampling
from shapelens.stats.paired import pair
from shapelens.stylisation import quality
from shapelens.stylisation.quality import EdgeAgreement, edge_agreement

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
FEW, MANY = 300, 600
IMAGE = 3 * 32 * 32
"""Bytes of one stored image."""


@pytest.fixture(scope="module")
def benchmark():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        return importlib.import_module("memory")


@pytest.fixture(scope="module")
def inputs(benchmark, tmp_path_factory):
    folders = {count: tmp_path_factory.mktemp(f"images{count}") for count in (FEW, MANY)}
    for count, folder in folders.items():
        benchmark.make_inputs(folder, count)
    return folders


def growth(job, inputs):
    """Return by how many bytes the peak grows for each image more."""
    peaks = []
    for count in (FEW, FEW, MANY):  # the first run only fills caches
        shutil.rmtree(inputs[count] / "out", ignore_errors=True)
        tracemalloc.start()
        job(inputs[count], count)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    return (peaks[2] - peaks[1]) / (MANY - FEW)


JOBS = {
    "unpacking a .tar": 300,
    "dataset, CIFAR-10 binary": 2000,
    "dataset, cues": 300,
    "cue set": 300,
    "stylised set": 300,
    "finished model": 300,
    "shape bias per class": 600,
}
"""Bytes per image that a job may take: its tables, and far less than the image."""


@pytest.mark.parametrize("name", JOBS)
def test_a_job_does_not_grow_with_its_images(benchmark, inputs, monkeypatch, name):
    # As with many images.
    monkeypatch.setattr(resampling, "IN_MEMORY", 0)
    monkeypatch.setattr(quality, "CHUNK_VALUES", 20 * IMAGE)
    assert growth(benchmark.JOBS[name], inputs) < JOBS[name]


def test_growth_is_seen(inputs):
    """The planted fault: a whole file in memory."""
    assert growth(lambda folder, count: np.load(folder / "testset" / "images.npy"), inputs) > 0.9 * IMAGE


def test_resamples_and_ratios_are_the_same_from_a_file_and_in_groups(monkeypatch):
    rng = np.random.default_rng(0)
    above, below = rng.random((3, 7, 40)) < 0.4, rng.random((3, 7, 40)) < 0.8
    runs = [[proportions.Count(above[s, q] & below[s, q], below[s, q]) for q in range(7)] for s in range(3)]

    def quantities():
        resampler = resampling.Resampler(40, 300, 5)
        return resampler.counts, list(proportions._ratios(runs, resampler))

    held, expected = quantities()
    monkeypatch.setattr(resampling, "IN_MEMORY", 0)
    monkeypatch.setattr(resampling, "BLOCK_VALUES", 400)
    monkeypatch.setattr(proportions, "AT_ONCE", 3 * 40 * 2)
    mapped, found = quantities()
    assert isinstance(mapped.base, np.memmap) and not isinstance(held.base, np.memmap)
    assert np.array_equal(mapped, held) and len(found) == 7
    for one, other in zip(found, expected, strict=True):
        assert one.value == other.value and one.n == other.n
        assert np.array_equal(one.draws, other.draws) and np.array_equal(one.jackknife, other.jackknife)


def test_shape_kept_is_the_same_in_parts():
    rng = np.random.default_rng(0)
    original, stylised = rng.random((2, 50, 90)) + rng.random(90)
    original[3] = stylised[7] = 0.5
    agreement = EdgeAgreement(50)
    parts = [slice(0, 20), slice(20, 40), slice(40, 50)]
    for part in parts:
        agreement.add(part, original[part], stylised[part])
    kept = np.concatenate([agreement.kept(part, stylised[part]) for part in parts])
    np.testing.assert_allclose(kept, edge_agreement(original, stylised), rtol=0, atol=1e-12)
    whole = EdgeAgreement(50)
    whole.add(slice(0, 50), original, stylised)
    assert np.array_equal(agreement.total, whole.total)
    assert len(np.unique(kept)) > 20


def test_answers_are_read_one_by_one_and_labels_kept_once(inputs):
    runs = read_runs(sorted((inputs[FEW] / "tables" / "predictions").glob("*/*.parquet")))
    assert len(runs) == 6 and ("standard", 1) in runs and ("standard", 2) not in runs
    assert runs["standard", 1] is not runs["standard", 1]
    answers = pair(runs, {}).answers
    assert len({id(sets["clean"].labels) for sets in answers.values()}) == 1
    assert answers["standard", 0]["clean"].right.mean() == pytest.approx(0.7, abs=0.1)
