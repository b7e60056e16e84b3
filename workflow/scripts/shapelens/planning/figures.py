"""What the one rule of all figures asks: inputs, code, and how the report lists a figure."""

from collections.abc import Callable
from typing import Any

from snakemake.io import ancient

from shapelens.instruments.declare import Figure
from shapelens.planning.files import Files
from shapelens.planning.names import shown_testsets
from shapelens.planning.studies import Studies

INPUTS: dict[str, dict[str, str]] = {
    "accuracy": {"accuracy": "tables/accuracy.csv"},
    "per_class": {"per_class": "tables/shape_bias_per_class.csv"},
    "known_answer": {"known_answer": "tables/predicted_shape_bias.csv"},
    "classes": {"classes": "data/manifest.json"},
    "styles": {
        "styles": "testsets/stylised/styles.npy",
        "style_images": "styles/images.npy",
        "style_record": "styles/manifest.json",
    },
}
"""Inputs by name of what a figure needs besides images and instruments, below a study's results."""
NEEDS = ("images", *INPUTS)
"""What a figure may need besides instruments."""
MEASURED = {"rows": "parquet", "arrays": "npz"}
"""Files of each model that a figure may need of an instrument, with their suffix."""


class Figures:
    """Functions of wildcards for the rule ``figure``; ``code`` digests an adapter and modules beside it."""

    def __init__(self, studies: Studies, files: Files, code: Callable[..., str]) -> None:
        self._studies = studies
        self._files = files
        self._code = code

    def inputs(self, wildcards: Any) -> dict[str, Any]:
        """Return the inputs of a figure by name; the clock counts for small files only."""
        found: dict[str, Any] = {}
        for need in self._studies.figure(wildcards).needs:
            if need == "images":
                found |= self._images(wildcards)
            elif need in INPUTS:
                folder = f"results/{wildcards.dataset}"
                found |= {
                    key: ancient(f"{folder}/{path}") if path.endswith(".npy") else f"{folder}/{path}"
                    for key, path in INPUTS[need].items()
                }
            else:
                found |= self._instrument(wildcards, *need.split("."))
        return found

    def _images(self, wildcards: Any) -> dict[str, Any]:
        """Return the test sets that a figure shows, and the clean one, by whose classes images are chosen."""
        study = self._studies.of(wildcards)
        names = list(dict.fromkeys(("clean", *shown_testsets(study, self._studies.figure(wildcards)))))
        arrays = self._files.testset_arrays(lambda _: names)(wildcards)
        manifests = self._files.testset_manifests(lambda _: names)(wildcards)
        return {"arrays": [ancient(path) for path in arrays], "manifests": manifests}

    def _instrument(self, wildcards: Any, name: str, what: str = "means") -> dict[str, Any]:
        """Return an instrument's tidy means, or its rows or arrays of every model with their records."""
        if what == "means":
            return {f"{name}_means": f"results/{wildcards.dataset}/{name}/means.csv"}
        return {
            f"{name}_{what}": [ancient(path) for path in self._files.measured(name, MEASURED[what])(wildcards)],
            f"{name}_{what}_records": self._files.measured(name, "json")(wildcards),
        }

    def code(self, script: str = "figure.py") -> Callable[[Any], str]:
        """Return a function of wildcards: the digest of a figure's own drawing module, and of no other.

        ``script``: the adapter that draws it.

        The digests are made here and not job by job, while what is parsed is still remembered for the next run.
        """
        modules = {_module(entry) for figures in self._studies.figures.values() for entry in figures.values()}
        digests = {module: self._code(script, f"shapelens.plots.{module}") for module in modules}
        return lambda wildcards: digests[_module(self._studies.figure(wildcards))]

    def labels(self, wildcards: Any) -> dict[str, str]:
        """Return what the report's list says of a figure."""
        entry = self._studies.figure(wildcards)
        return {"dataset": wildcards.dataset, "figure": entry.id, "shows": entry.shows}

    def category(self, wildcards: Any) -> str:
        """Return the section of the report."""
        return self._studies.figure(wildcards).category


def _module(entry: Figure) -> str:
    return entry.draw.partition(":")[0]
