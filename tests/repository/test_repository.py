"""What the repository as a whole must keep: nothing of one machine in it, and its own papers in order."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

import shapelens

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = {".git", ".venv", ".snakemake", "results", "resources", "logs", "__pycache__", "build", "dist"}
# Spelt in pieces, so that this file passes its own test.
HOSTS = ["pypi" + ".org", "python" + "hosted.org", "ana" + "conda.org", "download." + "pytorch.org", "npm" + "js.org"]
OPTIONS = ["--index" + "-url", "--extra-index" + "-url", "--find" + "-links"]
REGISTRY = re.compile("|".join(re.escape(word) for word in HOSTS + OPTIONS))
MACHINE = re.compile(r"(?<![\w.<}])/(?:work|root|opt/wheels|opt/pypi)(?=/[\w.]|\b[\"'\s])")
MEGABYTE = 1_000_000


def walk(root: Path) -> list[Path]:
    """Return every file that a checkout without git would hold."""
    found = []
    for folder, names, files in os.walk(root):
        names[:] = [name for name in names if name not in LEFT_OUT and not name.endswith(("_cache", ".egg-info"))]
        found += [Path(folder, name) for name in files]
    return found


def tracked(root: Path = ROOT) -> list[Path]:
    """Return the files git knows or would add; all files where this is no git checkout."""
    listing = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        out = subprocess.run(listing, capture_output=True, check=True).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        return walk(root)
    # An archive unpacked inside another repository is not that repository's.
    top = subprocess.run(["git", "-C", str(root), "rev-parse", "--show-toplevel"], capture_output=True, text=True)
    if Path(top.stdout.strip()).resolve() != root.resolve():
        return walk(root)
    return [root / name for name in out.split("\0") if name and (root / name).is_file()]


def offences(pattern: re.Pattern[str], text: str) -> list[str]:
    return [line.strip()[:120] for line in text.splitlines() if pattern.search(line)]


def texts() -> list[tuple[Path, str]]:
    found = []
    for path in tracked():
        data = path.read_bytes()
        if b"\0" not in data[:8192]:
            found.append((path.relative_to(ROOT), data.decode("utf-8")))
    return found


def test_files_name_no_registry() -> None:
    assert {str(path): hits for path, text in texts() if (hits := offences(REGISTRY, text))} == {}


def test_files_name_no_machine() -> None:
    assert {str(path): hits for path, text in texts() if (hits := offences(MACHINE, text))} == {}


@pytest.mark.parametrize("line", [OPTIONS[0] + " x", "https://" + HOSTS[0] + "/simple", OPTIONS[2] + "=wheels"])
def test_a_registry_would_be_seen(line: str) -> None:
    assert offences(REGISTRY, f"torch==2.15.0\n{line}\n") == [line]


@pytest.mark.parametrize("folder", ["/wo" + "rk/main/x", "/ro" + "ot/.cache", "/opt/whe" + "els/torch.whl"])
def test_a_machine_path_would_be_seen(folder: str) -> None:
    assert offences(MACHINE, f"path: {folder}") != []
    assert offences(MACHINE, "see ../shared/data, a network/ro" + "ot node and {out}/wo" + "rk/x") == []


def test_files_are_small() -> None:
    assert [str(path) for path in tracked() if path.stat().st_size > MEGABYTE] == []


def test_results_are_not_tracked() -> None:
    kept_out = {"results", "resources", ".snakemake", ".venv", "logs"}
    assert [str(path) for path in tracked() if path.relative_to(ROOT).parts[0] in kept_out] == []


def test_a_checkout_without_git_is_walked(tmp_path: Path) -> None:
    for name in ["README.md", ".venv/pip.py", "results/x.csv", "docs/a.md", ".mypy_cache/b"]:
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    assert sorted(str(path.relative_to(tmp_path)) for path in tracked(tmp_path)) == ["README.md", "docs/a.md"]


def test_readme_names_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text()
    assert "make run" in text
    assert "make test" in text


def test_links_between_documents_lead_somewhere() -> None:
    dead = []
    for path, text in texts():
        if path.suffix != ".md":
            continue
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
            if "://" not in target and not target.startswith("mailto:") and not (ROOT / path.parent / target).exists():
                dead.append(f"{path}: {target}")
    assert dead == []


def test_citation_matches_the_package() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == shapelens.__version__
    assert citation["license"] == "MIT"
    assert citation["authors"] and citation["message"] and citation["type"] == "software"
    (paper,) = citation["references"]
    assert (paper["volume"], paper["start"], paper["end"], paper["year"]) == (97, 7502, 7511, 2019)
    assert [author["family-names"] for author in paper["authors"]] == ["Zhang", "Zhu"]


def test_licence_and_changelog_are_there() -> None:
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text()


def test_catalogue_entry_parses() -> None:
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment", "report"}


def test_ci_runs_the_tests() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", script]).returncode == 0
    last = script.read_text().rstrip().splitlines()[-1]
    assert last.startswith("exec make test")
