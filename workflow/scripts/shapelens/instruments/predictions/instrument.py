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
        caption=(
            "Accuracy on original test images of {dataset} and on stylised ones, all of them and those that the "
            "model classifies correctly when original, in per cent.\n"
            "In Table 2 of the paper adversarially trained models keep more when stylised (Caltech-256: 19.8 to 22.5 "
            "against 16.8), but of images that they classify correctly to begin with, which are fewer; plain "
            "accuracy, which the paper does not print, has no such head start."
        ),
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
        caption=(
            "Accuracy on correctly classified test images of {dataset} after Fourier filtering, in per cent.\n"
            "Table 3 of the paper has three models on Caltech-256 only: under the low pass the adversarially trained "
            "one keeps 71.1, the standard one 15.8."
        ),
    ),
    Table(
        id="saturation",
        title="Accuracy on correctly classified images by saturation level (%)",
        columns=(("accuracy_on_correct", "saturation-*", ""),),
        published=(4, 5, 6),
        caption=(
            "Accuracy on correctly classified test images of {dataset} at each saturation level, in per cent. Level "
            "2, the original, would be 100.\n"
            "In Tables 4 to 6 of the paper the gap between standard and adversarially trained models opens from "
            "level 8 upwards."
        ),
    ),
    Table(
        id="patch_shuffle",
        title="Accuracy on correctly classified images by patches per side (%)",
        columns=(("accuracy_on_correct", "patch-shuffle-*", "k = "),),
        published=(7, 8),
        caption=(
            "Accuracy on correctly classified test images of {dataset} after shuffling k × k patches, in per cent.\n"
            "In Tables 7 and 8 of the paper adversarially trained models lie below the standard one at k = 2 and 4."
        ),
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
        caption=(
            "Where shape and texture of {dataset} images conflict, the share of decisions for the shape among those "
            "for either, in per cent: drawn in conflict where images are drawn, and made by giving one test image "
            "the style of another. Where both are there, their difference shows how far the stylised estimate can be "
            "trusted; the two sets of images are independent.\n"
            "Accuracy where only one cue is present stands beside them, calibration models on sets with their own, "
            "louder texture."
        ),
    ),
    Table(
        id="agreement",
        title="Agreement of the order of models with the published order (Kendall's τ-b)",
        columns=(),
        needs="agreement",
        published=(1, 2, 3, 4, 5, 6, 7, 8),
        percent=False,
        caption=(
            "How well the order of the models on {dataset} agrees with the published order: Kendall's τ-b for each "
            "test set with at least eight published models. 1 is the same order, 0 none.\n"
            "Numbers that look misprinted in the paper are kept in one row of a test set and left out in another.\n"
            "Reachable is what a perfect repetition of the paper would show, since published differences between "
            "models are partly noise."
        ),
    ),
)

FIGURES = (
    Figure(
        id="figure5",
        title="Accuracy against saturation",
        shows="saturation",
        category="Accuracy",
        draw="curves:levels",
        needs=("accuracy",),
        testsets=("saturation-*",),
        options={
            "prefix": "saturation-",
            "identity": 2.0,
            "title": "Saturated images",
            "axis": "Saturation level p  (2 = original image; larger: binarised)",
        },
        caption=(
            "Share of {dataset} test images that a model still classifies correctly when they are saturated, among "
            "those that it classifies correctly as they are; n = {n} test images, {seeds_words}. Bars are "
            "{confidence} % intervals.\n"
            "The axis is logarithmic; at level 2 the image is unchanged and every model stands at 100 % by "
            "definition. The lines of a family darken and widen as its ε grows.\n"
            "In Figure 5 of the paper the adversarially trained models lose much less from level 8 upwards, the more "
            "so the larger ε, and below level 2 there is little difference. Each model is measured on its own "
            "correct images; claims between models rest on the images that both classify correctly."
        ),
    ),
    Figure(
        id="figure6",
        title="Shuffled images and the label's probability",
        shows="shuffled images and probabilities",
        category="Accuracy",
        draw="pictures:figure6",
        needs=("images", "predictions.rows", "classes"),
        testsets=("clean", "patch-shuffle-*"),
        caption=(
            "Images of {dataset} with their patches shuffled, and beneath each the probability that a few models "
            "give to its label; {seeds_words}.\n"
            "In Figure 6 of the paper the standard model stays confident when the shape is gone, and the "
            "adversarially trained one does not. These are single images, drawn with data seed {data_seed}: Figure 7 "
            "has the numbers."
        ),
    ),
    Figure(
        id="figure7",
        title="Accuracy against patch shuffling",
        shows="patch shuffle",
        category="Accuracy",
        draw="curves:levels",
        needs=("accuracy",),
        testsets=("patch-shuffle-*",),
        options={
            "prefix": "patch-shuffle-",
            "identity": 1.0,
            "title": "Patch-shuffled images",
            "axis": "Patches per side k  (1 = original image; larger: more shuffled)",
        },
        caption=(
            "Share of {dataset} test images that a model still classifies correctly when they are cut into k × k "
            "patches and shuffled, among those that it classifies correctly as they are; n = {n} test images, "
            "{seeds_words}. Bars are {confidence} % intervals.\n"
            "At k = 1 the image is unchanged. The lines of a family darken and widen as its ε grows.\n"
            "In Figure 7 of the paper adversarially trained models are hurt more at k = 2 and 4, the more so the "
            "larger ε, and on Caltech-256 nothing is left for any model at k = 8."
        ),
    ),
    Figure(
        id="fourier",
        title="Accuracy on Fourier-filtered images",
        shows="Fourier filters",
        category="Accuracy",
        draw="dots:by_model",
        needs=("accuracy",),
        testsets=("low-pass", "high-pass", "random-filter"),
        options={
            "metric": "accuracy_on_correct",
            "title": "Accuracy on correctly classified, Fourier-filtered",
            "counted": "correctly classified images",
            "percent": True,
        },
        caption=(
            "Share of {dataset} test images that a model still classifies correctly when Fourier modes are removed, "
            "among those that it classifies correctly as they are; n = {n} test images, {seeds_words}, with "
            "{confidence} % intervals.\n"
            "Low pass keeps the coarse structure, high pass the fine; the random filter drops modes of every "
            "frequency and serves as a control.\n"
            "In Table 3 of the paper the adversarially trained model does far better than the standard one on low "
            "frequencies, worse on high ones, and alike under the random filter."
        ),
    ),
    Figure(
        id="shape_bias",
        title="Shape bias where cues conflict",
        shows="cue conflict",
        category="Accuracy",
        draw="dots:shape_bias",
        needs=("accuracy",),
        testsets=("conflict*", "cue-conflict"),
        caption=(
            "Of the decisions on {dataset} images whose shape and texture belong to different classes, the share "
            "that names the shape's class, among those that name either; n = {n} test images, {seeds_words}, with "
            "{confidence} % intervals.\n"
            "The conflict is drawn where {dataset} images are drawn, and made by giving one test image the style of "
            "another elsewhere; where both stand side by side, the drawn one is exact.\n"
            "1 is pure shape, 0 pure texture. Calibration models, where there are any, were trained with one cue "
            "alone and must stand at the ends of the drawn panel: at least 0.98 and at most 0.02.\n"
            "The paper has no such set; it concludes from saturated, stylised and shuffled images that adversarial "
            "training moves models towards shape."
        ),
    ),
    Figure(
        id="cue_conflict",
        title="Shape bias by class where cues conflict",
        shows="shape bias by class",
        category="Accuracy",
        draw="by_class:cue_conflict",
        needs=("accuracy", "per_class"),
        testsets=("conflict", "cue-conflict"),
        caption=(
            "Shape bias by class of the shape, on {dataset} images whose shape and texture belong to different "
            "classes: of the decisions that name either class, the share that names the shape's. 1 is pure shape, 0 "
            "pure texture; {seeds_words}, with {confidence} % intervals.\n"
            "A class in which a model named neither cue has no mark. Where the images are drawn, the conflict as "
            "drawn is exact, and the one made by stylisation shows how far that estimate can be trusted elsewhere.\n"
            "After Figure 4 of Geirhos et al. (2019); the paper has no such set."
        ),
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
