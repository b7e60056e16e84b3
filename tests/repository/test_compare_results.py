"""tools/compare_results.py says what differs between two result trees, and nothing else."""

import importlib.util
import json
import re
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

SOURCE = Path(__file__).resolve().parents[2] / "tools" / "compare_results.py"
ACCURACY = """dataset,model,seed,testset,metric,value,low,high,n,published
cues,standard,0,clean,accuracy,0.343750,0.204104,0.516889,32,
cues,standard,mean,clean,accuracy,0.343750,0.204104,0.516889,32,51.2
cues,underfit,0,clean,accuracy,0.250000,,,32,
"""
WEIGHTS = "cues/models/standard/seed0/model.safetensors"
MAPS = "cues/maps/standard/seed0.npz"
RECORD = "cues/maps/standard/seed0.json"
ROWS = "cues/predictions/standard/seed0.parquet"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compare_results", SOURCE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def rows() -> pd.DataFrame:
    testset = ["clean"] * 2 + ["saturation-8"] * 2
    image, predicted, probability = [0, 1] * 2, [2, 0, 1, 1], [0.5, 0.25, 0.125, np.nan]
    return pd.DataFrame({"testset": testset, "image": image, "predicted": predicted, "probability": probability})


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A small result tree with every kind of file."""
    root, rng = tmp_path / "old" / "results", np.random.default_rng(0)
    write(root / "cues/tables/accuracy.csv", ACCURACY)
    write(root / "cues/tables/table1.md", "| model | clean |\n|---|---|\n| standard | 34.4 [20.4, 51.7] |\n")
    claim = {"id": "1a", "effect": 2.65, "rows": ["gap: +2.6 [−40.5, +42.5] points"], "verdict": "undecided"}
    write(root / "cues/claims/claims.json", json.dumps([claim]))
    write(root / RECORD, json.dumps({"code": "code 1", "sha256": "ab", "spec": {"sigma": 0.1, "methods": ["grad"]}}))
    write(root / "cues/data/manifest.json", json.dumps({"source": {"sha256": "cd"}, "spec": {"path": "here"}}))
    write(root / "cues/models/standard/seed0/run.json", json.dumps({"seconds": 0.14}))
    write(root / "provenance.json", json.dumps({"packages": {"torch": "1"}, "platform": "a", "git": {}}))
    write(root / "report.html", "<html>")
    write(root / "cues/figures/figure1.pdf", "%PDF 1")
    write(root / "cues/logs/train/standard.log", "one second")
    write(root / "benchmarks/report.tsv", "s\n1\n")
    write(root / ".state/a", "state")
    for name in (WEIGHTS, MAPS, ROWS, "cues/data/train/images.npy", "cues/data/train/labels.npy"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
    save_file({"layer.weight": rng.random((3, 4), np.float32), "steps": np.array(7)}, root / WEIGHTS)
    np.savez(root / MAPS, maps=rng.random((2, 5), np.float32), methods=np.array(["grad", "smoothgrad"]))
    np.save(root / "cues/data/train/images.npy", rng.integers(0, 255, (4, 3, 2, 2), np.uint8))
    np.save(root / "cues/data/train/labels.npy", np.arange(4))
    rows().to_parquet(root / ROWS)
    Image.fromarray(rng.integers(0, 255, (6, 5, 3), np.uint8)).save(root / "cues/figures/figure1.png")
    return root


@pytest.fixture
def new(old: Path, tmp_path: Path) -> Path:
    shutil.copytree(old, tmp_path / "new" / "results")
    return tmp_path / "new" / "results"


Compare = Callable[..., tuple[int, str]]


@pytest.fixture
def compare(tool: ModuleType, old: Path, new: Path, capsys: pytest.CaptureFixture[str]) -> Compare:
    """Compare the two trees and return the exit code with what was printed, without its last line end."""

    def run(*arguments: str) -> tuple[int, str]:
        code = tool.main([str(old), str(new), *arguments])
        return code, capsys.readouterr().out.strip()

    return run


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_identical_trees(compare: Compare) -> None:
    code, out = compare()
    assert code == 0
    assert out.splitlines()[3:] == ["     15  the same to the byte", "", "The results are the same."]


def test_digests_times_and_logs_may_differ(compare: Compare, new: Path) -> None:
    replace(new / RECORD, "code 1", "code 2")
    replace(new / RECORD, "ab", "ba")
    replace(new / "cues/data/manifest.json", "here", "elsewhere")
    replace(new / "cues/models/standard/seed0/run.json", "0.14", "3.2")
    replace(new / "provenance.json", '"a"', '"b"')
    replace(new / "cues/logs/train/standard.log", "one second", "two seconds")
    shutil.rmtree(new / "benchmarks")
    shutil.rmtree(new / ".state")
    write(new / "ro-crate-metadata.json", "{}")
    write(new / "Snakefile", "rule all:")
    replace(new / "report.html", "<html>", "<html lang=en>")
    replace(new / "cues/figures/figure1.pdf", "1", "2")
    code, out = compare()
    assert code == 0
    assert "4  the same but for what may differ" in out and "2  not compared" in out
    assert out.endswith("The results are the same.")
    _, out = compare("--all")
    assert "  cues/data/manifest.json\n" in out and "  report.html\n" in out


def test_what_the_user_brought_may_not_differ(compare: Compare, new: Path) -> None:
    replace(new / "cues/data/manifest.json", "cd", "dc")
    code, out = compare()
    assert code == 1
    assert "    source.sha256: 'cd' → 'dc'" in out


def test_one_number_in_one_table(compare: Compare, new: Path) -> None:
    replace(new / "cues/tables/accuracy.csv", "clean,accuracy,0.250000", "clean,accuracy,0.281250")
    code, out = compare()
    assert code == 1
    assert out.splitlines()[-3:] == [
        "Different:",
        "  cues/tables/accuracy.csv",
        "    value: 1 of 3 differ, by at most 0.0312 (0.091 of the largest); at model=underfit, seed=0: 0.25 → 0.28125",
    ]
    assert "      1  different\n" in out


def test_made_with_what(compare: Compare, new: Path) -> None:
    replace(new / "provenance.json", '"1"', '"2"')
    assert "Made with" not in compare()[1]
    replace(new / "cues/tables/accuracy.csv", "51.2", "51.3")
    assert "Made with: torch 1 → 2\n" in compare()[1]


def test_the_worst_comes_first(compare: Compare, new: Path) -> None:
    replace(new / "cues/tables/accuracy.csv", "0.343750", "0.343751")
    replace(new / "cues/tables/table1.md", "34.4", "14.4")
    np.save(new / "cues/data/train/labels.npy", np.arange(5))
    lines = compare()[1].splitlines()
    files = [line.strip() for line in lines if line.startswith("  cues/")]
    assert files == ["cues/data/train/labels.npy", "cues/tables/table1.md", "cues/tables/accuracy.csv"]
    assert "    1 of 4 lines differ, by at most 20 (0.39 of the largest); at line 3: 34.4 → 14.4" in lines


def test_missing_and_further_files(compare: Compare, new: Path) -> None:
    (new / "cues/tables/table1.md").unlink()
    write(new / "cues/claims/claims.csv", "id\n")
    for name in ("seed0.parquet", "seed0.json"):
        write(new / "cues/stability/standard" / name, "")
    code, out = compare()
    assert code == 1
    assert "Only in OLD:\n  cues/tables/table1.md\n\nOnly in NEW:\n" in out
    assert out.endswith("  cues/claims/claims.csv\n  cues/stability/ (2 files)")


def test_built_in_rename(compare: Compare, old: Path, new: Path) -> None:
    (new / "cues/maps").rename(new / "cues/saliency")
    assert compare()[0] == 0
    data = dict(np.load(new / "cues/saliency/standard/seed0.npz"))
    data["maps"][1, 3] += 1
    np.savez(new / "cues/saliency/standard/seed0.npz", **data)
    code, out = compare()
    assert code == 1 and "  cues/saliency/standard/seed0.npz\n    maps: 1 of 10 differ" in out and "at [1, 3]: " in out


def test_renames_of_the_user(compare: Compare, new: Path) -> None:
    (new / "cues/maps").rename(new / "cues/gradients")
    (new / "cues/tables/table1.md").rename(new / "cues/tables/accuracies.md")
    code, out = compare()
    assert code == 1 and "  cues/maps/ (2 files)\n" in out
    assert compare("--renamed", "maps=gradients", "--renamed", "tables/table1.md=tables/accuracies.md")[0] == 0


@pytest.mark.parametrize(
    "name",
    [ROWS, MAPS, WEIGHTS, RECORD, "cues/data/train/images.npy", "cues/figures/figure1.png", "cues/tables/accuracy.csv"],
)
@pytest.mark.parametrize("keep", [0, 0.7])
def test_damaged_files(compare: Compare, new: Path, name: str, keep: float) -> None:
    data = (new / name).read_bytes()
    # A CSV that is cut off is a CSV; one that is no text is none.
    cut = data[: int(len(data) * keep)] if not name.endswith("csv") or not keep else b"\xff\xfe\x00" + data
    (new / name).write_bytes(cut)
    code, out = compare()
    assert code == 1
    assert f"Cannot be read:\n  {name}\n    NEW: " in out
    assert "Different:" not in out


def test_a_damaged_archive_is_found_where_its_header_is_whole(compare: Compare, old: Path) -> None:
    with zipfile.ZipFile(old / MAPS) as archive:
        entry = archive.getinfo("maps.npy")
    data = bytearray((old / MAPS).read_bytes())
    data[entry.header_offset + 200] ^= 255
    (old / MAPS).write_bytes(data)
    code, out = compare()
    assert code == 1 and f"  {MAPS}\n    OLD: Bad CRC-32" in out


def test_nan_equals_nan_and_nothing_else(compare: Compare, new: Path) -> None:
    table = rows()
    table.to_parquet(new / ROWS, compression="gzip")
    code, out = compare()
    assert code == 0 and "1  the same values in other bytes" in out
    table.loc[3, "probability"] = 0.5
    table.to_parquet(new / ROWS)
    code, out = compare()
    assert code == 1
    assert "    probability: 1 of 4 differ; at testset=saturation-8, image=1: nan → 0.5" in out


def test_rows_are_matched_by_their_first_columns(compare: Compare, new: Path) -> None:
    rows().iloc[[0, 1, 3]].to_parquet(new / ROWS)
    assert "    rows: 1 only in OLD, the first: testset=saturation-8, image=0" in compare()[1]
    rows().iloc[[1, 0, 2, 3]].to_parquet(new / ROWS)
    assert compare()[1].endswith(f"  {ROWS}\n    rows: in another order")
    rows().drop(columns="predicted").to_parquet(new / ROWS)
    assert "    predicted: column only in OLD" in compare()[1]


def test_rows_without_a_key_go_by_number(compare: Compare, old: Path, new: Path) -> None:
    write(old / "cues/tables/losses.csv", "loss\n0.5\n0.25\n")
    write(new / "cues/tables/losses.csv", "loss\n0.5\n0.26\n")
    assert "    loss: 1 of 2 differ, by at most 0.01 (0.02 of the largest); at row 1: 0.25 → 0.26" in compare()[1]


def test_texts_of_claims(compare: Compare, new: Path) -> None:
    replace(new / "cues/claims/claims.json", "undecided", "yes")
    replace(new / "cues/claims/claims.json", "2.65", "2.75")
    path = new / "cues/claims/claims.json"
    path.write_text(path.read_text().replace("\\u221240.5", "\\u221241.5"))
    out = compare()[1]
    assert "    1a.verdict: 'undecided' → 'yes'\n" in out
    assert "    1a.rows[0]: -40.5 → -41.5" in out
    assert "    1a.effect: 2.65 → 2.75" in out


def test_settings_of_records(compare: Compare, new: Path) -> None:
    replace(new / RECORD, '"sigma": 0.1', '"sigma": 0.2, "points": 20')
    out = compare()[1]
    assert "    spec.points: only in NEW: 20\n    spec.sigma: 0.1 → 0.2" in out


def test_weights_and_arrays(compare: Compare, new: Path) -> None:
    tensors = load_file(new / WEIGHTS)
    tensors["layer.weight"][2, 1] = 9
    save_file(tensors, new / WEIGHTS)
    images = np.load(new / "cues/data/train/images.npy")
    images[3, 2, 1, 0] ^= 1
    np.save(new / "cues/data/train/images.npy", images)
    out = compare()[1]
    assert f"  {WEIGHTS}\n    layer.weight: 1 of 12 differ" in out and "at [2, 1]: " in out
    assert "    array: 1 of 48 differ, by at most 1 " in out and "at [3, 2, 1, 0]: " in out
    np.save(new / "cues/data/train/images.npy", images.astype(np.float32))
    assert "    array: type uint8 → float32" in compare()[1]


def test_blocks_meet_where_they_should(
    tool: ModuleType, compare: Compare, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool, "BLOCK", 5)
    assert compare()[0] == 0
    images = np.load(new / "cues/data/train/images.npy")
    images[0, 1, 0, 1] ^= 1
    images[3, 2, 1, 1] ^= 64
    np.save(new / "cues/data/train/images.npy", images)
    assert "array: 2 of 48 differ" in compare()[1] and "at [3, 2, 1, 1]: " in compare()[1]


def test_fortran_order(compare: Compare, old: Path, new: Path) -> None:
    images = np.asfortranarray(np.load(new / "cues/data/train/images.npy"))
    np.save(old / "cues/data/train/images.npy", images)
    images[1, 2, 0, 1] ^= 1
    np.save(new / "cues/data/train/images.npy", images)
    assert "at [1, 2, 0, 1]: " in compare()[1]


def test_pixels(compare: Compare, old: Path, new: Path) -> None:
    picture = Image.open(old / "cues/figures/figure1.png")
    picture.save(new / "cues/figures/figure1.png", compress_level=0)
    code, out = compare()
    assert code == 0 and "the same values in other bytes" in out
    picture.putpixel((4, 2), tuple((value + 9) % 200 for value in picture.getpixel((4, 2))))
    picture.save(new / "cues/figures/figure1.png")
    code, out = compare()
    assert code == 1 and "    pixels: 1 of 30 differ, by at most " in out and "at row 2, column 4" in out
    picture.resize((3, 3)).save(new / "cues/figures/figure1.png")
    assert "    pixels: size 5 × 6 → 3 × 3" in compare()[1]


def test_tolerance(compare: Compare, old: Path, new: Path) -> None:
    replace(new / "cues/tables/accuracy.csv", "0.343750", "0.343751")
    replace(new / "cues/claims/claims.json", "2.65", "2.650001")
    tensors = load_file(new / WEIGHTS)
    tensors["layer.weight"] *= np.float32(1 + 1e-6)
    save_file(tensors, new / WEIGHTS)
    assert compare()[0] == 1
    code, out = compare("--tolerance", "1e-5")
    assert code == 0 and "3  the same within the tolerance" in out
    assert compare("--tolerance", "1e-8")[0] == 1
    # Whole numbers are counts and classes: none is nearly right.
    replace(new / "cues/tables/accuracy.csv", "32,51.2", "33,51.2")
    replace(new / "cues/claims/claims.json", "gap: +2.6", "gap over 32 images: +2.6")
    code, out = compare("--tolerance", "10")
    assert code == 1 and "    n: 1 of 3 differ" in out
    replace(old / "cues/claims/claims.json", "gap: +2.6", "gap over 33 images: +2.7")
    assert "    1a.rows[0]: 33 → 32" in compare("--tolerance", "10")[1]


def test_only_the_worst_unless_all(compare: Compare, new: Path) -> None:
    for number in range(30):
        write(new / f"cues/tables/further{number}.csv", "a\n")
    assert "  … and 10 more; --all shows them" in compare()[1]
    assert compare("--all")[1].count("further") == 30


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing", "{new}"], "missing is not a folder"),
        (["{old}/..", "{new}"], "has a results folder in it: give"),
        (["{old}/cues/logs", "{new}"], "has no results in it"),
        (["{old}", "{new}", "--renamed", "maps"], "give the old and the new name with one = between"),
        (["{old}", "{new}", "--renamed", "mapz=saliency"], "no file in .* has mapz in its path"),
        (["{old}", "{new}", "--tolerance", "-1"], "give a number from 0 upward"),
        (["{old}"], "required: NEW"),
    ],
)
def test_bad_usage(tool: ModuleType, old: Path, new: Path, capsys, arguments: list[str], message: str) -> None:
    (old / "cues/logs/train/standard.log").unlink()
    with pytest.raises(SystemExit) as ended:
        tool.main([text.format(old=old, new=new) for text in arguments])
    assert ended.value.code == 2
    assert re.search(message, capsys.readouterr().err)
