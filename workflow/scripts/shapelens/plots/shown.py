"""What a figure shows: everything that a drawing function may ask for, opened when it is asked for."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shapelens.artefacts.files import ImageSet, as_float, open_image_set, open_npy, read_json, verified, verified_set
from shapelens.attribution.choose_images import choose_images
from shapelens.attribution.saved_maps import MapSet, read_maps
from shapelens.errors import UserError
from shapelens.instruments.runs import run_of
from shapelens.names.models import ModelInfo
from shapelens.names.words import NO_SCALE, SHAPE_AXIS, dataset_title, title_of_testset
from shapelens.plots.spec import FigureJob
from shapelens.stats.tidy import PER_CLASS, UNDEFINED, Point, read_tidy

if TYPE_CHECKING:
    import pandas as pd


MEANS = "_means"
"""Ends the name of the input that holds an instrument's tidy means."""


class Shown:
    """What one figure shows.

    ``job``: what the figure's job is given; ``inputs``: the files of its entry's ``needs``, by name. Asking for what
    the entry does not need is a KeyError.
    """

    def __init__(self, job: FigureJob, inputs: Mapping[str, Any]) -> None:
        self.job = job
        self._inputs = inputs

    # What is known without a file

    @property
    def title(self) -> str:
        """The dataset as readers see it."""
        return dataset_title(self.job.dataset)

    @property
    def models(self) -> tuple[ModelInfo, ...]:
        """The grid, calibration models included; the judge is no subject of a study."""
        return tuple(model for model in self.job.grid if model.family != "judge")

    @property
    def explained(self) -> tuple[ModelInfo, ...]:
        """The grid without calibration models."""
        return tuple(model for model in self.models if model.family != "calibration")

    @property
    def has_rulers(self) -> bool:
        """Whether the grid has models whose answer is known."""
        return len(self.explained) < len(self.models)

    @property
    def testsets(self) -> tuple[str, ...]:
        """The test sets to show, in order."""
        return self.job.testsets

    def scale_title(self, name: str, rows: Mapping[str, Point]) -> str:
        """Return the words under a panel of shape bias; they say so where none can be read, or on no known scale."""
        read = any(math.isfinite(rows.get(model.name, UNDEFINED).value) for model in self.explained)
        axis = SHAPE_AXIS if self.has_rulers else f"{SHAPE_AXIS}\n{NO_SCALE}"
        return f"{name}\n{axis if read else 'not readable'}"

    # Tables

    @cached_property
    def accuracy(self) -> "pd.DataFrame":
        """Tidy means of what models get right (accuracy.csv)."""
        return read_tidy(self._inputs["accuracy"])

    @cached_property
    def per_class(self) -> "pd.DataFrame":
        """Shape bias by class (shape_bias_per_class.csv)."""
        return read_tidy(self._inputs["per_class"], PER_CLASS)

    @cached_property
    def known_answer(self) -> "pd.DataFrame":
        """Predicted and measured shape biases (predicted_shape_bias.csv)."""
        return read_tidy(self._inputs["known_answer"], ("dataset", "model", "seed", "predicted", "value", "tolerance"))

    def means(self, instrument: str) -> "pd.DataFrame":
        """Return the tidy means of an instrument (means.csv), with a column for each of its keys."""
        return read_tidy(self._inputs[instrument + MEANS])

    def tidy(self) -> "pd.DataFrame":
        """Return the tidy means that the figure needs, of an instrument or accuracy.csv.

        Raises UserError where it needs several, or none.
        """
        names = [name.removesuffix(MEANS) for name in self._inputs if name == "accuracy" or name.endswith(MEANS)]
        if len(names) != 1:
            raise UserError(
                f"figure {self.job.figure}: {self.job.draw} draws one table of tidy means; name accuracy or one "
                f"instrument in needs, not {' and '.join(names) or 'none'}"
            )
        return self.accuracy if names == ["accuracy"] else self.means(names[0])

    # Images

    @cached_property
    def _sets(self) -> dict[str, ImageSet]:
        folders = [Path(path).parent for path in self._inputs["manifests"]]
        return {folder.name: open_image_set(verified_set(folder)) for folder in folders}

    @cached_property
    def indices(self) -> NDArray[np.int64]:
        """Which test images are shown, (I,)."""
        chosen = choose_images(self._sets["clean"].labels, self.job.images, self.job.data_seed)
        return chosen[: self.job.sheet_images]

    def pictures(self, testset: str) -> NDArray[np.float32]:
        """Return the shown images of one test set, (I, C, H, W)."""
        return as_float(np.asarray(self._sets[testset].images[self.indices]))

    def panels(self) -> list[tuple[str, NDArray[np.float32]]]:
        """Return (title, pictures) of each test set, in order."""
        return [(title_of_testset(name), self.pictures(name)) for name in self.testsets]

    def styles(self) -> NDArray[np.float32]:
        """Return the style of each shown image in the test set ``stylised``, (I, C, H, W)."""
        chosen = np.asarray(open_npy(self._inputs["styles"]))[self.indices]
        images = open_npy(verified_set(Path(self._inputs["style_images"]).parent) / "images.npy")
        return as_float(np.asarray(images[chosen]))

    def classes(self) -> list[str]:
        """Return the name of each shown image's class."""
        names = self.class_names()
        return [names[label] for label in self._sets["clean"].labels[self.indices]]

    def class_names(self) -> list[str]:
        """Return the name of every class."""
        names: list[str] = read_json(self._inputs["classes"])["classes"]
        return names

    @cached_property
    def chance(self) -> float:
        """The accuracy of guessing: one over the number of classes."""
        return 1 / len(read_json(self._inputs["classes"])["classes"])

    # What was measured of each image

    def maps(self, method: str, testset: str) -> MapSet:
        """Return the saliency maps of the shown images, of every model's first seed."""
        first = {model: paths[0] for model, paths in _by_model(self._inputs["saliency_arrays"]).items()}
        return read_maps(first, method, testset, len(self.indices))

    def arrays(self, instrument: str) -> dict[str, dict[str, NDArray[Any]]]:
        """Return what an instrument left to look at of every model's first seed, by model and name."""
        found = {}
        for model, paths in _by_model(self._inputs[f"{instrument}_arrays"]).items():
            with np.load(verified(paths[0]), allow_pickle=False) as file:
                found[model] = {name: file[name] for name in file.files}
        return found

    def probabilities(self, models: Sequence[ModelInfo]) -> dict[str, NDArray[np.float64]]:
        """Return the probability that each model gives to the shown images' labels, as ``label_probabilities``."""
        paths = _by_model(self._inputs["predictions_rows"])
        return label_probabilities({m.name: paths[m.name] for m in models}, self.testsets, self.indices.tolist())


def _by_model(paths: Sequence[str | Path]) -> dict[str, list[str | Path]]:
    """Group files of the form …/{model}/seed{n}.… by model, seeds in their order."""
    found: dict[str, list[str | Path]] = defaultdict(list)
    for path in paths:
        found[run_of(path)[0]].append(path)
    return dict(found)


def label_probabilities(
    paths: Mapping[str, Sequence[str | Path]], testsets: Sequence[str], images: Sequence[int]
) -> dict[str, NDArray[np.float64]]:
    """Read the probability of the label from per-image predictions, the mean over a model's seeds.

    Args:
        paths: model name → prediction files (Parquet), one per seed.
        testsets: test sets, in the order of the panels.
        images: indices of test images.

    Returns arrays (images, test sets), NaN where a file has no such row.
    """
    import pandas as pd

    result = {}
    for model, files in paths.items():
        tables = []
        for path in files:
            frame = pd.read_parquet(verified(path), columns=["testset", "image", "probability"])
            frame = frame[frame["testset"].isin(testsets) & frame["image"].isin(images)]
            known = frame.astype({"testset": str}).set_index(["image", "testset"])["probability"]
            wanted = pd.MultiIndex.from_product([list(images), list(testsets)])
            tables.append(known.reindex(wanted).to_numpy(dtype=np.float64).reshape(len(images), len(testsets)))
        result[model] = np.mean(tables, axis=0)
    return result
