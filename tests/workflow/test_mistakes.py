"""A mistake in a config is one sentence of `snakemake -n`: no traceback, no colours, no jobs."""

import pytest

from .conftest import copy_workflow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return copy_workflow(tmp_path_factory.mktemp("mistakes") / "a folder")


@pytest.mark.parametrize(
    ("study", "said"),
    [
        ("dataset: {kind: cues}", "models: this key is missing"),
        ("dataset: {kind: image_folder, path: photograph}\nmodels: {a: {}}", "did you mean photographs?"),
        ("dataset: {kind: image_folder, path: ., name: x}\nmodels: {a: {}}", "envs: no images; allowed"),
        ("dataset: {kind: image_folder, path: photographs, classes: [dark, lihgt]}\nmodels: {a: {}}", "mean light?"),
        ("dataset: {kind: cues}\nmodels: {010: {}}", "line 2: YAML reads 010 as 8"),
    ],
)
def test_a_mistake_is_one_sentence(folder, study, said):
    (folder.path / "mistake.yaml").write_text(study)
    done = folder.snakemake("-n", config="mistake.yaml", check=False)
    text = done.stdout + done.stderr
    assert done.returncode == 1 and said in text and text.count("Error") == 1
    assert not any(mark in text for mark in ("Traceback", 'File "', "\x1b", "Job stats"))
