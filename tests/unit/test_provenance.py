"""The code digest notices what is computed and nothing else."""

from pathlib import Path

import pytest

from shapelens.errors import UserError
from shapelens.provenance import code_digest, import_closure

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
    for function in (code_digest, import_closure):
        function.cache_clear()
    from shapelens import provenance

    provenance._tree.cache_clear()
    provenance._imports.cache_clear()
    provenance._file_digest.cache_clear()
    return code_digest(project / "script.py")


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
    names = {path.relative_to(LIBRARY).as_posix() for path in import_closure(LIBRARY / "train.py", LIBRARY)}
    assert "shapelens/training/loop.py" in names
    assert "shapelens/attacks/pgd.py" not in names
    adversarial = {p.relative_to(LIBRARY).as_posix() for p in import_closure(LIBRARY / "train_adversarial.py", LIBRARY)}
    assert "shapelens/attacks/pgd.py" in adversarial


@pytest.mark.parametrize("script", ["figure.py", "table.py", "accuracy.py", "claims.py", "testset.py", "dataset.py"])
def test_what_needs_no_torch_imports_none(script):
    for path in import_closure(LIBRARY / script, LIBRARY):
        assert "import torch" not in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize("script", sorted(p.name for p in LIBRARY.glob("*.py")))
def test_no_job_imports_the_config(script):
    names = {path.name for path in import_closure(LIBRARY / script, LIBRARY)}
    assert not names & {"config.py", "plan.py"}
