"""Every figure that can be asked for by name: those of the test sets here, the others in their instruments' rooms."""

from shapelens.instruments.declare import Figure
from shapelens.instruments.registry import INSTRUMENTS

PICTURES = (
    Figure(
        id="figure1",
        title="Images, stylised, saturated and shuffled",
        shows="test sets",
        category="Images",
        draw="pictures:figure1",
        needs=("images",),
        testsets=("clean", "stylised", "saturation-8", "saturation-1024", "patch-shuffle-2", "patch-shuffle-4"),
        caption=(
            "Test images of {dataset} (drawn with data seed {data_seed}) and what the transformations make of them; "
            "each row is one image.\n"
            "Stylising, where the study has it, replaces texture and keeps shapes. Saturation pushes values towards "
            "black and white: it wipes fine texture and keeps contours. Shuffling patches does the opposite.\n"
            "A model that reads shape should bear the first two and suffer from the last. Figure 1 of the paper "
            "shows the same for Caltech-256."
        ),
    ),
    Figure(
        id="figure3",
        title="Stylised images",
        shows="stylised images",
        category="Images",
        draw="pictures:figure3",
        needs=("images", "styles"),
        testsets=("clean", "stylised"),
        caption=(
            "Test images of {dataset}, the style that was drawn for each with data seed {data_seed}, and the image "
            "with that style's statistics (AdaIN, Huang and Belongie 2017).\n"
            "Stylising replaces texture and colour and keeps the arrangement of shapes, so a model that reads "
            "texture should fail on it. Figure 3 of the paper shows the same for Caltech-256, with paintings as "
            "styles."
        ),
    ),
    Figure(
        id="figure4",
        title="Images at every saturation level",
        shows="saturation levels",
        category="Images",
        draw="pictures:figure4",
        needs=("images",),
        testsets=("clean", "saturation-*"),
        caption=(
            "Test images of {dataset} (drawn with data seed {data_seed}) at every saturation level. Level 2 is the "
            "original.\n"
            "Below it, values move towards mid-grey and the image fades; above it, towards black and white, until "
            "only a binary image is left.\n"
            "Figure 4 of the paper shows one photograph at the same levels."
        ),
    ),
)

FIGURES: tuple[Figure, ...] = (*PICTURES, *(figure for one in INSTRUMENTS.values() for figure in one.figures))
"""Every entry, in the order of the report."""
