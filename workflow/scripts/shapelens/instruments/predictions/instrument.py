"""What a model answers to every test image: accuracy on each set, and which cue it goes by."""

from shapelens.instruments.declare import Figure, Instrument, Table
from shapelens.instruments.predictions.spec import Predictions
from shapelens.names.models import FAMILIES

TABLES = (
    Table(
        id="table2",
        title="Accuracy on stylised images (%)",
        columns=(
            ("accuracy", "clean", "Accuracy, original"),
            ("accuracy", "stylised", "Accuracy, stylised"),
            ("accuracy_on_correct", "stylised", "On correctly classified, stylised"),
        ),
        published=(2,),
    ),
    Table(
        id="table3",
        title="Accuracy on correctly classified images, Fourier-filtered (%)",
        columns=(
            ("accuracy_on_correct", "low-pass", "Low pass"),
            ("accuracy_on_correct", "high-pass", "High pass"),
            ("accuracy_on_correct", "random-filter", "Random filter"),
        ),
        published=(3,),
    ),
    Table(
        id="saturation",
        title="Accuracy on correctly classified images by saturation level (%)",
        columns=(("accuracy_on_correct", "saturation-*", ""),),
        published=(4, 5, 6),
    ),
    Table(
        id="patch_shuffle",
        title="Accuracy on correctly classified images by patches per side (%)",
        columns=(("accuracy_on_correct", "patch-shuffle-*", "k = "),),
        published=(7, 8),
    ),
    Table(
        id="shape_bias",
        title="Shape bias, and accuracy on the cue sets (%)",
        columns=(
            ("shape_bias", "conflict*", "Shape bias, drawn"),
            ("shape_bias", "cue-conflict", "Shape bias, stylised"),
            ("shape_bias_difference", "conflict*", "stylised − drawn"),
            ("accuracy", "shape-only*", "Accuracy, shape only"),
            ("accuracy", "texture-only*", "Accuracy, texture only"),
        ),
    ),
    Table(
        id="agreement",
        title="Agreement of the order of models with the published order (Kendall's τ-b)",
        columns=(),
        needs="agreement",
        published=(1, 2, 3, 4, 5, 6, 7, 8),
        percent=False,
    ),
)

FIGURES = (
    Figure(
        id="figure5",
        title="Accuracy against saturation",
        shows="saturation",
        category="Accuracy",
        draw="curves:figure5",
        needs=("accuracy",),
        testsets=("saturation-*",),
    ),
    Figure(
        id="figure6",
        title="Shuffled images and the label's probability",
        shows="shuffled images and probabilities",
        category="Accuracy",
        draw="pictures:figure6",
        needs=("images", "predictions"),
        testsets=("clean", "patch-shuffle-*"),
    ),
    Figure(
        id="figure7",
        title="Accuracy against patch shuffling",
        shows="patch shuffle",
        category="Accuracy",
        draw="curves:figure7",
        needs=("accuracy",),
        testsets=("patch-shuffle-*",),
    ),
    Figure(
        id="fourier",
        title="Accuracy on Fourier-filtered images",
        shows="Fourier filters",
        category="Accuracy",
        draw="dots:fourier",
        needs=("accuracy",),
        testsets=("low-pass", "high-pass", "random-filter"),
    ),
    Figure(
        id="shape_bias",
        title="Shape bias where cues conflict",
        shows="cue conflict",
        category="Accuracy",
        draw="dots:shape_bias",
        needs=("accuracy",),
        testsets=("conflict*", "cue-conflict"),
    ),
    Figure(
        id="cue_conflict",
        title="Shape bias by class where cues conflict",
        shows="shape bias by class",
        category="Accuracy",
        draw="by_class:cue_conflict",
        needs=("accuracy", "per_class"),
        testsets=("conflict", "cue-conflict"),
    ),
)

INSTRUMENT = Instrument(
    name="predictions",
    title="Predictions",
    doing="Measuring",
    spec=Predictions,
    testsets="all",
    families=tuple(FAMILIES),
    always=True,
    tables=TABLES,
    figures=FIGURES,
)
