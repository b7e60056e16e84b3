"""What a study says of its instruments: which it asks for, which models they measure, and what is refused."""

import pytest

from shapelens.errors import UserError
from shapelens.instruments.registry import CLAIMS, INSTRUMENTS, claims_of
from shapelens.names.models import RULERS
from shapelens.planning.names import figures_of, table_ids
from shapelens.study.config import load

MODELS = {
    "standard": {},
    "underfit": {"match": "strongest"},
    "pgd-inf-4": {"adversary": {"eps": "4/255"}},
    "pgd-inf-8": {"adversary": {"eps": "8/255"}},
    "pgd-l2-8": {"adversary": {"norm": "l2", "eps": 8}},
    "fgsm-8": {"adversary": {"eps": "8/255", "steps": 1, "random_start": False}},
    "calibration-shape": {"images": "shape-only"},
}
EXEMPLARS = ["standard", "underfit", "pgd-inf-8", "pgd-l2-8"]


def study(**keys):
    (found,) = load({"dataset": {"kind": "cues"}, "models": MODELS, **keys}).values()
    return found


def measured(instrument, **keys):
    return study(**keys).measured_with(INSTRUMENTS[instrument])


def test_calibration_models_answer_and_are_neither_attacked_nor_explained():
    everyone = [*MODELS, "calibration-texture"]
    assert sorted(measured("predictions")) == sorted(everyone)
    assert measured("robust") == measured("saliency") == [name for name in everyone if name not in RULERS]


def test_an_instrument_measures_the_models_that_its_section_names():
    assert measured("saliency", saliency={"models": "exemplars"}) == EXEMPLARS
    named = {"eps": "8/255", "step": "2/255", "models": ["fgsm-8", "standard"]}
    assert measured("robust", robustness=named) == ["standard", "fgsm-8"], "in the order of the grid"
    assert measured("robust", robustness={**named, "models": []}) == []


def test_what_no_model_was_measured_for_is_neither_tabulated_nor_drawn():
    unattacked = study(robustness={"eps": "8/255", "step": "2/255", "models": []}, saliency={"models": []})
    assert not {"table1", "saliency"} & set(table_ids(unattacked))
    assert not {"robustness", "figure2", "figure9"} & set(figures_of(unattacked))
    assert {"table1", "saliency"} <= set(table_ids(study())) and {"robustness", "figure9"} <= set(figures_of(study()))


def test_a_study_of_finished_models_alone_has_all_of_them_as_exemplars():
    alone = {"mine": {"weights": "timm:resnet18"}, "yours": {"weights": "timm:resnet34"}}
    assert measured("saliency", models=alone, saliency={"models": "exemplars"}) == ["mine", "yours"]


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"saliency": {"models": ["standart"]}}, ["saliency.models: 'standart' is no model", "did you mean standard?"]),
        ({"saliency": {"models": ["calibration-shape"]}}, ["saliency.models: 'calibration-shape'", "it can measure"]),
        ({"saliency": {"models": "some"}}, ["saliency.models"]),
        ({"instruments": {"salience": {}}}, ["instruments.salience: there is no such instrument", "mean saliency?"]),
        ({"instruments": {"saliency": {}}}, ["instruments.saliency: ", "set by the study's key saliency"]),
        ({"instruments": {"robust": {}}}, ["instruments.robust: ", "set by the study's key robustness"]),
        ({"instruments": {"predictions": {}}}, ["instruments.predictions: ", "always measured"]),
    ],
)
def test_what_is_wrong_is_named_with_its_place(keys, words):
    with pytest.raises(UserError) as error:
        study(**keys)
    for word in words:
        assert word in str(error.value)


def test_which_models_are_measured_decides_no_row():
    whole, few = (study(saliency={"models": models}) for models in ("all", ["standard"]))
    assert whole.section(INSTRUMENTS["saliency"]).deciding() == few.section(INSTRUMENTS["saliency"]).deciding()


def test_a_study_is_judged_on_the_claims_of_its_instruments():
    assert [claim.id for claim in claims_of(INSTRUMENTS.values())] == list(CLAIMS)
    without = [claim.id for claim in claims_of([INSTRUMENTS["predictions"]])]
    assert set(CLAIMS) - set(without) == {"8a", "8b", "8c", "9b"}
