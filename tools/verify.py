"""Check a tree of results against its ro-crate-metadata.json: `python tools/verify.py [RESULTS]`.

Every file that the crate names must be there with the sha256 that stands in it, and no other file may be, but for logs,
benchmarks and hidden files. Standard library only: it runs on any machine with Python, and this one file can be copied
there by itself.

Status 0: the tree is what the crate says. 1: files are missing, changed or additional; each is named. 2: there is
nothing to check against.
"""

import argparse
import hashlib
import json
import os
import re
import sys
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

CRATE = "ro-crate-metadata.json"
# Of the run and not of its results: at the top of the tree, and in the folder of each study.
WORK = ("logs", "benchmarks")
# Copies of the report and the record for each config; each run writes its own and leaves the others.
COPIES = "reports"


class CrateError(Exception):
    """Why there is nothing to check against."""


def digest(path: Path) -> str:
    """Return the sha256 of a file, in hex; reads it in pieces."""
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(2**20):
            found.update(piece)
    return found.hexdigest()


def named(crate: Path) -> dict[str, str]:
    """Return path → sha256 of every file that lies in the crate; raises CrateError for what is no crate of a run."""
    try:
        graph = json.loads(crate.read_text(encoding="utf-8"))["@graph"]
        files = [entity for entity in graph if "File" in entity["@type"]]
        hashes = {unquote(entity["@id"]): entity.get("sha256") for entity in files if "://" not in entity["@id"]}
    except OSError as error:
        raise CrateError(
            f"{crate} cannot be read ({error.strerror}); name the folder that holds it, or make it: "
            f"snakemake {crate} --cores 1"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CrateError(
            f"{crate} is no RO-Crate ({type(error).__name__}: {error}); it was changed or cut off"
        ) from None
    for path, known in hashes.items():
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise CrateError(f"{crate} names {path}, which lies outside of the tree; nothing was read")
        if not isinstance(known, str) or not re.fullmatch("[0-9a-f]{64}", known):
            raise CrateError(f"{crate} has no sha256 for {path}; it was changed")
    if not hashes:
        raise CrateError(f"{crate} names no file")
    return hashes


def present(root: Path) -> set[str]:
    """Return the paths of all files in a tree but the crate, hidden files, copies, and what is of the run alone."""
    found: set[str] = set()
    seen: set[tuple[int, int]] = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        inside, stat = Path(folder).relative_to(root), Path(folder).stat()
        # A link may lead back to a folder above it.
        if {*inside.parts[:2]} & {*WORK} or inside.parts[:1] == (COPIES,) or (stat.st_dev, stat.st_ino) in seen:
            folders.clear()
            continue
        seen.add((stat.st_dev, stat.st_ino))
        folders[:] = [name for name in folders if not name.startswith(".")]
        found |= {(inside / name).as_posix() for name in files if not name.startswith(".")}
    return found - {CRATE}


def differences(root: Path, hashes: dict[str, str]) -> list[tuple[str, str]]:
    """Return (what, path) of every file that is missing, changed, unreadable or additional."""
    found = []
    for path in sorted(hashes):
        try:
            if digest(root / path) != hashes[path]:
                found.append(("changed", path))
        except FileNotFoundError:
            found.append(("missing", path))
        except OSError as error:
            found.append((f"unreadable ({error.strerror})", path))
    found += [("additional", path) for path in sorted(present(root) - hashes.keys())]
    return found


def main(arguments: list[str] | None = None) -> int:
    """Check a tree, and say what differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "results", nargs="?", type=Path, default=Path("results"), help="the folder that holds the crate"
    )
    root = parser.parse_args(arguments).results
    try:
        hashes = named(root / CRATE)
    except CrateError as error:
        print(f"verify: {error}", file=sys.stderr)
        return 2
    found = differences(root, hashes)
    for what, path in found:
        print(f"{what:<12}{path}")
    # By this number a reader who has it from elsewhere, such as the paper, knows that the crate itself is the same.
    print(f"{CRATE}: {len(hashes)} files, sha256 {digest(root / CRATE)}")
    print(f"{len(found)} files differ" if found else "All files are there and unchanged.")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
