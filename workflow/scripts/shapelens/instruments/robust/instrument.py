"""What a model answers under attack."""

from shapelens.instruments.declare import Figure, Instrument, Table
from shapelens.instruments.robust.spec import Robustness

TABLES = (
    Table(
        id="table1",
        title="Accuracy and robust accuracy (%)",
        columns=(("accuracy", "clean", "Accuracy"), ("robust_accuracy", "clean", "Robust accuracy")),
        published=(1,),
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
