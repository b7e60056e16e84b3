"""What is found wrong before any job, from names alone: no image of these folders can be opened."""

import pytest
import yaml

from shapelens.errors import UserError
from shapelens.planning.before_jobs import spoken
from shapelens.planning.files import Files
from shapelens.planning.studies import Studies
from shapelens.study.config_files import check_files

STUDY = """
dataset: {kind: image_folder, name: photos, path: photos, size: 16}
models: {standard: {}}
"""
FINISHED = "models: {m: {weights: w.pt, module: 'net.py:build', %s}}"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("photos/ant", "photos/bee", "photos/cat", "sketch/ant", "sketch/bee"):
        (tmp_path / folder).mkdir(parents=True)
        for n in range(5):
            (tmp_path / folder / f"{n}.png").touch()
    (tmp_path / "stimuli").mkdir()
    (tmp_path / "stimuli/ant1-bee1.png").touch()
    (tmp_path / "a {x}.zip").touch()
    (tmp_path / "w.pt").touch()
    (tmp_path / "net.py").write_text("from torch import nn\n\n\ndef build():\n    return nn.Identity()\n")
    return tmp_path


def check(text):
    Studies({**yaml.safe_load(STUDY), **yaml.safe_load(text)}).check_sources()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dataset: {kind: image_folder, path: ., size: 16}", "photos and sketch look like splits or copies"),
        ("dataset: {kind: image_folder, path: photos, classes: [ant, wasp]}", "no class 'wasp' in the source"),
        ("dataset: {kind: image_folder, path: photos, classes: 4}", "4 classes are wanted, but the source has 3"),
        (
            "dataset: {kind: image_folder, path: photos, limit_train: 2}",
            "no training images are left for .*raise",
        ),
        ("dataset: {kind: image_folder, path: ~/photos}", "~ and . are read by a shell.*write it out: /"),
        ("dataset: {kind: image_folder, path: $NONE/photos}", "~ and . are read by a shell"),
        ("dataset: {kind: image_folder, path: 'a {x}.zip'}", "takes {x} in the path of a file for a variable"),
        ("testsets: {own: {s: {path: stimuli}}}", r"testsets\.own\.s\.path: stimuli: no class folders"),
        ("testsets: {own: {s: {path: sketch, classes: {Ameise: ant}}}}", "the source has no class Ameise"),
        ("testsets: {own_conflicts: {s: {path: stimuli, pattern: '{shape}_{texture}'}}}", "1 of 1 images do not fit"),
        (FINISHED % "classes: [bee, ant]", "classes: it lacks the dataset's class 'cat'"),
        (FINISHED % "classes: [bee, ant, act]", "lacks the dataset's class 'cat'; did you mean act"),
        (FINISHED % "outputs: [0, 1]", "outputs: 2 entries, but the dataset has 3 classes"),
        (FINISHED % "outputs: {ant: 0, bee: 1}", "outputs: no entry for the dataset's class 'cat'"),
        (FINISHED % "outputs: {ant: 0, bee: 1, cat: 2, dog: 3}", "outputs: the dataset has no class 'dog'"),
        ("models: {m: {weights: w.pt, module: 'net.py:biuld'}}", r"net\.py defines no biuld; did you mean build"),
        ("models: {m: {weights: photos, arch: resnet18}}", "weights: photos is a folder"),
    ],
)
def test_a_mistake_is_found_without_opening_an_image(text, said):
    with pytest.raises(UserError, match=said):
        check(text)


def test_reports_of_other_studies_lie_elsewhere():
    def folder(*names):
        files = Files(dict.fromkeys(names), copies=False).kept_files()
        return files[0].removesuffix("/report.html")

    assert folder("photos") == "results/reports/photos" and folder("a", "b") == "results/reports/a+b"
    long = [folder(*(f"a-study-{n}" for n in range(40)), last) for last in ("x", "y")]
    assert long[0] != long[1] and len(long[0]) < 200


def test_nothing_is_said_of_what_is_right():
    check("{}")
    check("testsets: {own: {s: {path: sketch}}, own_conflicts: {g: {path: stimuli, pattern: '{shape}1-{texture}1'}}}")
    check(FINISHED % "classes: [cat, ant, bee, wasp]")
    check(FINISHED % "outputs: {ant: 0, bee: 1, cat: 2}")


@pytest.mark.parametrize(("written", "read"), [("010", 8), ("-017", -15), ("1:30", 90)])
def test_numbers_that_yaml_reads_otherwise_are_refused(tmp_path, written, read):
    for text in (f"a: 1\nmodels: {{{written}: {{}}}}", f"a: 1\nclasses: [{written}]"):
        (tmp_path / "c.yaml").write_text(text)
        with pytest.raises(UserError, match=rf"line 2: YAML reads {written} as {read}; put quotes round it"):
            check_files([tmp_path / "c.yaml"])
    for right in ("0", "10", "-3", "0.5", "1e-3", "8/255", "0x8g", "10:61:00", f"'{written}'", "09"):
        (tmp_path / "c.yaml").write_text(f"a: {right}")
        check_files([tmp_path / "c.yaml"])


def test_a_users_mistake_is_one_sentence(capsys):
    with pytest.raises(SystemExit) as ended, spoken():
        raise UserError("seeds: what is wrong")
    assert ended.value.code == 1 and capsys.readouterr().err == "Error: seeds: what is wrong\n"
