"""The tables that can be asked for by name, and what each is made of (no heavy import)."""

from dataclasses import dataclass

FORMATS = ("csv", "md", "tex", "html")
"""Suffixes in which every table is written; the CSV is tidy, the others are for reading."""

PUBLISHED_OF = {4: "caltech256", 5: "tinyimagenet", 6: "cifar10", 7: "caltech256", 8: "tinyimagenet"}
"""The dataset of those tables of Zhang and Zhu (2019) that have only one."""


@dataclass(frozen=True)
class TableEntry:
    """One table.

    ``needs`` is the tidy file it selects from. ``columns`` are (metric, test set, heading) of the wide form: a test set
    that ends in ``-*`` stands for every level of that transformation, in order, another that ends in ``*`` for the cue
    set on which each model is judged. ``published`` are the tables of Zhang and Zhu (2019) that it stands beside.
    """

    id: str
    title: str
    needs: str
    columns: tuple[tuple[str, str, str], ...]
    published: tuple[int, ...] = ()
    percent: bool = True


TABLES: dict[str, TableEntry] = {
    entry.id: entry
    for entry in (
        TableEntry(
            "table1",
            "Accuracy and robust accuracy (%)",
            "accuracy",
            (("accuracy", "clean", "Accuracy"), ("robust_accuracy", "clean", "Robust accuracy")),
            published=(1,),
        ),
        TableEntry(
            "table2",
            "Accuracy on stylised images (%)",
            "accuracy",
            (
                ("accuracy", "clean", "Accuracy, original"),
                ("accuracy", "stylised", "Accuracy, stylised"),
                ("accuracy_on_correct", "stylised", "On correctly classified, stylised"),
            ),
            published=(2,),
        ),
        TableEntry(
            "table3",
            "Accuracy on correctly classified images, Fourier-filtered (%)",
            "accuracy",
            (
                ("accuracy_on_correct", "low-pass", "Low pass"),
                ("accuracy_on_correct", "high-pass", "High pass"),
                ("accuracy_on_correct", "random-filter", "Random filter"),
            ),
            published=(3,),
        ),
        TableEntry(
            "saturation",
            "Accuracy on correctly classified images by saturation level (%)",
            "accuracy",
            (("accuracy_on_correct", "saturation-*", ""),),
            published=(4, 5, 6),
        ),
        TableEntry(
            "patch_shuffle",
            "Accuracy on correctly classified images by patches per side (%)",
            "accuracy",
            (("accuracy_on_correct", "patch-shuffle-*", "k = "),),
            published=(7, 8),
        ),
        TableEntry(
            "saliency",
            "Measures of the saliency maps",
            "saliency_per_image",
            (
                ("gini", "", "Gini sparseness"),
                ("edge_share", "", "Weight on edges"),
                ("total_variation", "", "Total variation"),
                ("distance_to_clean", "", "Distance to clean"),
            ),
            percent=False,
        ),
        TableEntry(
            "shape_bias",
            "Shape bias, and accuracy on the cue sets (%)",
            "accuracy",
            (
                ("shape_bias", "conflict*", "Shape bias, drawn"),
                ("shape_bias", "cue-conflict", "Shape bias, stylised"),
                ("shape_bias_difference", "conflict*", "stylised − drawn"),
                ("accuracy", "shape-only*", "Accuracy, shape only"),
                ("accuracy", "texture-only*", "Accuracy, texture only"),
            ),
        ),
        TableEntry(
            "agreement",
            "Agreement of the order of models with the published order (Kendall's τ-b)",
            "agreement",
            (),
            published=(1, 2, 3, 4, 5, 6, 7, 8),
            percent=False,
        ),
    )
}
"""Every table by id."""
