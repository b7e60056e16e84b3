"""What is installed: its known vulnerabilities, its bill of materials, and the CI that installs it elsewhere."""

import importlib.util
import json
import re
import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
LOCKS = {path.name for path in (ROOT / "requirements").glob("*.txt")}


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# Known vulnerabilities


def test_no_pinned_package_has_a_known_vulnerability() -> None:
    """Runs where pip-audit is installed (`make audit-env`, as in CI) and its database can be reached."""
    audit = tool("audit")
    known = audit.program()
    if known is None:
        pytest.skip("NO DEPENDENCY AUDIT: pip-audit is not installed (make audit-env)")
    audits = []
    for lock in audit.locks():
        audits.append(audit.audit(lock, *known))
        if audits[-1].unreachable:
            pytest.skip(f"NO DEPENDENCY AUDIT: {audits[-1]}")
        for entry in audits[-1].unknown:
            warnings.warn(f"NOT AUDITED: {entry}", stacklevel=1)
    problems = [str(one) for one in audits if one.vulnerable or one.failed]
    assert not problems, "\n".join(problems)


# Answers as pip-audit gives them: (standard output, standard error, status).
CLEAN = (json.dumps({"dependencies": [{"name": "a", "version": "1", "vulns": []}]}), "", 0)
VULNERABLE = (
    json.dumps({"dependencies": [{"name": "a", "version": "1", "vulns": [{"id": "CVE-1"}, {"id": "CVE-2"}]}]}),
    "Found 2 known vulnerabilities in 1 package",
    1,
)
UNKNOWN = (json.dumps({"dependencies": [{"name": "a", "skip_reason": "not on the registry"}]}), "", 0)
NO_NETWORK = ("", "ERROR:pip_audit._cli:requests.exceptions.ConnectionError: Max retries exceeded", 1)
BROKEN = ("", "usage: pip-audit …", 2)


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        (CLEAN, 0, "runtime.txt: 1 packages audited, 0 with known"),
        (VULNERABLE, 1, "VULNERABLE: a 1: CVE-1, CVE-2"),
        (UNKNOWN, 2, "NOT AUDITED: a: not on the registry"),
        (NO_NETWORK, 2, "NOT AUDITED: runtime.txt: the database cannot be reached (ConnectionError)"),
        (BROKEN, 1, "runtime.txt: pip-audit failed: usage"),
    ],
)
def test_every_lock_is_audited_and_what_was_not_is_said_aloud(tmp_path, monkeypatch, capsys, answer, status, said):
    audit = tool("audit")
    fake = tmp_path / "pip-audit"
    out, err, code = answer
    noted = f"print(*sys.argv[1:], file=open({str(tmp_path / 'asked')!r}, 'a'))"
    answered = f"print({out!r})\nprint({err!r}, file=sys.stderr)\nsys.exit({code})"
    fake.write_text(f"#!{sys.executable}\nimport sys\n{noted}\n{answered}\n")
    fake.chmod(0o755)
    monkeypatch.setattr(audit, "program", lambda: ([str(fake)], {}))
    monkeypatch.setattr(sys, "argv", ["audit"])
    assert audit.main() == status
    assert said in capsys.readouterr().out
    asked = (tmp_path / "asked").read_text().splitlines()
    assert {Path(re.search(r"--requirement (\S+)", line)[1]).name for line in asked} == LOCKS
    assert all("--require-hashes" in line and "--disable-pip" in line for line in asked)


def test_an_audit_without_pip_audit_is_none(monkeypatch, capsys):
    audit = tool("audit")
    monkeypatch.setattr(audit, "program", lambda: None)
    monkeypatch.setattr(sys, "argv", ["audit"])
    assert audit.main() == 2
    assert "NOTHING WAS AUDITED" in capsys.readouterr().err


# The bill of materials

HASH = {
    "type": "object",
    "required": ["alg", "content"],
    "additionalProperties": False,
    "properties": {"alg": {"const": "SHA-256"}, "content": {"type": "string", "pattern": "^[a-f0-9]{64}$"}},
}
LICENSES = {"type": "array", "items": {"type": "object", "required": ["license"]}}
COMPONENT = {
    "type": "object",
    "required": ["type", "name"],
    "additionalProperties": False,
    "properties": {
        "type": {"enum": ["application", "library"]},
        "bom-ref": {"type": "string", "minLength": 1},
        "name": {"type": "string"},
        "version": {"type": "string"},
        "scope": {"enum": ["required", "optional", "excluded"]},
        "licenses": LICENSES,
        "purl": {"type": "string"},
        "externalReferences": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["url", "type"],
                "additionalProperties": False,
                "properties": {
                    "url": {"type": "string"},
                    "type": {"const": "distribution"},
                    "hashes": {"type": "array", "items": HASH, "minItems": 1},
                },
            },
        },
        "properties": {"type": "array", "items": {"type": "object", "required": ["name"]}},
    },
}
SCHEMA = {
    "type": "object",
    "required": ["bomFormat", "specVersion"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"const": "http://cyclonedx.org/schema/bom-1.6.schema.json"},
        "bomFormat": {"const": "CycloneDX"},
        "specVersion": {"const": "1.6"},
        "serialNumber": {
            "type": "string",
            "pattern": "^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
        },
        "version": {"type": "integer", "minimum": 1},
        "metadata": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "lifecycles": {"type": "array", "items": {"properties": {"phase": {"enum": ["pre-build"]}}}},
                "component": COMPONENT,
            },
        },
        "components": {"type": "array", "items": COMPONENT, "uniqueItems": True, "minItems": 1},
        "dependencies": {
            "type": "array",
            "uniqueItems": True,
            "items": {
                "type": "object",
                "required": ["ref"],
                "additionalProperties": False,
                "properties": {
                    "ref": {"type": "string"},
                    "dependsOn": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
                },
            },
        },
    },
}
"""Of the published schema of CycloneDX 1.6: what is required, and which keys are allowed, of the objects used here."""


@pytest.fixture(scope="module")
def bill():
    done = subprocess.run([sys.executable, "-I", "-S", ROOT / "tools" / "sbom.py"], capture_output=True, check=True)
    return json.loads(done.stdout)


def test_the_bill_of_materials_is_cyclonedx(bill):
    jsonschema.validate(bill, SCHEMA)
    refs = [one["bom-ref"] for one in [bill["metadata"]["component"], *bill["components"]]]
    assert len(refs) == len(set(refs))
    assert {one["ref"] for one in bill["dependencies"]} == set(refs)
    assert {below for one in bill["dependencies"] for below in one["dependsOn"]} <= set(refs)
    purl = re.compile(r"pkg:pypi/[a-z0-9-]+@[0-9][0-9a-z.]*")
    assert [one["purl"] for one in bill["components"] if not purl.fullmatch(one["purl"])] == []


def test_the_bill_holds_every_pin_of_every_lock_with_its_hashes(bill):
    found = {}
    for one in bill["components"]:
        (reference,) = one["externalReferences"]
        for entry in one["properties"]:
            if entry["name"] == "shapelens:lock":
                key = (Path(entry["value"]).name, one["name"], one["version"])
                found[key] = {files["content"] for files in reference["hashes"]}
    locked, key = {}, None
    for path in (ROOT / "requirements").glob("*.txt"):
        for line in path.read_text().splitlines():
            if pin := re.match(r"([a-z0-9-]+)==([^\s;]+)", line):
                key = (path.name, pin[1], pin[2])
                locked[key] = set()
            elif "--hash=sha256:" in line:
                locked[key].add(re.search("[0-9a-f]{64}", line)[0])
    for lock, name, version in locked:
        assert locked[lock, name, version] <= found[lock, name, version]
    assert found.keys() == locked.keys() and {lock for lock, *_ in found} == LOCKS


def test_the_bill_says_what_needs_what_and_for_whom(bill):
    needs = {one["ref"]: {re.sub(".*/|@.*", "", below) for below in one["dependsOn"]} for one in bill["dependencies"]}
    names = {re.sub(".*/|@.*", "", ref): below for ref, below in needs.items()}
    assert {"torch", "snakemake", "pytest", "uv", "pip-audit"} <= names["shapelens"]
    assert "sympy" in names["torch"] and "mpmath" in names["sympy"] and "sympy" not in names["shapelens"]
    scopes = {one["name"]: one["scope"] for one in bill["components"]}
    wanted = {"torch": "required", "kubernetes": "optional", "pytest": "excluded", "pip-audit": "excluded"}
    assert {name: scopes[name] for name in wanted} == wanted
    # Whatever is needed at all is reached from the project.
    reached, todo = set(), {"shapelens"}
    while todo:
        reached |= todo
        todo = {below for name in todo for below in names[name]} - reached
    assert set(names) - reached == set()


def test_a_line_that_is_no_pin_stops_the_bill(tmp_path):
    lock = tmp_path / "a.txt"
    lock.write_text("a==1 \\\n    --hash=sha256:00\n-e ../mine\n")
    with pytest.raises(ValueError, match=r"a\.txt, line 3: '-e \.\./mine' is no pin"):
        tool("sbom").read_lock(lock, {})


# CI elsewhere

WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"


def steps():
    (job,) = yaml.safe_load(WORKFLOW.read_text())["jobs"].values()
    return job["steps"]


def test_public_ci_runs_what_ci_runs_and_nothing_else():
    commands = [step["run"] for step in steps() if "run" in step]
    assert commands == [".ci/run"]
    assert (ROOT / commands[0]).is_file()
    assert [path.name for path in WORKFLOW.parent.iterdir()] == ["ci.yml"]


def test_public_ci_uses_pinned_actions_and_no_rights():
    workflow = yaml.safe_load(WORKFLOW.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    used = [step["uses"] for step in steps() if "uses" in step]
    assert used and [action for action in used if not re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", action)] == []
    assert "secrets." not in WORKFLOW.read_text() and "pull_request_target" not in WORKFLOW.read_text()
