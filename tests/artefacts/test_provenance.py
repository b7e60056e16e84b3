"""The code digest notices what is computed and nothing else."""

from pathlib import Path

import pytest

from shapelens.errors import UserError
from shapelens.instruments.registry import CLAIMS, ROOMS, module_of
from shapelens.planning import code_digest as codehash
from shapelens.planning.code_digest import Code

LIBRARY = Path(__file__).resolve().parents[2] / "workflow" / "scripts"


@pytest.fixture
def project(tmp_path):
    """A script, the module that it imports, one that this imports, and one that nobody does."""
    package = tmp_path / "shapelens"
    package.mkdir()
    (package / "__init__.py").write_text('"""Package."""\n')
    (package / "used.py").write_text("from shapelens.deep import number\n\n\ndef f(x):\n    return x + number\n")
    (package / "deep.py").write_text("number = 1\n")
    (package / "unused.py").write_text("other = 1\n")
    script = tmp_path / "script.py"
    script.write_text("from shapelens.used import f\n\nresult = f(2)\n")
    return tmp_path


def digest(project):
    return Code(project).digest(project / "script.py")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("script.py", "from shapelens.used import f\n# a comment\nresult = f( 2 )\n"),
        (
            "shapelens/used.py",
            '"""Doc."""\nfrom shapelens.deep import number\ndef f(x):\n    """Add."""\n    return (x + number)\n',
        ),
        ("shapelens/unused.py", "other = 2\n"),
    ],
)
def test_what_computes_nothing_changes_nothing(project, file, text):
    before = digest(project)
    (project / file).write_text(text)
    assert digest(project) == before


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("script.py", "from shapelens.used import f\n\nresult = f(3)\n"),
        ("shapelens/used.py", "from shapelens.deep import number\n\n\ndef f(x):\n    return x - number\n"),
        ("shapelens/deep.py", "number = 2\n"),
        ("shapelens/__init__.py", "flag = 1\n"),
    ],
)
def test_what_computes_changes_the_digest(project, file, text):
    before = digest(project)
    (project / file).write_text(text)
    assert digest(project) != before


def test_an_import_inside_a_function_counts(project):
    before = digest(project)
    (project / "script.py").write_text(
        "from shapelens.used import f\n\nresult = f(2)\n\n\ndef g():\n    from shapelens.unused import other\n"
    )
    assert digest(project) != before
    first = digest(project)
    (project / "shapelens" / "unused.py").write_text("other = 5\n")
    assert digest(project) != first


def test_relative_imports_are_refused_because_the_closure_would_miss_them(project):
    (project / "shapelens" / "used.py").write_text("from .deep import number\n")
    with pytest.raises(UserError, match="relative import"):
        digest(project)


def test_standard_training_does_not_depend_on_the_attack():
    def names(*modules):
        closure = Code(LIBRARY).closure(LIBRARY / "train.py", *modules)
        return {path.relative_to(LIBRARY).as_posix() for path in closure}

    attacks = {f"shapelens/attacks/{name}.py" for name in ("ascent", "pgd", "spatial")}
    assert "shapelens/training/loop.py" in names()
    assert not attacks & names()
    assert attacks & names("shapelens.training.adversarial") == attacks - {"shapelens/attacks/spatial.py"}
    assert "shapelens/attacks/spatial.py" in names("shapelens.training.spatial")
    assert "shapelens/training/adversarial.py" not in names("shapelens.training.spatial")


@pytest.mark.parametrize("script", ["figure.py", "table.py", "accuracy.py", "claims.py", "testset.py", "dataset.py"])
def test_what_needs_no_torch_imports_none(script):
    for path in Code(LIBRARY).closure(LIBRARY / script):
        assert "import torch" not in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize("script", sorted(p.name for p in LIBRARY.glob("*.py")))
def test_no_job_imports_the_config(script):
    names = {path.name for path in Code(LIBRARY).closure(LIBRARY / script)}
    assert not names & {"config.py", "plan.py"}


def test_a_file_is_parsed_once_in_its_life(project, tmp_path, monkeypatch):
    memory = tmp_path / "memory.json"
    first = Code(project, memory)
    digest = first.digest(project / "script.py")
    first.remember()
    parsed = []
    monkeypatch.setattr(codehash, "_parse", lambda path, parse=codehash._parse: parsed.append(path.name) or parse(path))
    assert Code(project, memory).digest(project / "script.py") == digest
    assert parsed == []
    (project / "shapelens" / "deep.py").write_text("number = 2\n")
    assert Code(project, memory).digest(project / "script.py") != digest
    assert parsed == ["deep.py"]


def test_a_damaged_memory_is_no_harm(project, tmp_path):
    memory = tmp_path / "memory.json"
    memory.write_text("{")
    assert Code(project, memory).digest(project / "script.py") == digest(project)


def test_another_reader_trusts_no_memory(project, tmp_path, monkeypatch):
    """What an earlier version of the digest found is not taken for what this one would find."""
    memory = tmp_path / "memory.json"
    code = Code(project, memory)
    code.digest(project / "script.py")
    code.remember()
    monkeypatch.setattr(codehash.Code, "_reader", b"another", raising=False)
    monkeypatch.setattr(codehash, "_parse", lambda path: ("new", []))
    assert Code(project, memory)._file(project / "script.py")[0] == "new"


def test_no_job_reads_what_rooms_declare():
    """A caption or a new room makes nothing stale by itself: what jobs need of a declaration stands in their specs."""
    code = Code(LIBRARY)
    rooms = [module_of(room) for room in ROOMS]
    claims = {claim.module for claim in CLAIMS.values()}
    for script in LIBRARY.glob("*.py"):
        beside = {"measure.py": rooms, "claims.py": claims}.get(script.name, ())
        closure = {path.relative_to(LIBRARY / "shapelens").as_posix() for path in code.closure(script, *beside)}
        assert not {path for path in closure if path.endswith(("/instrument.py", "/registry.py"))}, script.name
        assert not {path for path in closure if path.startswith(("study/", "planning/", "machine/", "records/"))}, (
            script.name
        )


def test_a_layout_of_tables_makes_no_statistics_stale():
    for script in (
        "accuracy.py",
        "means.py",
        "shape_bias.py",
        "agreement.py",
        "ruler_readings.py",
        "saliency_distance.py",
    ):
        closure = Code(LIBRARY).closure(LIBRARY / script)
        assert "tables" not in {path.parent.name for path in closure}, script


def test_an_instrument_follows_its_own_room_alone():
    code = Code(LIBRARY)
    for room in ROOMS:
        closure = code.closure(LIBRARY / "measure.py", module_of(room))
        rooms = {path.parent.name for path in closure if path.parent.parent.name == "instruments"}
        assert rooms == {room.name}
