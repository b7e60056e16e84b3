"""The figures that can be asked for by name, and what each is made of (no heavy import)."""

from collections.abc import Iterable
from dataclasses import dataclass

from shapelens.names.words import METHODS, name_of_testset

SHEET_WIDTH = 1200
"""Largest width of a sheet in pixels: wider images are cut in the report."""


@dataclass(frozen=True)
class FigureEntry:
    """One figure.

    ``needs`` names its inputs: ``images`` (of test sets), ``styles`` (the style images), ``accuracy`` (accuracy.csv),
    ``per_class`` (shape_bias_per_class.csv), ``predictions``, ``maps``.
    ``testsets`` are names of test sets, or prefixes that end in ``*``; those that a study lacks are left out.
    ``function`` is the function in ``shapelens.plots`` that draws it, as ``module.function``.
    ``sheet``: the PNG is kept to ``SHEET_WIDTH`` pixels.
    ``method``: the attribution method whose maps it shows; a study without that method lacks the figure.
    ``families``: families of models that the grid must have.
    """

    id: str
    title: str
    needs: tuple[str, ...]
    testsets: tuple[str, ...]
    function: str
    sheet: bool = False
    method: str = ""
    families: tuple[str, ...] = ()


FIGURES: dict[str, FigureEntry] = {
    entry.id: entry
    for entry in (
        FigureEntry(
            "figure1",
            "Images, stylised, saturated and shuffled",
            ("images",),
            ("clean", "stylised", "saturation-8", "saturation-1024", "patch-shuffle-2", "patch-shuffle-4"),
            "pictures.figure1",
        ),
        FigureEntry(
            "figure2",
            "SmoothGrad maps of three models",
            ("images", "maps"),
            ("clean", "saturation-1024", "stylised"),
            "saliency.figure2",
            method="smoothgrad",
        ),
        FigureEntry("figure3", "Stylised images", ("images", "styles"), ("clean", "stylised"), "pictures.figure3"),
        FigureEntry(
            "figure4", "Images at every saturation level", ("images",), ("clean", "saturation-*"), "pictures.figure4"
        ),
        FigureEntry("figure5", "Accuracy against saturation", ("accuracy",), ("saturation-*",), "curves.figure5"),
        FigureEntry(
            "figure6",
            "Shuffled images and the label's probability",
            ("images", "predictions"),
            ("clean", "patch-shuffle-*"),
            "pictures.figure6",
        ),
        FigureEntry(
            "figure7", "Accuracy against patch shuffling", ("accuracy",), ("patch-shuffle-*",), "curves.figure7"
        ),
        FigureEntry(
            "figure8",
            "SmoothGrad maps of standard, PGD and spatial training",
            ("images", "maps"),
            ("clean", "saturation-1024"),
            "saliency.figure8",
            method="smoothgrad",
            families=("spatial",),
        ),
        FigureEntry(
            "figure9",
            "SmoothGrad maps of all models",
            ("images", "maps"),
            ("clean",),
            "saliency.figure9",
            sheet=True,
            method="smoothgrad",
        ),
        FigureEntry(
            "figure10",
            "Grad maps of all models",
            ("images", "maps"),
            ("clean",),
            "saliency.figure10",
            sheet=True,
            method="grad",
        ),
        FigureEntry("robustness", "Clean and robust accuracy", ("accuracy",), ("clean",), "dots.robustness"),
        FigureEntry(
            "fourier",
            "Accuracy on Fourier-filtered images",
            ("accuracy",),
            ("low-pass", "high-pass", "random-filter"),
            "dots.fourier",
        ),
        FigureEntry(
            "shape_bias",
            "Shape bias where cues conflict",
            ("accuracy",),
            ("conflict*", "cue-conflict"),
            "dots.shape_bias",
        ),
        FigureEntry(
            "cue_conflict",
            "Shape bias by class where cues conflict",
            ("accuracy", "per_class"),
            ("conflict", "cue-conflict"),
            "by_class.cue_conflict",
        ),
    )
}
"""Every figure by id; saliency sheets are made by ``sheets``."""


def sheets(methods: Iterable[str], testsets: Iterable[str]) -> dict[str, FigureEntry]:
    """Return one entry per saliency sheet, with the id ``saliency-{method}-{testset}``."""
    names = list(testsets)
    return {
        f"saliency-{method}-{testset}": FigureEntry(
            f"saliency-{method}-{testset}",
            f"{METHODS.get(method, method)} maps on {name_of_testset(testset)}",
            ("images", "maps"),
            (testset,),
            "saliency.saliency_sheet",
            sheet=True,
            method=method,
        )
        for method in methods
        for testset in names
    }
