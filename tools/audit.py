"""Ask pip-audit whether a pinned package has a known vulnerability, in every lock of requirements/. `make audit`.

Status 0: none has. 1: one has, or a lock cannot be read. 2: something could not be audited, because pip-audit is not
installed, its database cannot be reached, or it does not know a package.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ROOT / ".venv" / "audit"
UNREACHABLE = re.compile("ConnectionError|ServiceError|HTTPError|Timeout|Max retries|could not be audited")


@dataclass(frozen=True)
class Audit:
    """What was found in one lock."""

    lock: str
    audited: int = 0
    vulnerable: list[str] = field(default_factory=list)
    """Package, version, and the identifiers of what is known about it."""
    unknown: list[str] = field(default_factory=list)
    """Packages that the database does not know, with the reason."""
    unreachable: str = ""
    """Why nothing was audited at all."""
    failed: str = ""
    """What pip-audit said where it failed for another reason."""

    def __str__(self) -> str:
        """Return one line or several for a reader."""
        if self.unreachable:
            return f"!!! NOT AUDITED: {self.lock}: the database cannot be reached ({self.unreachable})"
        if self.failed:
            return f"!!! {self.lock}: pip-audit failed: {self.failed}"
        lines = [f"{self.lock}: {self.audited} packages audited, {len(self.vulnerable)} with known vulnerabilities"]
        lines += [f"!!! VULNERABLE: {entry}" for entry in self.vulnerable]
        lines += [f"!!! NOT AUDITED: {entry}" for entry in self.unknown]
        return "\n".join(lines)


def program(packages: Path = PACKAGES) -> tuple[list[str], dict[str, str]] | None:
    """Return the command of pip-audit and its environment, or None where it is not installed."""
    if (packages / "pip_audit").is_dir():
        return [sys.executable, "-m", "pip_audit"], {**os.environ, "PYTHONPATH": str(packages)}
    found = shutil.which("pip-audit")
    return ([found], dict(os.environ)) if found else None


def locks(requirements: Path = ROOT / "requirements") -> list[Path]:
    """Return every lock file."""
    return sorted(requirements.glob("*.txt"))


def audit(lock: Path, command: list[str], environment: dict[str, str]) -> Audit:
    """Audit the pins of one lock, those that hold for this Python and platform; packages are not installed."""
    with tempfile.TemporaryDirectory() as cache:
        done = subprocess.run(
            [*command, "--requirement", str(lock), "--disable-pip", "--require-hashes", "--format", "json",
             "--progress-spinner", "off", "--timeout", "20", "--cache-dir", cache],
            capture_output=True, text=True, timeout=900, env=environment,
        )  # fmt: skip
    try:
        found = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        said = (done.stderr + done.stdout).strip()
        if reason := UNREACHABLE.search(said):
            return Audit(lock.name, unreachable=reason[0])
        return Audit(lock.name, failed=said[-2000:] or f"status {done.returncode}")
    return Audit(
        lock.name,
        audited=sum("skip_reason" not in one for one in found),
        vulnerable=[
            f"{one['name']} {one['version']}: " + ", ".join(known["id"] for known in one["vulns"])
            for one in found
            if one.get("vulns")
        ],
        unknown=[f"{one['name']}: {one['skip_reason']}" for one in found if "skip_reason" in one],
    )


def main() -> int:
    """Audit every lock and say what was found."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    known = program()
    if known is None:
        print("!!! NOTHING WAS AUDITED: pip-audit is not installed; `make audit` brings it", file=sys.stderr)
        return 2
    audits = [audit(lock, *known) for lock in locks()]
    print("\n".join(map(str, audits)))
    if any(one.vulnerable or one.failed for one in audits):
        return 1
    return 2 if any(one.unreachable or one.unknown for one in audits) else 0


if __name__ == "__main__":
    sys.exit(main())
