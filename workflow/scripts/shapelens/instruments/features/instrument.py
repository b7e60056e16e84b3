"""What single units of a model look for: images that excite them, made and found."""

from shapelens.instruments.declare import Figure, Instrument, Table
from shapelens.instruments.features.spec import Features

METRICS = {
    "purity": "Purity",
    "chance_purity": "Purity of chance",
    "judge_names_class": "Class named by the judge",
    "gain": "Gain",
    "activation": "Activation made",
    "natural_activation": "Largest natural one",
    "firing": "Images that it fires on",
}

TABLES = (
    Table(
        id="features",
        title="What single units look for",
        columns=tuple((metric, "", heading) for metric, heading in METRICS.items()),
        needs="features",
        percent=False,
        caption=(
            "Units of each model's representation, the most active ones on test images of {dataset} or those that the "
            "config names. Purity is the share of the commonest class among the test images that excite a unit most, "
            "beside that of images drawn at random; undefined for a unit that fires on fewer images than are asked. "
            "Gain is a unit's value on the image that is made for it over its largest on test images. For each unit, "
            "whether the study's judge names that commonest class in the image made.\n"
            "n counts units. Boychev (2022) shows one unit of each model."
        ),
    ),
)

FIGURES = (
    Figure(
        id="features",
        title="What excites single units",
        shows="what excites units",
        category="Optimised images",
        draw="features:pictures",
        needs=("features.arrays",),
        testsets=("clean",),
        animated=True,
        caption=(
            "For a few units of each model's representation: the image that is made to excite the unit most, and the "
            "test images of {dataset} that excite it most and least, training seed {first_seed}. Beneath a unit's "
            "number the share of one class among the images that excite it most. Of a unit that is silent on many "
            "images, the least exciting ones are any of these. The GIF of the same name shows how images are made.\n"
            "In Figures 5, 9, 12 and 15 of Boychev (2022) the robust model's image has traits of the class that its "
            "exciting images share, and the standard model's is noise."
        ),
    ),
    Figure(
        id="feature_purity",
        title="How pure the classes are that excite a unit",
        shows="purity of units",
        category="Optimised images",
        draw="dots:by_model",
        needs=("features",),
        testsets=("clean",),
        options={
            "metric": "purity",
            "title": "Purity of units",
            "axis": "share of one class among the images that excite a unit most",
            "counted": "units",
            "percent": True,
        },
        caption=(
            "Share of the commonest class among the test images of {dataset} that excite a unit most, the mean over "
            "units, {seeds_words}, with {confidence} % intervals. The table has the share of images drawn at random."
        ),
    ),
)

INSTRUMENT = Instrument(
    name="features",
    title="Feature visualisation",
    doing="Visualising",
    spec=Features,
    metrics=METRICS,
    shares=("purity", "chance_purity", "judge_names_class", "firing"),
    testsets="clean",
    has_arrays=True,
    judged=True,
    tables=TABLES,
    figures=FIGURES,
)
