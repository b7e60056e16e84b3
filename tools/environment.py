"""Bring .venv to what a lock file says: `python tools/environment.py runtime` or `… test`. Standard library only.

The test environment holds everything of the runtime one at the same pins, so it serves both and nothing is installed
back and forth. What was installed is kept by content in .venv/shapelens.json: a touched or newly checked-out lock that
says the same costs nothing, and needs no network.
"""

import argparse
import csv
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)
LOCKS = ("uv", "runtime", "test")
# Inside the environment: what it follows, and, while something is being installed, what it followed before.
RECORD, PENDING = "shapelens.json", "shapelens.pending"


class InstallError(Exception):
    """Something that the user can mend."""


def digests(requirements: Path) -> dict[str, str]:
    """Return the sha256 of each lock file."""
    return {name: hashlib.sha256((requirements / f"{name}.txt").read_bytes()).hexdigest() for name in LOCKS}


# Prints what names the Python that an environment is made from; the same from inside a virtual environment of it.
IDENTITY = "import os, sys; print(os.path.realpath(sys.base_prefix), '%d.%d' % sys.version_info[:2])"


def interpreter(python: str | Path) -> str:
    """Return a Python's identity, empty where it does not run."""
    try:
        return subprocess.run([python, "-c", IDENTITY], capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""


def choose(record: dict[str, object], wanted: str) -> str:
    """Return which lock to install: once the tests' tools are there they stay."""
    return "test" if record.get("lock") == "test" else wanted


def satisfied(record: dict[str, object], now: dict[str, str], wanted: str) -> bool:
    """Tell whether what is installed already covers the wanted lock."""
    installed, seen = record.get("lock"), record.get("sha256")
    if not isinstance(seen, dict) or installed not in ("runtime", "test") or not record.get("byte_code"):
        return False
    if installed == "runtime":
        return wanted == "runtime" and seen.get("runtime") == now["runtime"]
    return all(seen.get(name) == now[name] for name in ("runtime", "test"))


def damaged(site: Path) -> list[Path]:
    """Return the .dist-info folders whose packages are not complete, as a killed install leaves them."""
    found = []
    for folder in sorted(site.glob("*.dist-info")):
        # Read as it stands: from Python 3.12 on importlib.metadata leaves out files that are missing.
        record = folder / "RECORD"
        files = [row[0] for row in csv.reader(record.read_text().splitlines()) if row] if record.is_file() else []
        # Byte code is listed by pip but may be deleted at will.
        if not files or any(not (site / file).exists() for file in files if not file.endswith(".pyc")):
            found.append(folder)
    return found


def check_interpreter() -> None:
    """Stop where this Python is too old or cannot make virtual environments."""
    if sys.version_info < OLDEST:
        raise InstallError(
            f"Python {OLDEST[0]}.{OLDEST[1]} or newer is needed, and {sys.executable} is {sys.version.split()[0]}. "
            "Name another one: make PYTHON=python3.12 …"
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError as error:
        short = f"{sys.version_info[0]}.{sys.version_info[1]}"
        raise InstallError(
            f"{sys.executable} cannot make virtual environments (no module {error.name}). On Debian and Ubuntu: "
            f"apt-get install python{short}-venv; on Fedora: dnf install python3-pip; or name another Python: "
            "make PYTHON=…"
        ) from None


def run(*command: str | Path) -> None:
    """Run a command and stop where it fails; a child that outlives this process keeps its lock."""
    parts = [str(part) for part in command]
    code = subprocess.run(parts, stdin=subprocess.DEVNULL, close_fds=False).returncode
    if code:
        raise InstallError(
            f"`{' '.join(parts)}` ended with status {code} (its own message is above). "
            "Installing needs the package registry, or a mirror named in pip's and uv's own settings; "
            "what is complete is kept, so the same `make` goes on from here."
        )


def works(*command: str | Path) -> bool:
    """Tell whether a command runs and succeeds."""
    try:
        return subprocess.run([str(part) for part in command], capture_output=True).returncode == 0
    except OSError:
        return False


def installed_uv(venv: Path) -> str:
    """Return the version of uv in the environment, empty where there is none that runs."""
    try:
        out = subprocess.run([venv / "bin" / "uv", "--version"], capture_output=True, text=True)
    except OSError:
        return ""
    return out.stdout.split()[1] if out.returncode == 0 and len(out.stdout.split()) > 1 else ""


@contextmanager
def alone(requirements: Path) -> Iterator[None]:
    """Let one make at a time install; a second waits and then finds the work done."""
    handle = os.open(requirements, os.O_RDONLY)
    os.set_inheritable(handle, True)
    try:
        with suppress(OSError):  # some network file systems have no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def read(path: Path) -> dict[str, object]:
    """Return a small JSON record, empty where there is none that can be read."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def packages(site: Path) -> list[str]:
    """Return the names and versions of what is installed."""
    return sorted(folder.name for folder in site.glob("*.dist-info"))


def settle(venv: Path) -> None:
    """Look at what a failed or killed install left: the old record holds again if nothing was changed.

    Otherwise packages that are not complete are struck off, so that the next install brings them anew.
    """
    record_file, pending = venv / RECORD, venv / PENDING
    for site in (venv / "lib").glob("python*/site-packages"):
        broken = damaged(site)
        before = read(pending)
        if not broken and before.get("record") and before.get("packages") == packages(site):
            record_file.write_text(json.dumps(before["record"], indent=1) + "\n")
            pending.unlink()
        for folder in broken:
            print(f"{venv.name}: {folder.name} was left incomplete; installed again", flush=True)
            shutil.rmtree(folder)


def build(venv: Path, requirements: Path, wanted: str) -> str:
    """Make or mend the environment and return the lock that it now follows."""
    record_file, pending = venv / RECORD, venv / PENDING
    now, python = digests(requirements), interpreter(sys.executable)
    same = interpreter(venv / "bin" / "python") == python
    if same and pending.exists():
        settle(venv)
    record = read(record_file) if same else {}
    if satisfied(record, now, wanted):
        return str(record["lock"])

    check_interpreter()
    if not (same and works(venv / "bin" / "python", "-m", "pip", "--version")):
        if venv.exists():
            print(f"{venv.name}: made by another Python or broken; made anew", flush=True)
            shutil.rmtree(venv)
        record = {}
        base = getattr(sys, "_base_executable", None) or sys.executable
        run(base, "-m", "venv", venv)

    site = next((venv / "lib").glob("python*/site-packages"))
    pending.write_text(json.dumps({"record": record, "packages": packages(site)}))
    record_file.unlink(missing_ok=True)
    lock = choose(record, wanted)
    try:
        pin = (requirements / "uv.in").read_text().split("==")[1].split()[0]
        if installed_uv(venv) != pin:
            pip = (venv / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "--quiet")
            run(*pip, "install", "--force-reinstall", "--require-hashes", "-r", requirements / "uv.txt")
        target = requirements / f"{lock}.txt"
        # Python cannot keep byte code where PYTHONDONTWRITEBYTECODE is set, as in many containers: then each job would
        # compile all that it imports, for torch a third of its start.
        sync = (venv / "bin" / "uv", "pip", "sync", "--compile-bytecode", "--require-hashes")
        run(*sync, "--python", venv / "bin" / "python", target)
    except InstallError:
        settle(venv)
        raise
    record_file.write_text(json.dumps({"lock": lock, "sha256": now, "byte_code": True}, indent=1) + "\n")
    pending.unlink()
    return lock


def main() -> int:
    """Install what is missing; 1 and a sentence on standard error where that cannot be done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lock", choices=["runtime", "test"])
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv")
    parser.add_argument("--requirements", type=Path, default=ROOT / "requirements")
    options = parser.parse_args()
    start = time.monotonic()
    try:
        with alone(options.requirements):
            lock = build(options.venv, options.requirements, options.lock)
    except InstallError as error:
        print(f"environment: {error}", file=sys.stderr)
        return 1
    seconds = time.monotonic() - start
    if seconds > 2:
        print(f"{options.venv.name}: follows requirements/{lock}.txt ({seconds:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
