"""The files of a config as they lie: what is refused before Snakemake's reading of them is used."""

import pytest

from shapelens.errors import UserError
from shapelens.study.config_files import check_files


def check(tmp_path, text, name="study.yaml"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    check_files([path])


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("seeds: [0]\nseeds: [1]\n", r"study\.yaml, line 2: the key 'seeds' stands twice"),
        ("a: {b: 1, c: 2, b: 3}\n", "line 1: the key 'b'"),
        ("a:\n  - x\n  - {b: 1,\n     'b': 2}\n", "line 4: the key 'b'"),
        ("10: yes\n0xA: no\n", "line 2: the key '10'"),
        ("a: &x {b: 1, b: 2}\nc: *x\n", "line 1: the key 'b'"),
        ('{"a": {"b": 1, "b": 2}}', r"study\.yaml: the key 'b' stands twice"),
        ('{\n\t"a": 1,\n\t"a": 1\n}', "the key 'a' stands twice"),
    ],
)
def test_a_key_that_stands_twice_is_refused(tmp_path, text, place):
    with pytest.raises(UserError, match=place):
        check(tmp_path, text)


def test_in_any_of_several_files(tmp_path):
    (tmp_path / "first.yaml").write_text("seeds: [0]\n")
    (tmp_path / "second.yaml").write_text("training:\n  lr: 1\n  lr: 2\n")
    with pytest.raises(UserError, match=r"second\.yaml, line 3: the key 'lr'"):
        check_files([tmp_path / "first.yaml", tmp_path / "second.yaml"])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a\n- a\n",
        "a: {b: 1}\nc: {b: 1}\n",
        "base: &b {x: 1}\na: {<<: *b, x: 2}\n",
        "a: &a [*a]\n",
        "a: [1\nb",  # Snakemake says so
        "[" * 5000,
        "a: " + "9" * 10_000,
        "'a\\u2028</script>': 1\n",
        '{"a": {"b": 1}, "c": {"b": 1}}',
    ],
)
def test_everything_else_is_left_to_others(tmp_path, text):
    check(tmp_path, text)
    check_files([tmp_path / "nothing.yaml", tmp_path])


def test_another_encoding_is_named(tmp_path):
    path = tmp_path / "study.yaml"
    for encoding in ("utf-16", "latin-1"):
        path.write_bytes("a: é\n".encode(encoding))
        with pytest.raises(UserError, match=r"study\.yaml is no UTF-8 text; have the editor save it as UTF-8"):
            check_files([path])
    path.write_bytes("\ufeffa: é\n".encode())  # what Windows' editor adds to UTF-8 is nothing
    check_files([path])
