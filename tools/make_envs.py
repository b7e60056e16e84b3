"""Write envs/*.yaml, the conda environments of the rules, from the lock; `--check` only compares.

Both hold what their rules import, at the lock's exact versions; what those packages need in turn is left to conda's
solver, because its packages are split otherwise than the registry's.
"""

import argparse
import sys
from pathlib import Path

from packaging.markers import Marker

ROOT = Path(__file__).resolve().parent.parent
# The lock has versions of its own for 3.11 (the newest numpy no longer supports it).
PYTHON = "3.12"
# Lock name → conda-forge name, where they differ.
CONDA = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
# Not on conda-forge.
ONLY_PIP = {"pyautoattack"}
LIGHT = ("jinja2", "matplotlib", "numpy", "pandas", "pillow", "pyarrow", "pydantic", "scipy", "seaborn")
HEAVY = (
    *("matplotlib", "numpy", "pandas", "pillow", "pyarrow", "pyautoattack", "pydantic"),
    *("safetensors", "torch", "torchvision"),
)
ENVIRONMENTS = {
    "plots": ("Draws tables and figures, makes test sets, counts: no torch.", LIGHT),
    "torch": ("Trains, attacks, evaluates, draws saliency maps.", HEAVY),
}


def pins(lock: str, python: str) -> dict[str, str]:
    """Return name → version of a lock's requirements that hold on Linux with this Python."""
    where = {"python_full_version": f"{python}.0", "python_version": python, "sys_platform": "linux"}
    where |= {"platform_machine": "x86_64", "platform_system": "Linux", "os_name": "posix"}
    found: dict[str, str] = {}
    for line in lock.splitlines():
        if not line or line[0] in " #":
            continue
        requirement, _, marker = line.removesuffix("\\").partition(";")
        if marker.strip() and not Marker(marker.strip()).evaluate(where):
            continue
        name, _, version = requirement.strip().partition("==")
        found[name] = version
    return found


def render(about: str, names: tuple[str, ...], versions: dict[str, str]) -> str:
    """Return the text of one environment file."""
    conda = sorted(f"{CONDA.get(name, name)}={versions[name]}" for name in names if name not in ONLY_PIP)
    pip = sorted(f"{name}=={versions[name]}" for name in names if name in ONLY_PIP)
    lines = [f"# {about} Written by tools/make_envs.py from requirements/runtime.txt: run `make lock`."]
    lines += ["channels:", "  - conda-forge", "  - nodefaults", "dependencies:", f"  - python={PYTHON}"]
    lines += [f"  - {pin}" for pin in conda]
    if pip:
        lines += ["  - pip", "  - pip:", *(f"      - {pin}" for pin in pip)]
    return "\n".join(lines) + "\n"


def rendered(root: Path = ROOT) -> dict[Path, str]:
    """Return what every environment file should say."""
    versions = pins((root / "requirements" / "runtime.txt").read_text(), PYTHON)
    return {root / "envs" / f"{name}.yaml": render(*entry, versions) for name, entry in ENVIRONMENTS.items()}


def main() -> int:
    """Write the files, or with --check return 1 where one of them differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 where a file is out of step")
    options = parser.parse_args()
    stale = [(path, text) for path, text in rendered().items() if not path.exists() or path.read_text() != text]
    for path, text in stale:
        if options.check:
            print(f"{path.relative_to(ROOT)}: out of step with requirements/runtime.txt; run `make lock`")
        else:
            path.write_text(text)
    return int(options.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
