"""What is said of an own test set: in the log of its job, and in the report."""

from collections.abc import Mapping
from typing import Any

from shapelens.datasets.class_folders import first_few


def said_of(manifest: Mapping[str, Any]) -> list[str]:
    """Return in words what of an own test set is not measured, which classes it lacks, and what its images are like."""
    left, lines = manifest["left_out"], []
    if count := left["labels_agree"]:
        lines.append(f"{_images(count)} left out whose shape and texture are of one class")
    if lacking := left["classes_not_in_the_study"]:
        each = first_few([f"{name} ({count})" for name, count in lacking.items()])
        lines.append(f"{_images(sum(lacking.values()))} left out of classes that the study lacks: {each}")
    if passed := left["passed_over"]:
        each = "; ".join(f"{told['files']} {reason}" for reason, told in passed.items())
        lines.append(f"passed over: {each}")
    if skipped := left["unreadable"]:
        lines.append(f"{_images(len(skipped))} skipped that cannot be read")
    if without := manifest["classes_without_images"]:
        lines.append(f"no images of the class{'es' if len(without) > 1 else ''} {first_few(without)}")
    if count := manifest.get("same_images", {}).get("learnt"):
        lines.append(
            f"{_images(count)} of the set are also training or validation images of the study, so accuracy on them is "
            "not that on unseen images"
        )
    return [*lines, *manifest.get("said", [])]


def _images(count: int) -> str:
    return f"{count} image{'' if count == 1 else 's'}"
