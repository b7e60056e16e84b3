"""What the report says of finished models."""

from shapelens.artefacts.files import write_json
from shapelens.artefacts.finished import assumed_of, assumed_words


def test_warnings_come_first_and_trained_models_are_left_out(tmp_path):
    finished = {"criterion": "finished", "assumed": ["normalised by x"], "warnings": ["near chance"]}
    write_json(tmp_path / "theirs" / "seed0" / "selection.json", finished)
    write_json(tmp_path / "ours" / "seed0" / "selection.json", {"criterion": "pgd", "assumed": ["not this"]})
    (tmp_path / "broken" / "seed0").mkdir(parents=True)
    (tmp_path / "broken" / "seed0" / "selection.json").write_text("{")
    found = assumed_of(tmp_path)
    assert found == {"theirs": ["WARNING: near chance", "normalised by x"]}
    assert assumed_words(found) == "theirs: WARNING: near chance; normalised by x"
    assert assumed_words(assumed_of(tmp_path / "none")) == ""
