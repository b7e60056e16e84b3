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
        caption=(
            "Measures of the saliency maps of {images} images of {dataset}, each image first averaged over seeds.\n"
            "Gini is 0 for an even map and near 1 for a sparse one. Weight on edges is 1 for an even map and 10 if "
            "all of it lies on the strongest tenth of the clean image's edges. Total variation grows with noise. The "
            "distance to the clean map is 0 where transforming the image changes nothing and 1 where the two maps "
            "never overlap.\n"
            "The paper shows these properties in pictures only."
        ),
    ),
)

FIGURES = (
    Figure(
        id="figure2",
        title="SmoothGrad maps of three models",
        shows="SmoothGrad, three models",
        category="Saliency",
        draw="saliency:figure2",
        needs=("images", "saliency.arrays"),
        testsets=("clean", "saturation-1024", "stylised"),
        method="smoothgrad",
        caption=(
            "SmoothGrad maps of a few models on original and transformed images of {dataset}, training seed "
            "{first_seed}; dark marks are pixels to which the class score is sensitive. {method_note}\n"
            "Absolute values, each map clipped at its own 99th percentile, so that maps compare in structure and not "
            "in strength.\n"
            "In Figure 2 of the paper the adversarially trained model's maps follow contours, also on saturated "
            "images, where those of the standard model are noise."
        ),
    ),
    Figure(
        id="figure8",
        title="SmoothGrad maps of standard, PGD and spatial training",
        shows="standard, PGD and spatial",
        category="Saliency",
        draw="saliency:figure8",
        needs=("images", "saliency.arrays"),
        testsets=("clean", "saturation-1024"),
        method="smoothgrad",
        families=("spatial",),
        caption=(
            "SmoothGrad maps of the standard model, the strongest PGD-ℓ∞ model and the spatially trained one on "
            "images of {dataset}, training seed {first_seed}; dark marks are pixels to which the class score is "
            "sensitive. {method_note}\n"
            "Absolute values, each map clipped at its own 99th percentile, so that maps compare in structure and not "
            "in strength.\n"
            "In Figure 8 of the paper the spatially trained model's maps resemble the standard model's: it is "
            "training against changes of pixel values that moves maps to contours. Claims 9a and 9b ask for both in "
            "numbers."
        ),
    ),
    Figure(
        id="figure9",
        title="SmoothGrad maps of all models",
        shows="SmoothGrad, all models",
        category="Saliency",
        draw="saliency:sheet",
        needs=("images", "saliency.arrays"),
        testsets=("clean",),
        sheet=True,
        method="smoothgrad",
        caption=(
            "SmoothGrad maps of all models on original images of {dataset}, training seed {first_seed}; images down "
            "and models across. {method_note}\n"
            "Absolute values, each map clipped at its own 99th percentile; dark marks are pixels to which the class "
            "score is sensitive.\n"
            "In Figure 9 of the paper the maps of adversarially trained models are sparser and keep closer to "
            "contours."
        ),
    ),
    Figure(
        id="figure10",
        title="Grad maps of all models",
        shows="Grad, all models",
        category="Saliency",
        draw="saliency:sheet",
        needs=("images", "saliency.arrays"),
        testsets=("clean",),
        sheet=True,
        method="grad",
        caption=(
            "Grad maps, the plain gradient of the class score, of all models on original images of {dataset}, "
            "training seed {first_seed}; images down and models across.\n"
            "Absolute values, each map clipped at its own 99th percentile.\n"
            "In Figure 10 of the paper they are noisier than SmoothGrad's, most of all for the standard and the "
            "underfit model."
        ),
    ),
    Figure(
        id="saliency-{method}-{testset}",
        title="{method_title} maps on {testset_title}",
        shows="{method} on {testset}",
        category="Saliency",
        draw="saliency:sheet",
        needs=("images", "saliency.arrays"),
        testsets=(),
        sheet=True,
        each_map=True,
        caption=(
            "{method} maps of all models on {testset} images of {dataset}, training seed {first_seed}; images down "
            "and models across, the image itself first. {method_note}\n"
            "Each map has its own scale, so that maps compare in structure and not in strength; the saliency table "
            "has the measures."
        ),
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
    finds_silhouettes=True,
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
