"""What a model answers to every test image: accuracy on each set, and which cue it goes by."""

from shapelens.instruments.declare import Figure, Instrument, Table
from shapelens.instruments.predictions.spec import Predictions
from shapelens.names.models import FAMILIES
from shapelens.names.testsets import OWN_CONFLICTS, OWN_SETS

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
        id="own_sets",
        title="Accuracy on own test sets (%)",
        columns=(
            ("accuracy", "clean", "Original"),
            ("accuracy", OWN_SETS, "{}"),
            ("accuracy_on_correct", OWN_SETS, "On correctly classified, {}"),
        ),
        caption=(
            "Accuracy on own test sets beside that on the test images of {dataset}, in per cent. On correctly "
            "classified: of the images of an own set that the model classifies correctly, those that it still does "
            "when they are transformed."
        ),
    ),
    Table(
        id="shape_bias",
        title="Shape bias, and accuracy on the cue sets (%)",
        columns=(
            ("shape_bias", "conflict", "Drawn"),
            ("shape_bias_place", "conflict", "place"),
            ("shape_bias", "cue-conflict", "Stylised"),
            ("shape_bias_place", "cue-conflict", "place"),
            ("shape_bias", "hybrid", "Hybrid"),
            ("shape_bias_place", "hybrid", "place"),
            ("shape_bias", "texture-exchange", "Exchanged"),
            ("shape_bias_place", "texture-exchange", "place"),
            ("shape_bias", OWN_CONFLICTS, "{}"),
            ("shape_bias_place", OWN_CONFLICTS, "{}, place"),
            ("shape_bias_difference", "conflict", "stylised − drawn"),
            ("accuracy", "shape-only", "Accuracy, shape only"),
            ("accuracy", "texture-only", "Accuracy, texture only"),
        ),
        caption=(
            "Where shape and texture of {dataset} images conflict, the share of decisions for the shape among those "
            "for either, in per cent: drawn in conflict where images are drawn, and made of two test images by style, "
            "by frequency or by exchanging detail; own stimuli stand under their names.\n"
            "The two rulers, whose answer is known, are the ends of each scale; place says where between them a model "
            "lies, 0 at the texture ruler's reading, 100 at the shape ruler's. A dash stands where nothing can be "
            "read: the ends are not apart, or the model names either class hardly more often than by guessing "
            "(docs/explanation/ruler.md)."
        ),
    ),
    Table(
        id="ruler",
        title="What the rulers read (%)",
        columns=(),
        needs="ruler",
        caption=(
            "What the models whose answer is known by construction read on each test set of {dataset}: the texture "
            "ruler, a BagNet, cannot see shape; the shape ruler cannot use texture; the colour ruler sees single "
            "pixels. Left is the ruler's accuracy above chance, relative to that on clean images: what the test set "
            "leaves of its cue, in per cent. Where cues conflict, the two rulers' shape bias are the ends of the "
            "scale on which every other model lies.\n"
            "A claim about a test set is judged only where the readings are far enough apart, and shape bias is "
            "printed only where its ends are (docs/explanation/ruler.md)."
        ),
    ),
    Table(
        id="cue_reading",
        title="How well each cue is read where they conflict (%)",
        columns=(
            ("shape_bias", "conflict", "Shape bias, drawn"),
            ("shape_mrr", "conflict", "Shape read, drawn"),
            ("texture_mrr", "conflict", "Texture read, drawn"),
            ("shape_bias", "hybrid", "Shape bias, hybrid"),
            ("shape_mrr", "hybrid", "Shape read, hybrid"),
            ("texture_mrr", "hybrid", "Texture read, hybrid"),
            ("shape_bias", "cue-conflict", "Shape bias, stylised"),
            ("shape_mrr", "cue-conflict", "Shape read, stylised"),
            ("texture_mrr", "cue-conflict", "Texture read, stylised"),
            ("shape_bias", "texture-exchange", "Shape bias, exchanged"),
            ("shape_mrr", "texture-exchange", "Shape read, exchanged"),
            ("texture_mrr", "texture-exchange", "Texture read, exchanged"),
            ("shape_bias", OWN_CONFLICTS, "Shape bias, {}"),
            ("shape_mrr", OWN_CONFLICTS, "Shape read, {}"),
            ("texture_mrr", OWN_CONFLICTS, "Texture read, {}"),
        ),
        caption=(
            "How well models read either cue of {dataset} images whose shape and texture belong to different classes: "
            "the mean reciprocal rank of the shape's and of the texture's class among all classes, in per cent, beside "
            "the shape bias.\n"
            "A class that is always the most probable has 100, one that is always second 50; guessing among C classes "
            "has the mean of 100, 100/2, …, 100/C. Shape bias is a ratio of decisions and alike for a model that reads "
            "both cues well and one that reads neither; these numbers tell them apart (Kim et al. 2026)."
        ),
    ),
    Table(
        id="known_answer",
        title="Predicted and measured shape bias",
        columns=(),
        needs="known_answer",
        percent=False,
        caption=(
            "The shape bias that each model was predicted to have on the drawn conflict of {dataset} before it was "
            "trained, and the one that it has; {seeds_words}.\n"
            "Every class's texture has an amplitude of its own. A model trained against an adversary can go by the "
            "textures beyond that adversary's reach, and has the shape alone for the others "
            "(docs/explanation/known-answer.md)."
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
        id="own_sets",
        title="Accuracy on own test sets",
        shows="own test sets",
        category="Accuracy",
        draw="dots:by_model",
        needs=("accuracy",),
        testsets=(OWN_SETS,),
        options={
            "metric": "accuracy",
            "title": "Accuracy on own test sets",
            "counted": "images",
            "percent": True,
        },
        caption=(
            "Share of the images of each own test set of {dataset} that a model classifies correctly; {seeds_words}, "
            "with {confidence} % intervals. Behind a comma stands what was done to the images."
        ),
    ),
    Figure(
        id="reliance",
        title="What is left when a cue is suppressed",
        shows="reliance on each cue",
        category="Accuracy",
        draw="reliance:cues",
        needs=("accuracy", "classes"),
        testsets=(
            "patch-shuffle-*",
            "gaussian-blur",
            "bilateral",
            "saturation-*",
            "greyscale",
            "channel-shuffle",
            "patch-frame-*",
        ),
        caption=(
            "Accuracy on {dataset} test images in which one cue is suppressed, divided by that on clean images; "
            "n = {n} test images, {seeds_words}, with {confidence} % intervals. The lower, the more a model relies on "
            "that cue, as far as the set takes this cue away and no other.\n"
            "Shape: patches shuffled. Texture: blurred, smoothed by a bilateral filter, and saturated at the highest "
            "level. Colour: greyscale, and channels exchanged. Control: only the seams of the shuffled patches, which "
            "are no cue; what a model loses there, shuffling takes by its edges.\n"
            "The grey tick is where guessing would put the model: near it nothing is left, and a model that is hardly "
            "right on clean images has it near 100. Calibration models, where there are any, say what each set does: "
            "one that cannot see shape must stand the shuffles, one that cannot use texture the texture panel.\n"
            "After Burgert et al. (2025); the paper has no such figure."
        ),
    ),
    Figure(
        id="shape_bias",
        title="Shape bias where cues conflict",
        shows="cue conflict",
        category="Accuracy",
        draw="dots:shape_bias",
        needs=("accuracy",),
        testsets=("conflict", "cue-conflict", "hybrid", "texture-exchange", OWN_CONFLICTS),
        caption=(
            "Of the decisions on {dataset} images whose shape and texture belong to different classes, the share "
            "that names the shape's class, among those that name either; n = {n} test images, {seeds_words}, with "
            "{confidence} % intervals.\n"
            "The conflict is drawn where {dataset} images are drawn, and made of two test images elsewhere: by style, "
            "by frequency, or by exchanging detail; own stimuli stand under their names.\n"
            "1 is pure shape, 0 pure texture. The rulers, whose answer is known by construction, show the ends that "
            "can be reached on each set; where they are not apart nothing can be read, and no other model is drawn.\n"
            "The paper has no such set; it concludes from saturated, stylised and shuffled images that adversarial "
            "training moves models towards shape."
        ),
    ),
    Figure(
        id="known_answer",
        title="Predicted and measured shape bias",
        shows="known answer",
        category="Accuracy",
        draw="known_answer:known_answer",
        needs=("known_answer",),
        testsets=("conflict",),
        caption=(
            "The shape bias that each model was predicted to have on the drawn conflict of {dataset} before it was "
            "trained (line, with the tolerance about it), and the one that it has (dot: mean over seeds; ticks: single "
            "seeds); {seeds_words}.\n"
            "A model trained against an adversary can go by the textures beyond that adversary's reach, and has the "
            "shape alone for the others; the share of textures within reach is its shape bias. Models of an adversary "
            "that no norm bounds have no prediction and are left out (docs/explanation/known-answer.md)."
        ),
    ),
    Figure(
        id="cue_conflict",
        title="Shape bias by class where cues conflict",
        shows="shape bias by class",
        category="Accuracy",
        draw="by_class:cue_conflict",
        needs=("accuracy", "per_class"),
        testsets=("conflict", "cue-conflict", "hybrid", "texture-exchange", OWN_CONFLICTS),
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
