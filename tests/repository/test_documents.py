"""Examples in the documents must work: each study in them loads."""

import re
from pathlib import Path

import pytest
import yaml

from shapelens.study.config import load

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
    assert len(load(yaml.safe_load(block))) == 1


def test_a_wrong_example_would_be_seen() -> None:
    (block,) = studies("text\n```yaml\ndataset: {kind: cues}\nmodells: {}\n```\n")
    with pytest.raises(ValueError, match="modells"):
        load(yaml.safe_load(block))


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    pages = [page.relative_to(ROOT / "docs").as_posix() for page in ROOT.glob("docs/*/*.md")]
    assert [page for page in pages if f"]({page})" not in index] == []
