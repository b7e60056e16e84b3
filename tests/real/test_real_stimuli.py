"""The cue-conflict stimuli of Geirhos et al. (2019), a quarter of them, as a user's own set."""

from collections import Counter

import numpy as np
import pytest

from shapelens.datasets.own import own_classes, write_own_set
from shapelens.datasets.own_spec import ClassesJob, OwnConflicts, OwnSetJob

from ..shared_data import shared_data

PATTERN = "{shape}{number}-{texture}{number}"


def test_labels_and_counts_of_the_standard_stimuli(tmp_path):
    archive = shared_data() / "cue-conflict-320.tar"
    if not archive.is_file():
        pytest.skip(f"real images: there is no {archive}")
    own = OwnConflicts(path=str(archive), pattern=PATTERN)
    classes = own_classes(ClassesJob(classes=None, sets={"geirhos": own}), tmp_path)
    assert len(classes) == 16
    job = OwnSetJob(name="geirhos", own=own, resize=224, size=224, data_seed=0)
    found = write_own_set(job, classes, tmp_path / "out")
    # 320 stimuli, 20 of each shape; in 22 shape and texture are of one class.
    assert (found["images"], found["left_out"]["labels_agree"]) == (298, 22)
    passed = {reason: told["files"] for reason, told in found["left_out"]["passed_over"].items()}
    assert passed == {"no suffix, and no image by its content": 1}
    assert found["classes_without_images"] == []
    labels, textures = (np.load(tmp_path / "out" / f"{name}.npy") for name in ("labels", "textures"))
    assert not (labels == textures).any()
    rows = (tmp_path / "out" / "index.csv").read_text().splitlines()[1:]
    folders = Counter(row.split(",")[-1].split("/")[0] for row in rows)
    # The folders are named by the shapes, which the pattern read from the files' names.
    assert folders == Counter(classes[label] for label in labels)
