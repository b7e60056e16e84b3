"""Write a software bill of materials (CycloneDX 1.6, JSON) of every lock in requirements/. Standard library only.

    python tools/sbom.py > FILE        (`make sbom` writes build/sbom.cdx.json)

It is made of the locks alone: equal locks give equal bytes, and no network or environment is needed. What a package
needs in turn is read from the `# via` comments that uv writes.
"""

import argparse
import hashlib
import json
import re
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# The lock that everybody installs is required; others add to it, or serve development only.
SCOPES = {"runtime": "required", "kubernetes": "optional", "slurm": "optional"}
ORDER = ("required", "optional", "excluded")
PIN = re.compile(r"^(?P<name>[a-z0-9-]+)==(?P<version>[^\s;]+)(?: ; (?P<marker>.+?))?(?: \\)?$")
ROOT_REF = "shapelens"


@dataclass
class Package:
    """One pin, in all the locks that hold it."""

    name: str
    version: str
    marker: str = ""
    hashes: set[str] = field(default_factory=set)
    locks: list[str] = field(default_factory=list)
    via: set[str] = field(default_factory=set)
    """Packages that need it."""
    asked: bool = False
    """Whether an .in file names it."""

    @property
    def purl(self) -> str:
        """The package URL, its identity in the bill."""
        return f"pkg:pypi/{self.name}@{self.version}"


def read_lock(path: Path, packages: dict[str, Package]) -> None:
    """Add the pins of a lock; raises ValueError for a line that is neither pin, hash nor comment."""
    package = None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        text = line.strip()
        if pin := PIN.match(line):
            new = Package(pin["name"], pin["version"], pin["marker"] or "")
            package = packages.setdefault(new.purl, new)
            package.locks.append(path.stem)
        elif package and text.startswith("--hash=sha256:"):
            package.hashes.add(text.removeprefix("--hash=sha256:").removesuffix("\\").strip())
        elif package and line.startswith("    #"):
            origin = text.lstrip("# ").removeprefix("via").strip()
            if origin.startswith("-r "):
                package.asked = True
            elif origin and not origin.startswith("-"):
                package.via.add(origin)
        elif text and not line.startswith("#"):
            raise ValueError(f"{path.name}, line {number}: {text!r} is no pin of a lock")


def scope(package: Package) -> str:
    """Return how much of the project needs a package: the strongest of its locks' scopes."""
    return min((SCOPES.get(lock, "excluded") for lock in package.locks), key=ORDER.index)


def component(package: Package) -> dict[str, Any]:
    """Return a package as a component. Its hashes are those of its files, of which an installer takes one."""
    properties = [{"name": "shapelens:lock", "value": f"requirements/{lock}.txt"} for lock in package.locks]
    if package.marker:
        properties.append({"name": "shapelens:marker", "value": package.marker})
    files = [{"alg": "SHA-256", "content": content} for content in sorted(package.hashes)]
    return {
        "type": "library",
        "bom-ref": package.purl,
        "name": package.name,
        "version": package.version,
        "scope": scope(package),
        "purl": package.purl,
        "externalReferences": [{"type": "distribution", "url": package.purl, "hashes": files}],
        "properties": properties,
    }


def dependencies(packages: dict[str, Package]) -> list[dict[str, Any]]:
    """Return what needs what; a name that is locked in several versions stands for all of them."""
    needs: dict[str, set[str]] = {ROOT_REF: set(), **{purl: set() for purl in packages}}
    for purl, package in packages.items():
        if package.asked:
            needs[ROOT_REF].add(purl)
        for other in packages.values():
            if other.name in package.via:
                needs[other.purl].add(purl)
    return [{"ref": ref, "dependsOn": sorted(below)} for ref, below in sorted(needs.items())]


def bill(root: Path = ROOT) -> dict[str, Any]:
    """Return the bill of materials of a checkout."""
    packages: dict[str, Package] = {}
    digest = hashlib.sha256()
    for path in sorted((root / "requirements").glob("*.txt")):
        read_lock(path, packages)
        digest.update(path.read_bytes())
    init = (root / "workflow" / "scripts" / "shapelens" / "__init__.py").read_text()
    version = re.search(r'^__version__ = "([^"]+)"', init, re.M)
    project = {
        "type": "application",
        "bom-ref": ROOT_REF,
        "name": "shapelens",
        "licenses": [{"license": {"id": "MIT"}}],
    }
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.UUID(bytes=digest.digest()[:16], version=4)}",
        "version": 1,
        "metadata": {
            "lifecycles": [{"phase": "pre-build"}],
            "component": {**project, "version": version[1] if version else "unknown"},
        },
        "components": [component(packages[purl]) for purl in sorted(packages)],
        "dependencies": dependencies(packages),
    }


def main() -> int:
    """Print the bill."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    json.dump(bill(), sys.stdout, indent=1)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
