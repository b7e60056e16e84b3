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
            ("gap_error", "", "Its standard error"),
            ("standard_error", "", "Standard error"),
        ),
        needs="saliency",
        percent=False,
        caption=(
            "Measures of the saliency maps of {images} images of {dataset}, each image first averaged over seeds.\n"
            "Gini is 0 for an even map and near 1 for a sparse one. Weight on edges is 1 for an even map and 10 if "
            "all of it lies on the strongest tenth of the clean image's edges. Total variation grows with noise. The "
            "distance to the clean map is 0 where transforming the image changes nothing and 1 where the two maps "
            "never overlap.\n"
            "Integrated and expected gradients sum to the score of the image less that of what it is compared with; "
            "the completeness gap is by how much a map fails to, in units of its score. Of expected gradients that is "
            "chance, and its standard error says how much of it is to be expected; the last column is the standard "
            "error of the whole map, as a share of its length.\n"
            "The paper shows these properties in pictures only."
        ),
    ),
    Table(
        id="on_object",
        title="How much of the saliency maps lies on the object",
        columns=(
            ("object_share", "", "Share on the object"),
            ("object_area", "", "Area of the object"),
            ("contour_share", "", "Share on its contour"),
            ("contour_area", "", "Area of the contour"),
            ("pointing", "", "Pointing game"),
        ),
        needs="saliency",
        percent=False,
        caption=(
            "How much of the saliency maps of {images} drawn images of {dataset} lies on the silhouette, how much on "
            "its contour, and how often the largest value lies on the silhouette (the pointing game), each image first "
            "averaged over seeds.\n"
            "A map that is the same everywhere has the area as its share, and wins the pointing game as often. "
            "Shuffled images have no silhouette left. A map of zeros has no share."
        ),
    ),
    Table(
        id="saliency_seeds",
        title="How far the saliency maps of training seeds agree",
        columns=(("seed_distance", "", "Distance"), ("seed_correlation", "", "Rank correlation")),
        needs="seed_agreement",
        percent=False,
        caption=(
            "How alike the saliency maps of one model are between training seeds, {images} images of {dataset}, each "
            "first averaged over all pairs of seeds.\n"
            "The distance is 0 where two maps are equal and 1 where they never overlap. The rank correlation is "
            "Spearman's over the pixels of the magnitudes."
        ),
    ),
)

FIGURES = (
    Figure(
        id="on_object",
        title="Where attributions lie",
        shows="share on object and contour",
        category="Saliency",
        draw="on_object:on_object",
        needs=("saliency",),
        testsets=("clean",),
        drawn=True,
        caption=(
            "Share of each model's attributions that lies on the silhouette and on its contour, and how often the "
            "largest value lies on the silhouette (the pointing game), {images} images of {dataset}, {seeds_words}; "
            "bars are {confidence} % intervals over images. Dashed: what a map that is the same everywhere would "
            "have.\n"
            "Magnitudes are summed over channels. A map that lies on the object need not be one that the model decides "
            "by: on these images the texture, which names the class too, covers the object and its "
            "surroundings alike."
        ),
    ),
    Figure(
        id="attributions",
        title="Integrated and expected gradients of three models",
        shows="Integrated and expected gradients, three models",
        category="Saliency",
        draw="overlays:overlays",
        needs=("images", "saliency.arrays"),
        testsets=("clean",),
        method="expected-gradients",
        options={"methods": ("integrated-gradients", "expected-gradients"), "images": 3, "exemplars": True},
        caption=(
            "Integrated Gradients (magnitudes) and expected gradients, SHAP's values (red raises the score, blue "
            "lowers it), laid over three images of {dataset}; training seed {first_seed}. All models explain "
            "{target}.\n"
            "Each map is clipped at its own 99.9th percentile, so that maps compare in structure and not in strength. "
            "The number beneath is its completeness gap: by how much the map fails to sum to the score that it "
            "explains, with the standard error of that where it is left to chance. {method_note}\n"
            "Boychev (2022, Figures 2 and 6) shows the same for a standard and a robust model on CIFAR-10 and Small "
            "ImageNet, each explaining the class that it names itself."
        ),
    ),
    *(
        Figure(
            id=f"attributions-{method}",
            title=f"{title} of all models",
            shows=f"{title}, all models",
            category="Saliency",
            draw="overlays:overlays",
            needs=("images", "saliency.arrays"),
            testsets=("clean",),
            sheet=True,
            method=method,
            options={"methods": (method,)},
            caption=(
                f"{title} of all models, {drawn}, laid over images of {{dataset}}; training seed {{first_seed}}. All "
                "models explain {target}. {method_note}\n"
                "Each map is clipped at its own 99.9th percentile, so that maps compare in structure and not in "
                "strength. The number beneath is its completeness gap: by how much the map fails to sum to the score "
                "that it explains, with the standard error of that where it is left to chance.\n"
                f"Boychev (2022, Figures {figures}) shows 24 images each of a standard and a robust model."
            ),
        )
        for method, title, drawn, figures in (
            ("integrated-gradients", "Integrated Gradients", "magnitudes", "10 and 16"),
            (
                "expected-gradients",
                "Expected gradients",
                "as SHAP draws them: red raises the score, blue lowers it",
                "13 and 17",
            ),
        )
    ),
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
        "gap_error": "Standard error of the gap",
        "standard_error": "Standard error",
        "object_share": "Share on the object",
        "contour_share": "Share on its contour",
        "pointing": "Pointing game",
        "object_area": "Area of the object",
        "contour_area": "Area of its contour",
    },
    shares=("object_share", "contour_share", "pointing", "object_area", "contour_area"),
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
