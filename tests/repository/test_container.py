"""The container file and the Kubernetes profile, as far as they can be checked without an engine or a cluster."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "Containerfile").read_text()


def instructions(text: str) -> list[tuple[str, str]]:
    """Return (instruction, arguments) of a container file, continued lines joined."""
    joined = re.sub(r"\\\n", " ", "\n".join(line for line in text.splitlines() if not line.startswith("#")))
    return [
        (word.upper(), rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)
    ]


def faults(text: str, known: set[str]) -> list[str]:
    """Return what is wrong with a container file; ``known`` are the files that a build may copy."""
    found = []
    steps = instructions(text)
    base = next(rest.partition("=")[2] for word, rest in steps if word == "ARG" and rest.startswith("BASE="))
    python = re.search(r"python:(\d+)\.(\d+)[.\d]*-slim", base)
    if python is None or (int(python[1]), int(python[2])) < (3, 11):
        found.append(f"base: {base}")
    if ("FROM", "${BASE}") not in steps:
        found.append("FROM")
    for word, rest in steps:
        if word == "ADD":
            found.append("ADD fetches and unpacks unseen")
        if word == "COPY":
            *sources, _ = [part for part in shlex.split(rest) if not part.startswith("--")]
            found += [
                f"COPY {source}"
                for source in sources
                if source not in known and not any(path.startswith(f"{source}/") for path in known)
            ]
        if word == "RUN" and "apt-get install" in rest and "rm -rf /var/lib/apt/lists" not in rest:
            found.append("apt's lists are left")
        if word == "RUN" and re.search(r"pip (install|download)", rest) and "--require-hashes" not in rest:
            found.append(f"without hashes: {rest}")
    users = [rest for word, rest in steps if word == "USER"]
    if not users or users[-1] in ("root", "0"):
        found.append("USER")
    before = [rest for word, rest in steps[: [word for word, _ in steps].index("COPY")] if word == "ENV"]
    if not {"PIP_NO_CACHE_DIR=1", "UV_NO_CACHE=1"} <= set(" ".join(before).split()):
        found.append("caches are kept")
    return found


def tracked() -> set[str]:
    listing = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listing, capture_output=True, text=True)
    if done.returncode:
        return {path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if path.is_file()}
    return set(done.stdout.splitlines())


def test_the_container_file_keeps_its_rules() -> None:
    assert faults(TEXT, tracked()) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("python:3.12-slim", "python:3.10-slim"),
        ("COPY --chown=1000:1000 rules rules", "COPY --chown=1000:1000 ruels rules"),
        ("COPY --chown=1000:1000 envs envs", "ADD envs envs"),
        ("USER 1000", "USER root"),
        (" && rm -rf /var/lib/apt/lists/*", ""),
        ("--no-deps --only-binary=:all: --require-hashes", "--no-deps"),
        ("PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1", "PIP_NO_CACHE_DIR=1"),
    ],
)
def test_a_broken_container_file_would_be_seen(old: str, new: str) -> None:
    assert old in TEXT
    assert len(faults(TEXT.replace(old, new), tracked())) == 1


def test_it_installs_the_locks_of_this_checkout() -> None:
    runs = " ".join(rest for word, rest in instructions(TEXT) if word == "RUN")
    assert "tools/environment.py runtime" in runs
    assert "requirements/kubernetes.txt" in runs


def test_the_image_holds_all_that_a_run_reads() -> None:
    copied = {shlex.split(rest)[-2] for word, rest in instructions(TEXT) if word == "COPY"}
    copied |= {"Snakefile", "config.yaml"} if "Snakefile config.yaml ./" in TEXT else set()
    assert {"Snakefile", "config.yaml", "configs", "rules", "workflow", "envs", "profiles"} <= copied


def test_the_profile_keeps_the_default_keys() -> None:
    default, kubernetes = (
        yaml.safe_load((ROOT / "profiles" / name / "config.yaml").read_text()) for name in ("default", "kubernetes")
    )
    assert {key: kubernetes.get(key) for key in default} == default
