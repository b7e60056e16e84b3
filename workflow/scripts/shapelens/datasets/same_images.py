"""Images that lie in two splits at once, found by their pixels."""

import csv
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

logger = logging.getLogger("shapelens")

EXAMPLES = 5


@dataclass(frozen=True)
class Content:
    """The images of a split: class, file, and a digest of the whole image's pixels, of each."""

    labels: Sequence[int]
    files: Sequence[str]
    digests: Sequence[bytes]


def same_images(splits: Mapping[str, Content]) -> dict[str, Any]:
    """Count the images of a split that an earlier one has too, in the order train, validation, test.

    Returns, as plain data: ``test`` and ``validation``, the number of images of each split that are also in an earlier
    one; ``other_class``, how many of these have another class there; ``two_classes``, how many images are in their own
    split under another class, too; and ``examples``, pairs of files.
    """
    first: dict[bytes, tuple[int, str]] = {}
    counts = {"validation": 0, "test": 0}
    other, contradicting, examples = 0, 0, []
    for split in ("train", "validation", "test"):
        part = splits.get(split, Content((), (), ()))
        own: dict[bytes, tuple[int, str]] = {}
        for label, file, digest in zip(part.labels, part.files, part.digests, strict=True):
            contradicting += own.setdefault(digest, (label, file))[0] != label
            if digest in first:
                counts[split] += 1
                other += first[digest][0] != label
                examples.append([split, file, first[digest][1]])
        first = own | first
    # Test images first: theirs is the number that is reported.
    examples.sort(key=lambda example: example[0])
    return {**counts, "other_class": other, "two_classes": contradicting, "examples": examples[:EXAMPLES]}


def tell_same_images(found: Mapping[str, Any], name: str) -> None:
    """Warn of images that lie in two splits."""
    if found["two_classes"]:
        logger.warning(
            "%s: %d images lie under two classes of one split, by their pixels: no model can name both",
            name,
            found["two_classes"],
        )
    if not found["test"] and not found["validation"]:
        return
    _, file, earlier = found["examples"][0]
    logger.warning(
        "%s: %d test images and %d validation images are also in an earlier split, by their pixels, %d of them under "
        "another class; such as %s, which is %s. Accuracy on them is not that on unseen images: remove one of the two",
        name,
        found["test"],
        found["validation"],
        found["other_class"],
        file,
        earlier,
    )


def learnt_images(index: str | Path) -> dict[bytes, str]:
    """Return the files of training and validation images by their digest, from the index of a dataset."""
    with open(index, encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] != "test" and row["pixels"]]
    return {bytes.fromhex(row["pixels"]): row["file"] for row in rows}


def same_as_learnt(files: Sequence[str], digests: Sequence[bytes], learnt: Mapping[bytes, str]) -> dict[str, Any]:
    """Count the images of an own test set that models were trained or chosen on, with pairs of files as examples."""
    pairs = [[file, learnt[digest]] for file, digest in zip(files, digests, strict=True) if digest in learnt]
    return {"learnt": len(pairs), "examples": pairs[:EXAMPLES]}
