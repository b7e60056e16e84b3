"""Seconds and memory of a dry-run from nothing: of the whole paper, and of 1,000 models in one study.

python benchmarks/dry_run.py
python benchmarks/dry_run.py --rounds 1 --models 100
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
LIMITS = {"paper": 10.0, "models": 60.0}
"""Seconds on the clock that each must stay below."""


@dataclass(frozen=True)
class Cost:
    """What one dry-run took."""

    wall: float
    cpu: float
    peak_mb: float
    jobs: int


def many_models(count: int) -> dict[str, Any]:
    """Return one study with the paper's test sets, tables and figures and ``count`` models, each of another eps."""
    paper = yaml.safe_load((ROOT / "configs" / "paper.yaml").read_text(encoding="utf-8"))
    adversarial = {f"pgd-inf-{n}": {"adversary": {"eps": n / (255 * count)}} for n in range(1, count - 1)}
    models = {"standard": {}, "underfit": {"match": "strongest"}, **adversarial}
    return {**paper, "seeds": [0], "models": models, "studies": {"cifar10": paper["studies"]["cifar10"]}}


def dry_run(config: Path, folder: Path) -> Cost:
    """Dry-run a config in a folder that holds no results."""
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--dry-run",
        "--quiet",
        "rules",
        "--snakefile",
        str(ROOT / "Snakefile"),
    ]
    command += ["--directory", str(folder), "--configfile", str(config), "--cores", "1"]
    with open(folder / "said.txt", "w+", encoding="utf-8") as said:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read()
    found = re.search(r"^total\s+(\d+)\s*$", text, flags=re.MULTILINE)
    if process.returncode or found is None:
        raise SystemExit(f"{' '.join(command)} failed:\n{text[-4000:]}")
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, int(found[1]))


def measure(config: dict[str, Any], rounds: int) -> list[Cost]:
    """Dry-run a config several times from an empty folder; only the first round parses the library's code."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "study.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        return [dry_run(folder / "study.yaml", folder) for _ in range(rounds)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", type=int, default=1000, help="models of the second study")
    options = parser.parse_args()
    paper = yaml.safe_load((ROOT / "configs" / "paper.yaml").read_text(encoding="utf-8"))
    report = {}
    for name, config in (("paper", paper), ("models", many_models(options.models))):
        costs = measure(config, options.rounds)
        wall, cpu = (statistics.median(getattr(cost, key) for cost in costs) for key in ("wall", "cpu"))
        print(
            f"{name}: {costs[0].jobs} jobs, {wall:.1f} s on the clock ({min(c.wall for c in costs):.1f} to "
            f"{max(c.wall for c in costs):.1f}; limit {LIMITS[name]:.0f}), {cpu:.1f} s of CPU time, "
            f"{max(c.peak_mb for c in costs):.0f} MB"
        )
        report[name] = [asdict(cost) for cost in costs]
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "dry_run.json").write_text(json.dumps(report, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
