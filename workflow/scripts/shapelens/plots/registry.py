"""Every figure that can be asked for by name: those of the test sets here, the others in their instruments' rooms."""

from collections.abc import Iterable

from shapelens.instruments.declare import Figure
from shapelens.instruments.registry import INSTRUMENTS
from shapelens.names.words import METHODS, name_of_testset

SHEET_WIDTH = 1200
"""Largest width of a sheet in pixels: wider images are cut in the report."""

PICTURES = (
    Figure(
        id="figure1",
        title="Images, stylised, saturated and shuffled",
        shows="test sets",
        category="Images",
        draw="pictures:figure1",
        needs=("images",),
        testsets=("clean", "stylised", "saturation-8", "saturation-1024", "patch-shuffle-2", "patch-shuffle-4"),
    ),
    Figure(
        id="figure3",
        title="Stylised images",
        shows="stylised images",
        category="Images",
        draw="pictures:figure3",
        needs=("images", "styles"),
        testsets=("clean", "stylised"),
    ),
    Figure(
        id="figure4",
        title="Images at every saturation level",
        shows="saturation levels",
        category="Images",
        draw="pictures:figure4",
        needs=("images",),
        testsets=("clean", "saturation-*"),
    ),
)

FIGURES: dict[str, Figure] = {
    figure.id: figure for figure in (*PICTURES, *(figure for one in INSTRUMENTS.values() for figure in one.figures))
}
"""Every figure by id; saliency sheets are made by ``sheets``."""


def sheets(methods: Iterable[str], testsets: Iterable[str]) -> dict[str, Figure]:
    """Return one entry per saliency sheet, with the id ``saliency-{method}-{testset}``."""
    names = list(testsets)
    return {
        f"saliency-{method}-{testset}": Figure(
            id=f"saliency-{method}-{testset}",
            title=f"{METHODS.get(method, method)} maps on {name_of_testset(testset)}",
            shows=f"{method} on {testset}",
            category="Saliency",
            draw="saliency:saliency_sheet",
            needs=("images", "saliency"),
            testsets=(testset,),
            sheet=True,
            method=method,
        )
        for method in methods
        for testset in names
    }
