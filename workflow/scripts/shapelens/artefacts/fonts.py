"""Fonts that have the letters of the user's names: the one that comes with matplotlib, then those of the system."""

import logging
from collections.abc import Iterable
from functools import cache
from pathlib import Path

logger = logging.getLogger("shapelens")


def bundled() -> Path:
    """Return DejaVu Sans as matplotlib brings it along: the same on every machine."""
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


@cache
def system_fonts() -> tuple[Path, ...]:
    """Return the font files of this system, in alphabetical order."""
    from matplotlib.font_manager import findSystemFonts

    return tuple(Path(path) for path in sorted(findSystemFonts()))


@cache
def letters_of(font: Path) -> frozenset[str]:
    """Return the characters that a font has; none where it cannot be read."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(map(chr, FT2Font(str(font)).get_charmap()))
    except (OSError, RuntimeError):
        return frozenset()


def fonts_for(texts: Iterable[str]) -> list[Path]:
    """Return the bundled font and, where it lacks letters of some texts, fonts of the system that have them.

    Each font adds the most of what those before it lack. Letters that no font has are named in the log: they are shown
    as boxes.
    """
    lacking = {letter for text in texts for letter in text if letter.isprintable()} - letters_of(bundled())
    found = [bundled()]
    while lacking:
        best = max(system_fonts(), key=lambda font: len(lacking & letters_of(font)), default=None)
        if best is None or not lacking & letters_of(best):
            logger.warning(
                "no font of this system has %s: a box is shown instead; install one that has, such as Noto Sans CJK",
                "".join(sorted(lacking)),
            )
            break
        found.append(best)
        lacking -= letters_of(best)
    return found


def font_for(text: str) -> Path:
    """Return the one font that has the most letters of a text, the bundled one where it has as many."""
    letters = set(text)
    return max(fonts_for([text]), key=lambda font: len(letters & letters_of(font)))
