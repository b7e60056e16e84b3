"""What a model's representation keeps of an image: other images driven to have the same one."""

from shapelens.instruments.declare import Figure, Instrument, Table
from shapelens.instruments.inversion.spec import Inversion

METRICS = {
    "pixel_distance": "Distance in pixels",
    "start_pixel_distance": "the start's",
    "judge_distance": "Distance to the judge",
    "start_judge_distance": "the start's to the judge",
    "judge_names_class": "Class named by the judge",
    "representation_error": "Error of the representation",
}

TABLES = (
    Table(
        id="inversion",
        title="How close inverted images come to their targets",
        columns=tuple((metric, "", heading) for metric, heading in METRICS.items()),
        needs="inversion",
        percent=False,
        caption=(
            "Test images of {dataset} are targets; other images and noise are changed until a model's representation "
            "of them is the target's (an error of 0 would be exact, 1 as long as the representation). Distances "
            "are ℓ2, in pixels and in the representation of the study's judge, a network that takes no other part; "
            "beside each stands that of the start, before anything was changed. Source all is the mean over a target's "
            "starts.\n"
            "Boychev (2022), Tables 3 and 6, has one target and distances in features of Inception; there the robust "
            "model's are about two thirds of the standard model's. An accuracy-matched underfit model shows how much "
            "of that is robustness."
        ),
    ),
)

FIGURES = (
    Figure(
        id="inversion",
        title="Inverted representations",
        shows="inverted representations",
        category="Optimised images",
        draw="inversion:pictures",
        needs=("inversion.arrays",),
        testsets=("clean",),
        caption=(
            "Each row begins at the start and ends, for each model, at an image to which that model gives the target's "
            "representation; the number beneath is its ℓ2 distance to the target in pixels. Images of {dataset}, "
            "training seed {first_seed}.\n"
            "In Figures 4, 8, 11 and 18 of Boychev (2022) the robust model's images look like their targets and the "
            "standard model's like their starts with noise."
        ),
    ),
    Figure(
        id="inversion_way",
        title="The way to an inverted representation",
        shows="the way to an inversion",
        category="Optimised images",
        draw="inversion:way",
        needs=("inversion.arrays",),
        testsets=("clean",),
        animated=True,
        caption=(
            "From a start towards a target, model by model, after the number of steps above each column; of each step "
            "what would be returned until then. Images of {dataset}, training seed {first_seed}; the GIF of the same "
            "name beside this file shows several targets at once."
        ),
    ),
    Figure(
        id="inversion_distance",
        title="Distance of inverted images to their targets",
        shows="distance of inversions",
        category="Optimised images",
        draw="dots:by_model",
        needs=("inversion",),
        testsets=("clean",),
        options={
            "metric": "pixel_distance",
            "title": "Distance of inversions to their targets",
            "axis": "ℓ2 in pixels, mean over a target's starts",
            "counted": "targets",
            "where": {"source": "all"},
        },
        caption=(
            "ℓ2 distance between an image with the target's representation and the target, the mean over the target's "
            "starts; test images of {dataset}, {seeds_words}, with {confidence} % intervals.\n"
            "Two images of one class may differ in every pixel, such as in the colours of object and ground; what is "
            "alike in them the judge says. The table has the distances before optimisation."
        ),
    ),
    Figure(
        id="inversion_judge",
        title="What a judge sees in inverted images",
        shows="inversions as a judge sees them",
        category="Optimised images",
        draw="dots:by_model",
        needs=("inversion",),
        testsets=("clean",),
        families=("judge",),
        options={
            "metric": "judge_distance",
            "title": "Inversions, as a judge sees them",
            "axis": "ℓ2 distance to the target in the judge's representation, mean over starts",
            "counted": "targets",
            "where": {"source": "all"},
        },
        caption=(
            "ℓ2 distance between the judge's representations of an inverted image and of its target, the mean over the "
            "target's starts; test images of {dataset}, {seeds_words}, with {confidence} % intervals. The judge is a "
            "network of the study that takes no other part.\n"
            "Tables 3 and 6 of Boychev (2022) have the same in features of Inception, for one target."
        ),
    ),
)

INSTRUMENT = Instrument(
    name="inversion",
    title="Representation inversion",
    doing="Inverting",
    spec=Inversion,
    keys=("source",),
    metrics=METRICS,
    shares=("judge_names_class",),
    testsets="clean",
    has_arrays=True,
    judged=True,
    tables=TABLES,
    figures=FIGURES,
)
