"""What is said of an own test set: in the log of its job, and in the report."""

from collections.abc import Mapping, Sequence
from typing import Any


def some(names: Sequence[str], most: int = 8) -> str:
    """Return the first few of many names as text."""
    text = ", ".join(names[:most])
    return f"{text} and {len(names) - most} more" if len(names) > most else text


def said_of(manifest: Mapping[str, Any]) -> list[str]:
    """Return in words what of an own test set is not measured, and which classes it lacks."""
    left, lines = manifest["left_out"], []
    if count := left["labels_agree"]:
        lines.append(f"{_images(count)} left out whose shape and texture are of one class")
    if lacking := left["classes_not_in_the_study"]:
        each = some([f"{name} ({count})" for name, count in lacking.items()])
        lines.append(f"{_images(sum(lacking.values()))} left out of classes that the study lacks: {each}")
    if passed := left["passed_over"]:
        lines.append(f"passed over: {', '.join(f'{count} {reason}' for reason, count in passed.items())}")
    if skipped := left["unreadable"]:
        lines.append(f"{_images(len(skipped))} skipped that cannot be read")
    if without := manifest["classes_without_images"]:
        lines.append(f"no images of the class{'es' if len(without) > 1 else ''} {some(without)}")
    return lines


def _images(count: int) -> str:
    return f"{count} image{'' if count == 1 else 's'}"
