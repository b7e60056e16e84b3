"""What decides the bits of a trained model besides its spec: precision, threads, instruction set, as run.json has them.

Two trainings of one spec are equal to the bit only where these agree. They never decide what is made again.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from shapelens.artefacts.files import read_json
from shapelens.errors import UserError

DECIDES = ("precision", "type", "threads", "instruction_set", "torch")
"""Keys of run.json that decide bits; a GPU's name does, too, a CPU's does not."""
UNKNOWN = "unknown"


def arithmetic_of(models: Path) -> list[dict[str, Any]]:
    """Return the kinds of arithmetic with which the models of a study were trained, the most frequent one first.

    Args:
        models: ``results/NAME/models``; it may be missing. Finished models, which were not trained here, are left out,
            and so is a record that cannot be read.

    Returns:
        For each kind ``DECIDES`` and ``gpu``, as run.json has them (``unknown`` in records of earlier versions), the
        names of the processors under ``devices``, and under ``models`` the seeds of each model.
    """
    found: dict[tuple[Any, ...], list[tuple[str, int, str]]] = defaultdict(list)
    for path in sorted(filter(Path.is_file, models.glob("*/seed*/run.json"))):
        with suppress(UserError, OSError):
            record = read_json(path)
            if isinstance(record, Mapping) and "precision" in record:
                seed = int(path.parent.name.removeprefix("seed"))
                found[_kind(record)].append((path.parent.parent.name, seed, str(record.get("device", UNKNOWN))))
    ordered = sorted(found.items(), key=lambda item: (-len(item[1]), repr(item[0])))
    return [_group(kind, runs) for kind, runs in ordered]


def _kind(record: Mapping[str, Any]) -> tuple[Any, ...]:
    gpu = record.get("device") if record.get("type") == "cuda" else None
    return (*(record.get(key, UNKNOWN) for key in DECIDES), gpu)


def _group(kind: tuple[Any, ...], runs: Iterable[tuple[str, int, str]]) -> dict[str, Any]:
    seeds: dict[str, list[int]] = defaultdict(list)
    devices = set()
    for model, seed, device in runs:
        seeds[model].append(seed)
        devices.add(device)
    named = {model: sorted(numbers) for model, numbers in seeds.items()}
    return {**dict(zip((*DECIDES, "gpu"), kind, strict=True)), "devices": sorted(devices), "models": named}


def arithmetic_words(groups: list[dict[str, Any]]) -> str:
    """Return how the models of a study were trained, for readers; where it differs, which ones how. Empty for none."""
    if not groups:
        return ""
    if len(groups) == 1:
        return f"trained in {_words(groups[0])}"
    parts = "; ".join(f"{_models(group)} in {_words(group)}" for group in groups)
    return f"TRAINED WITH DIFFERENT ARITHMETIC, so that models may differ by more than their specs and seeds: {parts}"


def _words(group: Mapping[str, Any]) -> str:
    threads, where = group["threads"], group["gpu"] or "the CPU"
    counted = f"{threads} thread{'' if threads == 1 else 's'}"
    return f"{group['precision']} on {where} ({group['instruction_set']}), {counted}, torch {group['torch']}"


def _models(group: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{model} (seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))})"
        for model, seeds in group["models"].items()
    )
