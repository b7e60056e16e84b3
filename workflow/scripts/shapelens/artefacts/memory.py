"""What one run remembers for the next, beside Snakemake's own files: it saves time, and may be lost or damaged."""

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from shapelens.artefacts.files import write_text
from shapelens.errors import UserError

logger = logging.getLogger("shapelens")


def recall(path: Path, fits: Callable[[Any], bool]) -> dict[str, Any]:
    """Return what an earlier run remembered, entry by entry as far as it ``fits``; nothing where no such file is."""
    try:
        # Only a plain file: reading a pipe would wait for its other end.
        loaded = json.loads(path.read_bytes()) if path.is_file() else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return {key: value for key, value in loaded.items() if fits(value)} if isinstance(loaded, dict) else {}


def remember(path: Path, entries: Mapping[str, Any]) -> None:
    """Write entries for the next run; where that cannot be done, a warning names the file, and nothing else is lost."""
    try:
        write_text(path, json.dumps(entries))
    except (OSError, UserError) as error:
        logger.warning("%s: the next run will take longer to start", error)
