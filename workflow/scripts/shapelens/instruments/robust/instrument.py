"""What a model answers under attack."""

from shapelens.instruments.declare import Figure, Instrument, Table
from shapelens.instruments.robust.spec import Robustness

TABLES = (
    Table(
        id="table1",
        title="Accuracy and robust accuracy (%)",
        columns=(("accuracy", "clean", "Accuracy"), ("robust_accuracy", "clean", "Robust accuracy")),
        published=(1,),
        caption=(
            "Accuracy on unchanged test images of {dataset} and under attack ({attack}, {norm}, ε = {eps}), in per "
            "cent.\n"
            "In Table 1 of the paper clean accuracy falls as ε grows and robustness mostly rises."
        ),
    ),
)

FIGURES = (
    Figure(
        id="robustness",
        title="Clean and robust accuracy",
        shows="clean and robust accuracy",
        category="Accuracy",
        draw="dots:robustness",
        needs=("accuracy",),
        testsets=("clean",),
        caption=(
            "Accuracy on unchanged test images of {dataset} and under attack ({attack}, {norm}, ε = {eps}); n = {n} "
            "test images, {seeds_words}, with {confidence} % intervals.\n"
            "Diamonds are the published values, where there are any.\n"
            "In Table 1 of the paper clean accuracy falls as ε grows and robustness mostly rises; the standard and "
            "the underfit model have next to none."
        ),
    ),
)

INSTRUMENT = Instrument(
    name="robust",
    title="Robust accuracy",
    doing="Attacking",
    spec=Robustness,
    testsets="clean",
    section="robustness",
    tables=TABLES,
    figures=FIGURES,
)
