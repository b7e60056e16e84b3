"""Seconds in which a finished tree answers that nothing is to be done.

python benchmarks/nothing_to_do.py                                  # the default study
python benchmarks/nothing_to_do.py -- --configfile configs/cifar10.yaml
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


def snakemake(*arguments: str) -> tuple[str, float, float]:
    """Run snakemake; return what it said, seconds on the clock, CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(["snakemake", *arguments], cwd=HERE.parent, capture_output=True, text=True)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.stdout + done.stderr, wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("snakemake", nargs="*", help="handed on to snakemake, after --")
    options = parser.parse_args()
    # A dry run first: on an unfinished tree this benchmark must not start the study.
    said, _, _ = snakemake("--cores", "all", "--dry-run", *options.snakemake)
    if "Nothing to be done" not in said:
        print(said[-2000:], "\nThe tree is not finished: run the study first.", sep="\n")
        return 1
    walls, cpus = [], []
    for _ in range(options.rounds):
        _, wall, cpu = snakemake("--cores", "all", *options.snakemake)
        walls.append(wall)
        cpus.append(cpu)
    print(
        f"nothing to be done: {statistics.median(walls):.2f} s on the clock ({min(walls):.2f} to {max(walls):.2f}), "
        f"{statistics.median(cpus):.2f} s of CPU time"
    )
    report = {"wall": walls, "cpu": cpus}
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "nothing_to_do.json").write_text(json.dumps(report, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
