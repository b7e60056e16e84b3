"""Which test sets, tables and figures a study has."""

from dataclasses import replace

from shapelens.datasets.spec import Cues
from shapelens.instruments.declare import Figure, Instrument, Table
from shapelens.instruments.registry import INSTRUMENTS, TABLES
from shapelens.names.testsets import CLEAN, OWN_CONFLICTS, OWN_SETS
from shapelens.names.words import method_title, name_of_testset
from shapelens.plots.registry import FIGURES
from shapelens.study.config import END_RULERS, Study


def has_rulers(study: Study) -> bool:
    """Tell whether a study has the two rulers between which every other model lies."""
    return set(END_RULERS) <= study.models.keys()


def has_choice(study: Study) -> bool:
    """Tell whether a study's rulers have conflict sets to choose from."""
    return has_rulers(study) and bool(study.conflict_sets())


def has_known_answer(study: Study) -> bool:
    """Tell whether the shape bias of a study's models is predicted: textures at a fixed phase are learned first."""
    return isinstance(study.dataset, Cues) and study.dataset.phase == "fixed"


def has_seeds_to_compare(study: Study) -> bool:
    """Tell whether a model with saliency maps is trained with several seeds."""
    mapped = set(study.measured_with(INSTRUMENTS["saliency"]))
    return len(study.seeds) > 1 and bool(mapped & study.trained().keys())


def testsets_read(study: Study, instrument: Instrument) -> list[str]:
    """Return the names of the test sets that an instrument reads, ``clean`` first where there is one."""
    if instrument.testsets == "all":
        return study.testset_names()
    chosen = getattr(study.section(instrument), "testsets", ()) if instrument.testsets == "chosen" else ()
    return list(dict.fromkeys(("clean", *chosen)))


def saliency_testsets(study: Study) -> list[str]:
    """Return the names of the test sets whose images are explained, ``clean`` first."""
    return testsets_read(study, INSTRUMENTS["saliency"])


def shown_testsets(study: Study, entry: Figure) -> list[str]:
    """Return the test sets of a study that a figure shows, in the figure's order."""
    known = study.testset_names()
    for instrument in _instruments(entry):
        known = [name for name in known if name in testsets_read(study, instrument)]
    found: list[str] = []
    for wanted in (name for one in entry.testsets for name in named_sets(study, one)):
        if wanted.endswith("*"):
            found += [name for name in known if name.startswith(wanted[:-1]) and name not in found]
        elif wanted in known:
            found.append(wanted)
    return found


def named_sets(study: Study, pattern: str) -> list[str]:
    """Return what a table's or figure's test set stands for: the user's own sets where it says so, else itself."""
    own = {OWN_SETS: study.own_sets(), OWN_CONFLICTS: list(study.testsets.own_conflicts)}
    return own.get(pattern, [pattern])


def table_of(study: Study, table: Table) -> Table:
    """Return a table with a column for each of the user's own sets where its declaration stands for them all."""
    columns = [
        (metric, name, heading if name == pattern else heading.replace("{}", name_of_testset(name)))
        for metric, pattern, heading in table.columns
        for name in named_sets(study, pattern)
    ]
    return replace(table, columns=tuple(columns))


def _instruments(entry: Figure) -> list[Instrument]:
    """Return the instruments whose means, rows or arrays a figure needs."""
    names = [need.partition(".")[0] for need in entry.needs]
    return [INSTRUMENTS[name] for name in names if name in INSTRUMENTS]


def table_ids(study: Study) -> list[str]:
    """Return the ids of the tables that a study's models and test sets allow."""
    names = study.testset_names()
    conflicts = bool(study.conflict_sets() or study.testsets.own_conflicts)
    have = {
        "saturation": any(name.startswith("saturation-") for name in names),
        "patch_shuffle": any(name.startswith("patch-shuffle-") for name in names),
        "table3": any(name in names for name in ("low-pass", "high-pass", "random-filter")),
        "table2": "stylised" in names,
        "shape_bias": conflicts,
        "cue_reading": conflicts,
        "own_sets": bool(study.own_sets()),
        "ruler": has_rulers(study),
        "known_answer": has_known_answer(study),
        "on_object": isinstance(study.dataset, Cues),
        "saliency_seeds": has_seeds_to_compare(study),
        "agreement": study.dataset.kind in ("cifar10", "tinyimagenet", "caltech256"),
    }
    measured = {table.id for one in INSTRUMENTS.values() if study.measured_with(one) for table in one.tables}
    return [table for table in TABLES if table in measured and have.get(table, True)]


def figures_of(study: Study) -> dict[str, Figure]:
    """Return the figures that a study's models, methods and test sets allow, by id, each picture once.

    A figure that would show what one before it shows is left out: Figure 10 is the sheet of Grad on clean images.
    """
    found: dict[str, Figure] = {}
    pictures = []
    unmeasured = {entry.id for one in INSTRUMENTS.values() if not study.measured_with(one) for entry in one.figures}
    declared = [one for entry in FIGURES if entry.id not in unmeasured for one in _each(study, entry)]
    for entry in (one for one in declared if _allows(study, one)):
        picture = (entry.draw, entry.method, shown_testsets(study, entry), entry.options)
        if picture not in pictures:
            pictures.append(picture)
            found[entry.id] = entry
    return found


def _each(study: Study, entry: Figure) -> list[Figure]:
    """Return the figures that an entry stands for: itself, or one of each method and test set of the study's maps."""
    if not entry.each_map:
        return [entry]
    figures = []
    for method in study.saliency.methods:
        for testset in saliency_testsets(study):
            words = {"method": method, "testset": testset}
            words |= {"method_title": method_title(method), "testset_title": name_of_testset(testset)}
            texts = {key: getattr(entry, key).format_map(words) for key in ("id", "title", "shows")}
            figures.append(replace(entry, **texts, method=method, testsets=(testset,), each_map=False))
    return figures


def _allows(study: Study, entry: Figure) -> bool:
    methods = {*([entry.method] if entry.method else ()), *entry.options.get("methods", ())}
    if not methods <= set(study.saliency.methods):
        return False
    if entry.drawn and not isinstance(study.dataset, Cues):
        return False
    if not set(entry.families) <= {info.family for info in study.grid()}:
        return False
    if not all(study.measured_with(instrument) for instrument in _instruments(entry)):
        return False
    if "known_answer" in entry.needs and not has_known_answer(study):
        return False
    shown = shown_testsets(study, entry)
    # Pictures of what transformations do to images are none where the study has the clean images alone.
    only_pictures = "images" in entry.needs and not entry.method and set(entry.testsets) != {"clean"}
    return bool(shown) and not (only_pictures and shown == [CLEAN])
