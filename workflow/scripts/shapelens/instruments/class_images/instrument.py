"""What a model takes for a class: images made from draws of each class's coarse distribution."""

from shapelens.instruments.class_images.spec import ClassImages
from shapelens.instruments.declare import Figure, Instrument, Table

METRICS = {
    "judge_names_class": "Class named by the judge",
    "start_judge_names_class": "of draws",
    "real_judge_names_class": "of real images",
    "names_class": "Class named by the model",
    "start_names_class": "of draws",
    "change": "Change",
}

TABLES = (
    Table(
        id="class_images",
        title="Images made for a class",
        columns=tuple((metric, "", heading) for metric, heading in METRICS.items()),
        needs="class_images",
        percent=False,
        caption=(
            "Images in which each model's logit of a class is raised, from draws of a Gaussian fitted to the class's "
            "coarse training images; {dataset}. How often the study's judge, a network that takes no other part, and "
            "the model itself name the class; the same of the draws, before anything was changed, and the judge's of "
            "real test images. Change is the ℓ2 length of what was changed. n counts images made.\n"
            "Where the judge names a class no more often than of the draws, nothing of it was added that another "
            "network sees."
        ),
    ),
)

FIGURES = (
    Figure(
        id="class_images",
        title="Images made for a class",
        shows="images made for classes",
        category="Optimised images",
        draw="class_images:pictures",
        needs=("class_images.arrays", "classes"),
        testsets=("clean",),
        animated=True,
        caption=(
            "One image of each class: the draw that it begins with, and what each model makes of it so that its logit "
            "of the class rises; {dataset}, training seed {first_seed}. The GIF of the same name shows the making.\n"
            "In Figures 3, 7, 14 and 19 of Boychev (2022) the robust model makes almost complete objects, and the "
            "standard model noise."
        ),
    ),
    Figure(
        id="class_images_judge",
        title="How often a judge names the class of an image made for it",
        shows="images made, as a judge sees them",
        category="Optimised images",
        draw="dots:by_model",
        needs=("class_images",),
        testsets=("clean",),
        families=("judge",),
        options={
            "metric": "judge_names_class",
            "title": "Class images, as a judge sees them",
            "axis": "images whose class the judge names",
            "counted": "images made",
            "percent": True,
        },
        caption=(
            "How often the study's judge, a network that takes no other part, names the class that an image was made "
            "for; {dataset}, {seeds_words}, with {confidence} % intervals. The table has the share of the draws that "
            "the images begin with, and that of real test images."
        ),
    ),
)

INSTRUMENT = Instrument(
    name="class_images",
    title="Class-specific images",
    doing="Making class images of",
    spec=ClassImages,
    metrics=METRICS,
    shares=tuple(metric for metric in METRICS if metric != "change"),
    testsets="clean",
    has_arrays=True,
    judged=True,
    tables=TABLES,
    figures=FIGURES,
)
