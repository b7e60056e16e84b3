"""Specs of the style images (torch-free)."""

from typing import Annotated, Literal

from pydantic import Field

from shapelens.spec import Spec


class DrawnStyles(Spec):
    """Style images drawn by the project: strokes, swirls, dots, marbling and mixtures of them, in random palettes."""

    kind: Literal["drawn"]
    count: int = Field(default=64, ge=1)
    """Number of style images."""


class StyleFolder(Spec):
    """One's own style images, such as paintings: all image files of a folder, however nested, or of an archive."""

    kind: Literal["folder"]
    path: str
    """Local folder or archive (.zip, .tar, .tar.gz, .tar.bz2, .tar.xz)."""
    on_bad_image: Literal["error", "skip"] = "error"
    """What to do with images that cannot be read: stop with a list of all of them, or skip and record them."""


Styles = Annotated[DrawnStyles | StyleFolder, Field(discriminator="kind")]
