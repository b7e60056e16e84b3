"""Locks, conda environments, and the tool that installs them."""

import ast
import importlib.metadata
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from packaging.requirements import Requirement

from shapelens.planning.code_digest import Code

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements"
LOCKS = ["uv", "runtime", "slurm", "test"]


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def entries(lock: str) -> dict[str, int]:
    """Return requirement line → number of hashes below it."""
    found: dict[str, int] = {}
    name = ""
    for line in lock.splitlines():
        if line and line[0] not in " #":
            name = line.rstrip("\\ ")
            found[name] = 0
        elif line.strip().startswith("--hash=sha256:"):
            found[name] += 1
    return found


def read_lock(name: str) -> dict[str, int]:
    return entries((REQUIREMENTS / f"{name}.txt").read_text())


def direct(name: str) -> set[str]:
    """Return the packages that an .in file names."""
    lines = (line.partition("#")[0].strip() for line in (REQUIREMENTS / f"{name}.in").read_text().splitlines())
    return {re.split(r"[=<>~]", line)[0].lower() for line in lines if line and not line.startswith("-")}


@pytest.mark.parametrize("name", [*LOCKS, "kubernetes", "audit"])
def test_every_requirement_is_pinned_with_hashes(name: str) -> None:
    lock = read_lock(name)
    assert lock
    assert [line for line, hashes in lock.items() if not hashes] == []
    # A local version (2.13.0+cpu) would come from a folder of wheels, not from the registry.
    assert [line for line in lock if not re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*( ; .+)?", line)] == []


def test_a_missing_hash_would_be_seen() -> None:
    assert entries("a==1 \\\n    --hash=sha256:00\nb==2\n    # via a\n") == {"a==1": 1, "b==2": 0}


@pytest.mark.parametrize("name", [*LOCKS, "kubernetes", "audit"])
def test_locks_hold_what_is_asked_for(name: str) -> None:
    locked = {line.partition("==")[0] for line in read_lock(name)}
    assert direct(name) - locked == set()


def test_test_lock_holds_the_runtime_lock_unchanged() -> None:
    runtime, test = (
        tool("make_envs").pins((REQUIREMENTS / f"{n}.txt").read_text(), "3.12") for n in ("runtime", "test")
    )
    assert {name: test.get(name) for name in runtime} == runtime
    # Line by line, markers included, so that it holds for every Python.
    assert set(read_lock("runtime")) - set(read_lock("test")) == set()


def test_the_slurm_plugin_comes_on_top_of_the_runtime() -> None:
    plugin, runtime = (
        set(tool("make_envs").pins((REQUIREMENTS / f"{n}.txt").read_text(), "3.12")) for n in ("slurm", "runtime")
    )
    assert not plugin & runtime
    folder = ROOT / ".venv" / "slurm"
    if not folder.is_dir():
        pytest.skip("NO SLURM PLUGIN: .venv/slurm is not there (make test-env)")
    found = {one.metadata["Name"]: one for one in importlib.metadata.distributions(path=[str(folder)])}
    assert set(found) == plugin
    needs = [Requirement(line) for one in found.values() for line in one.requires or []]
    assert [str(need) for need in needs if need.name not in plugin | runtime] == []
    for need in needs:
        version = found[need.name].version if need.name in found else importlib.metadata.version(need.name)
        assert need.specifier.contains(version), need


def test_plugins_are_locked_beside_the_runtime() -> None:
    """Whoever installs them into the environment of `make run` changes nothing that is there."""
    runtime, plugins = (
        tool("make_envs").pins((REQUIREMENTS / f"{n}.txt").read_text(), "3.12") for n in (LOCKS[1], "kubernetes")
    )
    shared = runtime.keys() & plugins.keys()
    assert "snakemake-interface-common" in shared
    assert {name: plugins[name] for name in shared} == {name: runtime[name] for name in shared}


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_torch_and_torchvision_fit(python: str) -> None:
    pins = tool("make_envs").pins((REQUIREMENTS / "runtime.txt").read_text(), python)
    torch, torchvision = (tuple(int(part) for part in pins[name].split(".")[:2]) for name in ("torch", "torchvision"))
    assert torch >= (2, 11)
    assert torchvision >= (0, 26)


def test_conda_environments_are_in_step() -> None:
    make_envs = tool("make_envs")
    for path, text in make_envs.rendered().items():
        assert path.read_text() == text, f"{path.name}: run `make lock`"
    assert sorted(path.name for path in (ROOT / "envs").glob("*.yaml")) == ["plots.yaml", "torch.yaml"]


def test_conda_environments_that_drift_are_seen(tmp_path: Path) -> None:
    make_envs = tool("make_envs")
    lock = (REQUIREMENTS / "runtime.txt").read_text()
    moved = re.sub(r"^torch==\S+", "torch==9.9.9", lock, flags=re.MULTILINE)
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "runtime.txt").write_text(moved)
    texts = {path.name: text for path, text in make_envs.rendered(tmp_path).items()}
    assert "- pytorch=9.9.9" in texts["torch.yaml"]
    assert texts["torch.yaml"] != (ROOT / "envs" / "torch.yaml").read_text()
    assert texts["plots.yaml"] == (ROOT / "envs" / "plots.yaml").read_text()


@pytest.mark.parametrize("name", ["plots", "torch"])
def test_conda_environments_pin_everything(name: str) -> None:
    environment = yaml.safe_load((ROOT / "envs" / f"{name}.yaml").read_text())
    conda = [entry for entry in environment["dependencies"] if isinstance(entry, str) and entry != "pip"]
    assert [entry for entry in conda if not re.fullmatch(r"[a-z0-9-]+=[0-9][0-9a-z.]*", entry)] == []
    assert any(entry.startswith("python=3.") for entry in conda)
    assert any(entry.startswith("pytorch=") for entry in conda) == (name == "torch")
    assert environment["channels"] == ["conda-forge", "nodefaults"]


# Import name → lock name, where they differ.
PACKAGES = {"PIL": "pillow", "yaml": "pyyaml"}


def rules() -> list[tuple[str, str, Path]]:
    """Return (rule, conda environment, script) of every rule that runs a script of ours in one."""
    found = []
    for path in (ROOT / "rules").glob("*.smk"):
        for block in re.split(r"^(?=\s*rule \w+:)", path.read_text(), flags=re.M)[1:]:
            conda = re.search(r'"\.\./envs/(\w+)\.yaml"', block)
            script = re.search(r'"\.\./workflow/scripts/(\w+\.py)"', block)
            if conda and script:
                name = block.split(":")[0].split()[-1]
                found.append((name, conda[1], ROOT / "workflow" / "scripts" / script[1]))
    return found


def third_party(tree: ast.AST) -> set[str]:
    """Return the packages outside the standard library that a file imports when it runs, at any depth of its code."""
    names: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
        names |= third_party(node)
    return {PACKAGES.get(name, name) for name in names} - sys.stdlib_module_names - {"shapelens", "snakemake", ""}


def needed(script: Path) -> set[str]:
    files = [script, *Code(script.parent).closure(script)]
    return set().union(*(third_party(ast.parse(file.read_text())) for file in files))


def test_conda_environments_hold_what_their_rules_import() -> None:
    # timm is for studies that ask for it by name, and is not installed otherwise.
    environments = {"plots": set(tool("make_envs").LIGHT), "torch": {*tool("make_envs").HEAVY, "timm"}}
    assert {environment for _, environment, _ in rules()} == set(environments)
    missing = {rule: needed(script) - environments[environment] for rule, environment, script in rules()}
    assert {rule: names for rule, names in missing.items() if names} == {}


def test_an_import_that_an_environment_lacks_would_be_seen() -> None:
    source = (
        "import numpy\nif TYPE_CHECKING:\n    import pandas\ndef f():\n    from torch import nn\n    import PIL.Image\n"
    )
    assert third_party(ast.parse(source)) == {"numpy", "torch", "pillow"}


@pytest.mark.parametrize(
    "source",
    ["torch/_meta_registrations.py", "pandas/core/frame.py", "matplotlib/axes/_axes.py", "snakemake/workflow.py"],
)
def test_the_environment_holds_byte_code(source: str) -> None:
    """Where PYTHONDONTWRITEBYTECODE is set, each job would otherwise compile all that it imports."""
    package = importlib.util.find_spec(source.partition("/")[0])
    assert package is not None and package.origin is not None
    path = Path(package.origin).parent.parent / source
    assert path.is_file() and Path(importlib.util.cache_from_source(str(path))).is_file()


def test_environment_tool_starts_without_any_package() -> None:
    command = [sys.executable, "-I", "-S", ROOT / "tools" / "environment.py", "--help"]
    assert subprocess.run(command, capture_output=True).returncode == 0


DIGESTS = {"uv": "u", "runtime": "r", "test": "t"}


def test_tests_environment_serves_the_run() -> None:
    environment = tool("environment")
    runtime, test = ({"lock": lock, "sha256": DIGESTS, "byte_code": True} for lock in ("runtime", "test"))
    assert environment.satisfied(test, DIGESTS, "runtime")
    assert environment.satisfied(test, DIGESTS, "test")
    assert environment.satisfied(runtime, DIGESTS, "runtime")
    assert not environment.satisfied(runtime, DIGESTS, "test")
    assert not environment.satisfied({}, DIGESTS, "runtime")
    # One that was made before byte code was compiled is brought up to date.
    assert not environment.satisfied({"lock": "test", "sha256": DIGESTS}, DIGESTS, "test")
    # Tests' tools stay when the run's lock changes: nothing goes back and forth.
    assert environment.choose(test, "runtime") == "test"
    assert environment.choose({}, "runtime") == "runtime"


@pytest.mark.parametrize("changed", ["runtime", "test"])
def test_a_changed_lock_is_installed(changed: str) -> None:
    environment = tool("environment")
    now = DIGESTS | {changed: "new"}
    runtime, test = ({"lock": lock, "sha256": DIGESTS, "byte_code": True} for lock in ("runtime", "test"))
    assert not environment.satisfied(test, now, "runtime")
    assert environment.satisfied(runtime, now, "runtime") == (changed == "test")


def installed(site: Path, name: str, files: list[str]) -> Path:
    folder = site / f"{name}-1.dist-info"
    folder.mkdir(parents=True)
    for file in files:
        (site / file).parent.mkdir(exist_ok=True)
        (site / file).touch()
    (folder / "RECORD").write_text("".join(f"{file},,\n" for file in [*files, f"{folder.name}/RECORD"]))
    return folder


def test_packages_left_incomplete_are_struck_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    environment = tool("environment")
    site = tmp_path / "lib" / "python3.11" / "site-packages"
    whole = installed(site, "whole", ["whole/__init__.py", "whole/a.pyc"])
    (site / "whole" / "a.pyc").unlink()
    torn = installed(site, "torn", ["torn/__init__.py", "torn/core.so"])
    (site / "torn" / "core.so").unlink()
    unrecorded = installed(site, "unrecorded", ["unrecorded/__init__.py"])
    (unrecorded / "RECORD").unlink()
    (tmp_path / environment.PENDING).write_text("{}")
    environment.settle(tmp_path)
    assert [path.exists() for path in (whole, torn, unrecorded)] == [True, False, False]
    assert not (tmp_path / environment.RECORD).exists()
    assert "torn-1.dist-info" in capsys.readouterr().out


def test_an_install_that_failed_before_it_changed_anything_costs_nothing(tmp_path: Path) -> None:
    environment = tool("environment")
    site = tmp_path / "lib" / "python3.11" / "site-packages"
    installed(site, "whole", ["whole/__init__.py"])
    record = {"lock": "test", "sha256": DIGESTS}
    pending = tmp_path / environment.PENDING
    pending.write_text(json.dumps({"record": record, "packages": environment.packages(site)}))
    environment.settle(tmp_path)
    assert environment.read(tmp_path / environment.RECORD) == record
    assert not pending.exists()
    # With one package more than before, something was changed, and the next make installs again.
    (tmp_path / environment.RECORD).unlink()
    pending.write_text(json.dumps({"record": record, "packages": environment.packages(site)}))
    installed(site, "new", ["new/__init__.py"])
    environment.settle(tmp_path)
    assert not (tmp_path / environment.RECORD).exists()


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", "-C", str(ROOT), *arguments], capture_output=True, text=True)


def test_make_explains_a_missing_or_old_python(tmp_path: Path) -> None:
    missing = make("env", "PYTHON=no-such-python")
    assert missing.returncode != 0
    assert "no-such-python" in missing.stderr and "PYTHON=" in missing.stderr
    old = tmp_path / "python-old"
    # Runs make's one-line check with the version of an old interpreter.
    old.write_text(
        f'#!/bin/sh\nexec {sys.executable} -c "import sys; sys.version_info = (3, 9); exec(sys.argv[1])" "$2"\n'
    )
    old.chmod(0o755)
    answer = make("env", f"PYTHON={old}")
    assert answer.returncode != 0
    assert "3.11 or newer is needed" in answer.stderr and "is 3.9" in answer.stderr


def test_a_python_without_venv_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = tool("environment")
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    with pytest.raises(environment.InstallError, match=r"apt-get install python3\.\d+-venv"):
        environment.check_interpreter()
