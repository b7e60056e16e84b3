"""Why a file of weights was not read, in one sentence, and never with torch's advice to read it unsafely."""

import pickle
import re

import pytest
import torch

from shapelens.errors import UserError
from shapelens.models.programs import Program
from shapelens.models.weights import read_state, reason_of

UNSAFE = re.compile(r"weights_only|safe_globals|trust|can still be loaded|pickle_module", re.IGNORECASE)


class Trap:
    """What torch advises to allow."""


FILES = {
    "an object": lambda path: torch.save({"a": Trap()}, path),
    "an object of an old file": lambda path: torch.save({"a": Trap()}, path, _use_new_zipfile_serialization=False),
    "a bare pickle": lambda path: path.write_bytes(pickle.dumps({"a": Trap()})),
    "a function": lambda path: torch.save({"a": re.compile}, path),
    "text": lambda path: path.write_text("a"),
    "nothing": lambda path: path.write_bytes(b""),
    "NUL bytes": lambda path: path.write_bytes(bytes(1000)),
    "half a file": lambda path: (
        torch.save({"a": torch.zeros(1000)}, path),
        path.write_bytes(path.read_bytes()[:2000]),
    ),
}


@pytest.mark.parametrize("kind", FILES)
def test_no_unsafe_advice_is_passed_on(tmp_path, kind):
    path = tmp_path / "w.pth"
    FILES[kind](path)
    with pytest.raises(UserError) as refused:
        read_state(path)
    said = str(refused.value)
    assert str(path) in said and not UNSAFE.search(said) and "\n" not in said and "\x1b" not in said, said
    try:
        torch.load(path, weights_only=True)
    except Exception as error:
        if "object" in kind:
            assert UNSAFE.search(str(error)), "the planted fault: torch's own words"
        assert not UNSAFE.search(reason_of(error)) and reason_of(error)


def test_a_program_that_cannot_be_loaded_says_so_in_a_sentence(tmp_path):
    path = tmp_path / "w.pt"
    path.write_bytes(pickle.dumps({"a": Trap()}))
    with pytest.raises(UserError, match="cannot load") as refused:
        Program.read("TorchScript", path)
    assert not UNSAFE.search(str(refused.value)) and "\n" not in str(refused.value)
