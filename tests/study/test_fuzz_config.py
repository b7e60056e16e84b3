"""Any config, however odd, is a study or is refused with the path of a key; nothing else comes out."""

import copy
import datetime
import json
import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shapelens.errors import UserError
from shapelens.planning.for_readers import captions, listing
from shapelens.planning.plan import Plan
from shapelens.spec import parse_fraction
from shapelens.study.config import Study, load
from shapelens.study.plain_yaml import DEPTH, VALUES, problems

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "workflow" / "scripts"
WHOLE = yaml.safe_load((ROOT / "tests" / "workflow" / "tiny.yaml").read_text())
WHOLE["studies"]["photographs"]["dataset"]["path"] = "."
ONE = {**{key: value for key, value in WHOLE.items() if key != "studies"}, **WHOLE["studies"]["cues"]}
KNOWN = {*Study.model_fields, "studies"}
# The same examples in every run of CI; `HYPOTHESIS_EXAMPLES=5000 pytest …` looks further.
FUZZ = settings(
    max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "400")),
    derandomize="HYPOTHESIS_EXAMPLES" not in os.environ,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

NUMBERS = (0, 1, -1, 3, 2**31, 2**63 - 1, 2**63, 10**400, 0.5, -0.5, 1e-320, 1e308, float("nan"), float("inf"))
TEXTS = [
    *("", " ", "a", "x" * 300, "8/255", "1/0", "1e400", "1e-5000", "nan", "strongest", "spatial", "cues", "trained"),
    *("clean", "../..", "/", "a\n", "a\0b", "\ud800", "é", "ß☃", "{wildcards.x}", "$(touch x)", "~", "-", "C:\\x"),
]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(NUMBERS),
    st.sampled_from(TEXTS),
    st.text(max_size=6),
    st.integers(),
    st.floats(),
    st.sampled_from([datetime.date(2020, 1, 1), b"bytes", frozenset("ab"), 1j]),
)
KEYS = st.one_of(
    st.sampled_from([*KNOWN, "kind", "eps", "weights", "match", "path", "images", 1, None, True, 1.5]), SCALARS
).filter(lambda key: key == key)
VALUES_ANY = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)


def places(value, path=()):
    """Return the path of everything in plain data."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += places(inner, (*path, key))
    return found


@st.composite
def configs(draw):
    """A valid config after a few mutations: a value replaced, removed, doubled, wrapped; a key added or renamed."""
    raw = copy.deepcopy(draw(st.sampled_from([ONE, WHOLE])))
    for _ in range(draw(st.integers(1, 3))):
        all_places = places(raw)
        if not all_places:
            break
        *parents, last = draw(st.sampled_from(all_places))
        place = raw
        for key in parents:
            place = place[key]
        match draw(st.sampled_from(["replace", "replace", "remove", "double", "wrap", "nest", "add", "rename"])):
            case "replace":
                place[last] = draw(VALUES_ANY)
            case "remove":
                del place[last]
            case "double" if isinstance(place, list):
                place += place
            case "wrap":
                place[last] = [place[last]]
            case "nest":
                place[last] = {"x": None, "y": {"z": [None, {}]}}
            case "rename" if isinstance(place, dict):
                place[draw(KEYS)] = place.pop(last)
            case _ if isinstance(place, dict):
                place[draw(KEYS)] = draw(VALUES_ANY)
    return raw


def use(raw):
    """Ask a plan for all that the Snakefile asks when it is read."""
    plan = Plan(raw, SCRIPTS)
    plan.sources = SimpleNamespace(digest=lambda script: "code")
    assert listing(plan.studies, plan.files) and plan.files.result_files() and captions(plan.studies)
    for kind in ("dataset", "model", "testset", "table", "figure", "instrument", "archive"):
        re.compile(plan.pattern(kind))
    for kind in ("trained", "trained with snapshots", "finished"):
        re.compile(plan.dataset_of(kind))
    for name, study in plan.studies.items():
        at = SimpleNamespace(dataset=name, testset="clean", table="table1", cue="shape-only", method="grad", seed="0")
        for ask in ("dataset", "testset", "styles", "statistics", "claims", "ruler_choice", "ruler_readings", "table"):
            assert getattr(plan.asks, ask)(at)
        for instrument in study.instruments_asked():
            assert plan.asks.measurement(instrument.name)(at)
        for model, seed in study.runs():
            at.model, at.seed = model, str(seed)
            assert re.fullmatch(plan.pattern("model"), model) and re.fullmatch(r"\d+", at.seed)
            if model in study.trained():
                assert study.training_run(model, seed).canonical() and plan.files.matched_selection(at) is not None


@pytest.fixture(scope="module", autouse=True)
def empty_folder(tmp_path_factory):
    """No file of the checkout is found by a path that is made up."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("empty"))
        yield


@FUZZ
@given(raw=configs())
@example(raw={})
@example(raw={"studies": {}})
@example(raw={"studies": {"a": 5}})
@example(raw={**ONE, "data_seed": float("nan")})
@example(raw={**ONE, "adversary": {"x": datetime.date(2020, 1, 1)}})
@example(raw={**ONE, "training": {"lr": "1e400"}})
@example(raw={**ONE, "seeds": [-1]})
@example(raw={**ONE, "models": {"a\n": {}}})
@example(raw={**ONE, "models": {1: {}, "1": {}}})
@example(raw={**ONE, "models": {"x": {"weights": "a" * 5000}}})
@example(raw={**ONE, "dataset": {"kind": "cues", "size": 10**9}, "testsets": {"patch_shuffle": [3]}})
def test_a_config_is_a_study_or_is_refused_by_a_key(raw):
    try:
        use(raw)
    except UserError as error:
        text = str(error)
        assert text.encode() and len(text) < 40_000
        wrong = text.partition(":\n")[2].splitlines() if text.startswith("the config has") else text.splitlines()
        odd = [key for key in raw if type(key) is not int or abs(key) < 2**63]
        keys = (*KNOWN, "a large number", *(str(key)[:50] for key in odd if str(key).strip()), *map(repr, odd))
        assert wrong and wrong[0].strip().startswith(keys), text


def test_valid_configs_get_through():
    """The planted fault: a test that refuses everything would pass above."""
    use(ONE)
    use(WHOLE)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seeds": [0, -1]}, "seeds: -1 is below 0"),
        ({"models": {"a\n": {}}}, "letters, digits"),
        ({"models": {"a" * 101: {}}}, "at most 100"),
        ({"models": {"trained": {"adversary": {"eps": -1}}}}, "models.trained.adversary.eps: input should be"),
        ({"stylisation": {"styles": {"kind": "drawn", "count": 0}}}, "stylisation.styles.count: input should be"),
        ({"testsets": {"saturation": [8, 8.00000001]}}, "testsets.saturation: 8 is given more than once"),
        ({"training": {"lr": "1e400"}}, "training.lr: '1e400' is neither a number"),
        ({"training": {"epochs": 10**5000}}, "training.epochs: an integer beyond"),
        ({"data_seed": 2**70}, "data_seed: an integer beyond"),
        ({"display": {"labels": {"standard": "\ud800"}}}, "display.labels.standard: "),
        ({"dataset": {"kind": "cues", "size": 10**9}}, "dataset.size: 1000000000 pixels; at most 4096"),
    ],
)
def test_what_was_found_stays_found(change, words):
    with pytest.raises(UserError) as caught:
        load({**ONE, "saliency": {}, **change})
    assert words in str(caught.value)


def test_a_config_that_contains_itself_is_refused():
    loop = yaml.safe_load("models: &a {x: *a}\nseeds: &b [*b]")
    assert [line.partition(":")[0] for line in problems({**ONE, **loop})] == ["models.x", "seeds.0"]
    deep = {}
    for _ in range(2 * DEPTH):
        deep = {"x": deep}
    assert "nested deeper" in problems({"models": deep})[0]
    wide = [None] * 1000
    with pytest.raises(UserError, match=f"more than {VALUES:,} values"):
        load({**ONE, "models": [[wide] * 1000] * 1000})
    assert problems(WHOLE) == []


@FUZZ
@given(text=st.one_of(st.from_regex(r"\A[ 0-9_eE./+-]{0,12}\Z"), st.text(max_size=8), st.sampled_from(TEXTS)))
@example(text="1e999999999")
@example(text="9" * 5000)
@example(text="1/3e-999999999")
def test_numbers_as_text_are_floats_or_refused(text):
    try:
        assert isinstance(parse_fraction(text), float)
    except ValueError as error:
        assert "neither a number nor a fraction" in str(error)


@FUZZ
@given(text=st.text(alphabet='{}"\\a:,é', max_size=12))
def test_the_recorded_config_holds_no_wildcard_and_says_the_same(text):
    raw = {**ONE, "display": {"labels": {"standard": text}}}
    recorded = Plan(raw, SCRIPTS).studies.raw
    assert json.loads(recorded)["display"]["labels"]["standard"] == text
    assert not re.search(r"\{\s*\w", recorded)  # of the text's own braces none is left as it was
