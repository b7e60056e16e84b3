"""Names of the metrics of tidy tables, as the statistics write them and tables and figures ask for them."""

ACCURACY_METRICS = (
    "accuracy",
    "accuracy_on_correct",
    "accuracy_on_common",
    "gap_on_common",
    "robust_accuracy",
    "shape_bias",
    "shape_bias_place",
    "shape_mrr",
    "texture_mrr",
    "relative_accuracy",
    "shape_bias_difference",
)
"""Those of accuracy.csv; see ``stats.accuracy.accuracy_table`` for what each is."""

SEED_METRICS = ("seed_distance", "seed_correlation")
"""Those of saliency_agreement.csv; see ``instruments.saliency.between_seeds.seed_agreement``."""
