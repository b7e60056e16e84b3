"""A sheet of paper measured in inches, on which pictures and words are placed exactly."""

from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from shapelens.plots.style import INK, RC, TEXT_SIZE


class Canvas:
    """A figure with one invisible pair of axes in inches, the origin at the top left.

    One pair of axes for a hundred pictures draws many times faster than one pair for each.
    """

    def __init__(self, width: float, height: float) -> None:
        with rc_context(RC):
            self.figure = Figure(figsize=(width, height))
            self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, width), ylim=(height, 0), autoscale_on=False)
        self.axes.axis("off")

    def resize(self, width: float) -> None:
        """Change the width of the paper in inches; what lies on it stays where it is."""
        height = float(self.figure.get_size_inches()[1])
        self.figure.set_size_inches(width, height)
        self.axes.set(xlim=(0, width), ylim=(height, 0))

    def picture(
        self,
        pixels: NDArray[Any],
        x: float,
        y: float,
        width: float,
        height: float,
        *,
        cmap: str | None = None,
        low: float = 0.0,
        frame: bool = False,
    ) -> None:
        """Place a picture: HW3 in [0, 1], or HW in [low, 1] through a colour map."""
        self.axes.imshow(
            pixels, extent=(x, x + width, y + height, y), aspect="auto", cmap=cmap, vmin=low, vmax=1.0, zorder=1
        )
        # imshow moves the limits to its own picture.
        size = self.figure.get_size_inches()
        self.axes.set(xlim=(0, size[0]), ylim=(size[1], 0))
        if frame:
            self.bar(x, y, width, height, edge="#bbbbbb")

    def bar(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        *,
        color: Any = "none",
        edge: Any = "none",
        gid: str | None = None,
    ) -> None:
        """Place a rectangle."""
        self.axes.add_patch(
            Rectangle((x, y), width, height, facecolor=color, edgecolor=edge, linewidth=0.4, gid=gid, zorder=2)
        )

    def words(self, x: float, y: float, text: str, *, size: float = TEXT_SIZE, color: str = INK, **kwargs: Any) -> None:
        """Place text; by default x is its left edge and y its middle."""
        with rc_context(RC):
            self.axes.text(
                x, y, text, **{"fontsize": size, "color": color, "ha": "left", "va": "center", **kwargs}, zorder=3
            )


def to_rgb(image: NDArray[Any]) -> NDArray[np.float32]:
    """Turn one CHW image, uint8 or float (clipped to [0, 1]), into HWC in [0, 1] with three channels."""
    if image.dtype == np.uint8:
        image = image.astype(np.float32) / np.float32(255)
    pixels = np.clip(np.moveaxis(np.asarray(image, dtype=np.float32), 0, -1), 0, 1)
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def text_width(text: str, size: float) -> float:
    """Return an estimate of the width of one line of words in inches; percentages are wider."""
    return max((len(line) for line in text.split("\n")), default=0) * size * 0.62 / 72


def fitted(text: str, width: float, size: float) -> str:
    """Cut each line of a heading that is wider than its column."""
    lines = []
    for line in text.split("\n"):
        fits = line
        while len(fits) > 2 and text_width(fits, size) > width * 1.08:
            fits = fits[:-2] + "…"
        lines.append(fits)
    return "\n".join(lines)
