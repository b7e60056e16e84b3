"""What a model is sensitive to: saliency maps, and what is measured on them."""

from shapelens.instruments.declare import Figure, Instrument, Table
from shapelens.instruments.saliency.spec import Saliency

TABLES = (
    Table(
        id="saliency",
        title="Measures of the saliency maps",
        columns=(
            ("gini", "", "Gini sparseness"),
            ("edge_share", "", "Weight on edges"),
            ("total_variation", "", "Total variation"),
            ("distance_to_clean", "", "Distance to clean"),
            ("completeness_gap", "", "Completeness gap"),
        ),
        needs="saliency",
        percent=False,
    ),
)

FIGURES = (
    Figure(
        id="figure2",
        title="SmoothGrad maps of three models",
        shows="SmoothGrad, three models",
        category="Saliency",
        draw="saliency:figure2",
        needs=("images", "saliency"),
        testsets=("clean", "saturation-1024", "stylised"),
        method="smoothgrad",
    ),
    Figure(
        id="figure8",
        title="SmoothGrad maps of standard, PGD and spatial training",
        shows="standard, PGD and spatial",
        category="Saliency",
        draw="saliency:figure8",
        needs=("images", "saliency"),
        testsets=("clean", "saturation-1024"),
        method="smoothgrad",
        families=("spatial",),
    ),
    Figure(
        id="figure9",
        title="SmoothGrad maps of all models",
        shows="SmoothGrad, all models",
        category="Saliency",
        draw="saliency:figure9",
        needs=("images", "saliency"),
        testsets=("clean",),
        sheet=True,
        method="smoothgrad",
    ),
    Figure(
        id="figure10",
        title="Grad maps of all models",
        shows="Grad, all models",
        category="Saliency",
        draw="saliency:figure10",
        needs=("images", "saliency"),
        testsets=("clean",),
        sheet=True,
        method="grad",
    ),
)

INSTRUMENT = Instrument(
    name="saliency",
    title="Saliency maps",
    doing="Mapping",
    spec=Saliency,
    keys=("method",),
    metrics={
        "gini": "Gini sparseness",
        "edge_share": "Weight on edges",
        "total_variation": "Total variation",
        "distance_to_clean": "Distance to clean",
        "completeness_gap": "Completeness gap",
    },
    section="saliency",
    has_arrays=True,
    tables=TABLES,
    figures=FIGURES,
    claims={
        "8a": "Robust models have sparser saliency maps",
        "8b": "Robust models' saliency maps lie on contours",
        "8c": "Grad maps are noisier than SmoothGrad's, most of all those of models that are not robust",
        "9b": "The spatially trained model's maps move with the images like the standard model's",
    },
)
