"""Names of the metrics of accuracy.csv, as the statistics write them and tables and figures ask for them."""

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
"""See ``stats.accuracy.accuracy_table`` for what each is."""
