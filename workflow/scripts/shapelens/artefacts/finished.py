"""What was assumed of finished models, and what looked wrong, as their selection.json has it."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from shapelens.artefacts.files import read_json
from shapelens.errors import UserError


def assumed_of(models: Path) -> dict[str, list[str]]:
    """Return the sentences of each finished model, warnings first.

    ``models``: ``results/NAME/models``; it may be missing, and a record that cannot be read is left out.
    """
    found = {}
    for path in sorted(filter(Path.is_file, models.glob("*/seed0/selection.json"))):
        with suppress(UserError, OSError):
            record = read_json(path)
            if isinstance(record, Mapping) and record.get("criterion") == "finished":
                said = [*(f"WARNING: {text}" for text in record.get("warnings", ())), *record.get("assumed", ())]
                if said:
                    found[path.parent.parent.name] = said
    return found


def assumed_words(found: Mapping[str, list[str]]) -> str:
    """Return in one text what was assumed of the finished models; empty for none."""
    return ". ".join(f"{model}: {'; '.join(said)}" for model, said in found.items())
