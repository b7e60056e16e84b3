"""Text that would be code wherever it is not shown as text, and pages in which nothing of it has become code."""

import re
from collections.abc import Iterable
from html.parser import HTMLParser

RUN = "document.title=`sprung`"
EVIL = (
    "a\n\n.. raw:: html\n\n   <b>raw</b>\n\n.. include:: /etc/passwd\n\nb `c <javascript:x>`_ |d| [1]_ **e** =f\u2028"
    f"</script><script>{RUN}</script><img src=x onerror={RUN}><!-- &lt; ]]> \\input{{x}} \\write18{{x}} $g$ ^^5c "
    "{dataset} {{ 7*7 }} {% raw %} [h](javascript:i) __"
)
"""Markup of HTML, of scripts' JSON, of reStructuredText, Markdown, LaTeX, Jinja and of Python's formats."""
FORBIDDEN = frozenset({"script", "img", "iframe", "object", "embed", "a", "b", "style", "link", "form", "svg", "base"})


class Page(HTMLParser):
    """The elements, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Iterable[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.tags.add("comment")


def code_in(page: str, allowed: Iterable[str] = ()) -> list[str]:
    """Return the elements and attributes of a page that could be or fetch code; ``allowed`` are the page's own."""
    found = Page(page)
    tags = found.tags & (FORBIDDEN | {"comment"}) - set(allowed)
    return sorted(tags | {name for name in found.attributes if name.startswith("on") or name in ("href", "src")})


def commands_in(latex: str) -> set[str]:
    """Return the names of the commands that a LaTeX text gives."""
    return set(re.findall(r"\\([A-Za-z]+)", latex.replace("\\\\", "")))
