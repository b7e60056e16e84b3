"""What rooms declare: that it fits together, and that what does not is refused with the room's name."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from shapelens.instruments.checks import instrument_problems, literal
from shapelens.instruments.declare import Instrument, Table
from shapelens.instruments.registry import INSTRUMENTS, ROOMS, claim_texts
from shapelens.instruments.spec import InstrumentSpec

SCRIPTS = Path(__file__).resolve().parents[2] / "workflow" / "scripts"
ROOM = '''
COLUMNS = ("testset", "image", "width")


def measure(job):
    """Not called here."""
'''
CLAIMS = "def claim_90a(evidence):\n    pass\n"


@pytest.fixture
def library(tmp_path):
    """A library with one room, toy, whose rows have a width, and a module of claims."""
    room = tmp_path / "shapelens" / "instruments" / "toy"
    room.mkdir(parents=True)
    (room / "measure.py").write_text(ROOM)
    (room / "claims.py").write_text(CLAIMS)
    return tmp_path


def toy(**changes):
    table = Table("toy", "Widths", (("width", "", "Width"),), needs="toy", percent=False)
    whole = Instrument(
        "toy", "Toy", "Toying with", InstrumentSpec, metrics={"width": "Width"}, tables=(table,), claims={"90a": "Wide"}
    )
    return replace(whole, **changes)


def refused(library, *rooms, claims=None):
    found = {"shapelens.instruments.toy.claims": rooms[0].claims} if claims is None else claims
    return "\n".join(instrument_problems(rooms, found, library))


def test_what_is_declared_today_fits_together():
    assert instrument_problems(ROOMS, claim_texts(), SCRIPTS) == []
    assert list(INSTRUMENTS) == [room.name for room in ROOMS]


def test_a_sound_room_is_taken(library):
    """The planted fault: checks that refuse everything would pass below."""
    assert instrument_problems([toy()], {"shapelens.instruments.toy.claims": {"90a": "Wide"}}, library) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"metrics": {"widht": "Width"}}, ["instruments/toy", "no row has a column 'widht'", "testset, image, width"]),
        ({"keys": ("method",)}, ["instruments/toy: keys: no row has a column 'method'"]),
        ({"shares": ("depth",)}, ["instruments/toy: shares: no row has a column 'depth'"]),
        ({"families": ("pgd",)}, ["instruments/toy: families: 'pgd' is none", "pgd-inf"]),
        (
            {"tables": (Table("toy", "Widths", (("depth", "", "Depth"),), needs="toy"),)},
            ["instruments/toy: table toy: columns: toy has no metric 'depth'; allowed: width"],
        ),
        (
            {"tables": (Table("toy", "Widths", (("width", "", "Width"),), needs="tyo"),)},
            [
                "table toy: needs: 'tyo' is nothing that is made",
                "allowed: accuracy, agreement, known_answer, ruler, seed_agreement, toy",
            ],
        ),
        (
            {"tables": (Table("toy", "Widths", (("widths", "clean", "Width"),)),)},
            ["accuracy has no metric 'widths'", "robust_accuracy"],
        ),
        ({"claims": {"90b": "Wide"}}, ["claim 90b", "has no function claim_90b; it has claim_90a"]),
        ({"name": "tables"}, ["instruments/tables: results/ has a folder tables already"]),
        ({"name": "absent", "claims": {}}, ["instruments/absent: its room has no measure.py"]),
    ],
)
def test_a_bad_room_is_named_with_what_is_allowed(library, changes, words):
    said = refused(library, toy(**changes))
    for word in words:
        assert word in said


def test_two_rooms_two_tables_or_two_claims_of_one_name_are_refused(library):
    said = refused(
        library,
        toy(),
        toy(),
        claims={"shapelens.instruments.toy.claims": {"90a": "Wide"}, "shapelens.claims.shape": {"90a": "Deep"}},
    )
    assert "instruments/toy: two instruments have this name" in said
    assert "table toy: declared twice" in said
    assert "claim 90a: declared in shapelens.instruments.toy.claims and in shapelens.claims.shape" in said


@pytest.mark.parametrize("text", ["x = 1", "COLUMNS = names()", 'COLUMNS = ["a"]'])
def test_columns_that_cannot_be_read_are_none(tmp_path, text):
    (tmp_path / "measure.py").write_text(text)
    assert literal(tmp_path / "measure.py", "COLUMNS") is None


def test_registries_and_checks_import_nothing_heavy():
    code = (
        "import sys, shapelens.instruments.registry, shapelens.instruments.checks; "
        "print([m for m in ('numpy', 'pandas', 'matplotlib', 'seaborn', 'torch', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=SCRIPTS)
    assert done.stdout.strip() == "[]"
