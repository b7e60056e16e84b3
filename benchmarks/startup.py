"""How much of a run's CPU time is start-up: runs a study afresh and times the imports of every Python process in it.

    python benchmarks/startup.py                                        # the default study
    python benchmarks/startup.py -- --configfile tests/workflow/tiny.yaml

The results go to a folder that is deleted afterwards (--keep FOLDER keeps them there).
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


def name(command: list[str]) -> str:
    """Return the adapter that a process ran, or snakemake, or what else it was."""
    program = Path(command[0]).name if command else "?"
    script = re.fullmatch(r"tmp[^.]+\.(.+\.py)", program)
    return script[1] if script else {"__main__.py": "snakemake"}.get(program, program)


def rows(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add up processes of the same name."""
    groups: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        groups[name(record["command"])].append(record)
    return sorted(
        (
            {
                "process": key,
                "count": len(group),
                "torch": sum(record["torch"] for record in group),
                "cpu": sum(record["cpu"] for record in group),
                "startup": sum(record["startup"] for record in group),
            }
            for key, group in groups.items()
        ),
        key=lambda row: -row["cpu"],
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path, help="an empty or new folder for the results")
    parser.add_argument("--cores", default="all")
    parser.add_argument("snakemake", nargs="*", help="handed on to snakemake, after --")
    options = parser.parse_args()
    (HERE / "results").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=HERE / "results") as scratch:
        folder = options.keep or Path(scratch) / "study"
        notes = Path(scratch) / "notes"
        notes.mkdir()
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            sys.exit(f"{folder} is not empty: only a run from nothing shows what start-up costs")
        environment = os.environ | {
            "SHAPELENS_STARTUP": str(notes),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(HERE / "hook"), os.environ.get("PYTHONPATH")])),
        }
        # Snakemake looks for the config and the profile in the folder that it works in.
        shutil.copy(ROOT / "config.yaml", folder)
        given = [str(Path(part).resolve()) if Path(part).is_file() else part for part in options.snakemake]
        command = ["snakemake", "--snakefile", ROOT / "Snakefile", "--directory", folder, "--cores", options.cores]
        command += ["--workflow-profile", ROOT / "profiles" / "default", *given]
        start = time.perf_counter()
        code = subprocess.run([str(part) for part in command], env=environment).returncode
        wall = time.perf_counter() - start
        records = [json.loads(path.read_text()) for path in sorted(notes.glob("*.json"))]
    if not records:
        sys.exit("no Python process of the run left a record")
    table = rows(records)
    cpu, startup = (sum(row[key] for row in table) for key in ("cpu", "startup"))
    print(f"\n{'process':<28}{'count':>7}{'torch':>7}{'CPU s':>10}{'start-up s':>12}{'share':>8}")
    for row in table:
        share = row["startup"] / row["cpu"]
        print(
            f"{row['process']:<28}{row['count']:>7}{row['torch']:>7}{row['cpu']:>10.1f}{row['startup']:>12.1f}{share:>8.0%}"
        )
    torch = sum(row["torch"] for row in table)
    print(f"{'all':<28}{len(records):>7}{torch:>7}{cpu:>10.1f}{startup:>12.1f}{startup / cpu:>8.0%}")
    print(f"{wall:.0f} s on the clock")
    report = {"wall": wall, "cpu": cpu, "startup": startup, "share": startup / cpu, "processes": table}
    (HERE / "results" / "startup.json").write_text(json.dumps(report, indent=1) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
