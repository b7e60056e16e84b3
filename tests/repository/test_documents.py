"""Examples in the documents must work: each study in them loads."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from shapelens.study.config import Study, load

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("docs/**/*.md"), ROOT / "README.md"])


def studies(text: str) -> list[str]:
    """Return the YAML blocks that begin with a dataset."""
    return [block for block in re.findall(r"^```yaml\n(.*?)^```", text, re.M | re.S) if re.match(r"#|dataset:", block)]


EXAMPLES = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in PAGES
    if page.exists()
    for number, block in enumerate(studies(page.read_text()), 1)
]


@pytest.mark.parametrize("block", EXAMPLES)
def test_example_studies_load(block: str) -> None:
    assert len(load(yaml.load(block, Strict))) == 1


BASE = {
    "dataset": {"kind": "image_folder", "path": "photos", "size": 64},
    "models": {"standard": {}, "pgd-inf-8": {"adversary": {"eps": 8 / 255}}},
}
TOYS = ("confidence",)
"""Instruments that a page makes up."""


class Strict(yaml.SafeLoader):
    """YAML in which no key stands twice: of two only the last would be read."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        assert len(set(keys)) == len(keys), f"line {node.start_mark.line + 1}: a key stands twice in {keys}"
        return super().construct_mapping(node, deep)


def parts(text: str) -> list[Any]:
    """Return the YAML blocks that are sections of a study."""
    found = [yaml.load(block, Strict) for block in re.findall(r"^```yaml\n(.*?)^```", text, re.M | re.S)]
    return [
        block
        for block in found
        if isinstance(block, dict)
        and "dataset" not in block
        and block.keys() <= {*Study.model_fields, "studies"}
        and not set(block.get("instruments", ())) & set(TOYS)
    ]


PARTS = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, block in enumerate(parts(page.read_text()), 1)
]


@pytest.mark.parametrize("block", PARTS)
def test_example_sections_load(block: dict[str, Any]) -> None:
    base = {key: value for key, value in BASE.items() if key != "dataset" or "studies" not in block}
    assert load({**base, **block})


def test_a_key_that_stands_twice_in_an_example_would_be_seen() -> None:
    with pytest.raises(AssertionError, match="a key stands twice"):
        parts("```yaml\nseeds: [0]\nseeds: [1]\n```\n")


def test_a_wrong_example_would_be_seen() -> None:
    (block,) = studies("text\n```yaml\ndataset: {kind: cues}\nmodells: {}\n```\n")
    with pytest.raises(ValueError, match="modells"):
        load(yaml.safe_load(block))


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    pages = [page.relative_to(ROOT / "docs").as_posix() for page in ROOT.glob("docs/*/*.md")]
    assert [page for page in pages if f"]({page})" not in index] == []
