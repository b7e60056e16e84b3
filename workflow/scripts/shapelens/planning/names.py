"""Which test sets, tables and figures a study has."""

from shapelens.instruments.declare import Figure, Instrument
from shapelens.instruments.registry import INSTRUMENTS, TABLES
from shapelens.plots.registry import FIGURES, sheets
from shapelens.study.config import CALIBRATION_SETS, Study


def has_gate(study: Study) -> bool:
    """Tell whether a study has calibration models and so gates that they must pass."""
    return any(testset in CALIBRATION_SETS for testset in study.testset_names())


def testsets_read(study: Study, instrument: Instrument) -> list[str]:
    """Return the names of the test sets that an instrument reads, ``clean`` first."""
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
    if "saliency" in entry.needs:
        known = [name for name in known if name in saliency_testsets(study)]
    found: list[str] = []
    for wanted in entry.testsets:
        if wanted.endswith("*"):
            found += [name for name in known if name.startswith(wanted[:-1]) and name not in found]
        elif wanted in known:
            found.append(wanted)
    return found


def table_ids(study: Study) -> list[str]:
    """Return the ids of the tables that a study's models and test sets allow."""
    names = study.testset_names()
    have = {
        "saturation": bool(study.testsets.saturation),
        "patch_shuffle": bool(study.testsets.patch_shuffle),
        "table3": any(name in names for name in ("low-pass", "high-pass", "random-filter")),
        "table2": "stylised" in names,
        "shape_bias": "conflict" in names or "cue-conflict" in names,
        "agreement": study.dataset.kind in ("cifar10", "tinyimagenet", "caltech256"),
    }
    asked = {table.id for one in study.instruments_asked() for table in one.tables}
    return [table for table in TABLES if table in asked and have.get(table, True)]


def figure_ids(study: Study) -> list[str]:
    """Return the ids of the figures that a study's models and test sets allow, saliency sheets included."""
    figures = [figure for figure, entry in FIGURES.items() if _allows(study, entry)]
    return figures + list(sheets(study.saliency.methods, saliency_testsets(study)))


def _allows(study: Study, entry: Figure) -> bool:
    if entry.method and entry.method not in study.saliency.methods:
        return False
    if not set(entry.families) <= {info.family for info in study.grid()}:
        return False
    shown = shown_testsets(study, entry)
    return bool(shown) and (set(entry.testsets) == {"clean"} or "saliency" in entry.needs or shown != ["clean"])
