"""Every file of a finished study: what `rule all` asks for, so that one that is lost is made again."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

from shapelens.planning.files import SINGLE_CUE
from shapelens.planning.names import has_choice
from shapelens.planning.studies import Studies
from shapelens.study.config import Study

SPLITS = ("train", "validation", "test")
SET = ("images.npy", "labels.npy", "textures.npy", "manifest.json", "contact_sheet.png")
MODEL = ("model.safetensors", "spec.json", "selection.json", "history.csv", "run.json")
OF_THE_RUN = tuple(
    f"results/{name}"
    for name in ("report.html", "report.zip", "config.json", "provenance.json", "ro-crate-metadata.json", "Snakefile")
)
STYLISATION = (
    "encoder.safetensors", "decoder.safetensors", "spec.json", "encoder_history.csv", "decoder_history.csv", "run.json",
    "contact_sheet.png",
)  # fmt: skip


def whole_files(studies: Studies, figure_inputs: Callable[[Any], dict[str, Any]]) -> list[str]:
    """Return every file that the studies need besides tables, figures and claims, each once.

    ``figure_inputs``: a function of wildcards, the inputs of a figure by name.
    """
    found: dict[str, None] = {}
    for name, study in studies.items():
        parts = (*_images(study), *_style_files(study), *_models(study), *_measured(study))
        found |= dict.fromkeys(f"results/{name}/{path}" for path in parts)
        found |= dict.fromkeys(_tidy(study, figure_inputs, list(studies.figures[name])))
    return list(found)


def _images(study: Study) -> Iterator[str]:
    """Yield the images of a study and its test sets."""
    yield "data/manifest.json"
    if not study.test_only:
        yield from ("data/index.csv", "data/contact_sheet.png")
        yield from (f"data/{split}/{array}.npy" for split in SPLITS for array in ("images", "labels"))
    for cue in sorted({model.images for model in study.trained().values()} & set(SINGLE_CUE)):
        yield from (f"data-{cue}/{name}" for name in ("manifest.json", "index.csv", "contact_sheet.png"))
        yield from (f"data-{cue}/{split}/{array}.npy" for split in SPLITS[:2] for array in ("images", "labels"))
    read, stylised = study.testsets.own_sources(), study.testsets.stylisations()
    for testset in study.testset_names():
        more = ("index.csv",) if testset in read else ("styles.npy", "quality.csv") if testset in stylised else ()
        yield from (f"testsets/{testset}/{name}" for name in (*SET, *more))


def _style_files(study: Study) -> Iterator[str]:
    """Yield the style images and networks of a study, if it has any."""
    if study.testsets.stylisations():
        yield from (f"styles/{name}" for name in ("images.npy", "index.csv", "manifest.json", "contact_sheet.png"))
        yield from (f"stylisation/{name}" for name in STYLISATION)


def _models(study: Study) -> Iterator[str]:
    """Yield the files of every model, and their snapshots where the study keeps some."""
    trained = study.trained()
    for model, seed in study.runs():
        yield from (f"models/{model}/seed{seed}/{name}" for name in MODEL)
        if model in trained and (trained[model].training or study.training).snapshots:
            yield f"models/{model}/seed{seed}/snapshots.safetensors"


def _measured(study: Study) -> Iterator[str]:
    """Yield what every instrument left of every model that it measures."""
    for instrument in study.instruments_asked():
        suffixes = ("parquet", "json", *(("npz",) if instrument.has_arrays else ()))
        for model, seed in study.runs():
            if model in study.measured_with(instrument):
                yield from (f"{instrument.name}/{model}/seed{seed}.{suffix}" for suffix in suffixes)


def _tidy(study: Study, figure_inputs: Callable[[Any], dict[str, Any]], figures: list[str]) -> Iterator[str]:
    """Yield the tidy numbers that figures and claims are made of; those of tables are asked for with them."""
    if has_choice(study):
        yield f"results/{study.name}/rulers/choice.json"
    for figure in figures:
        for paths in figure_inputs(SimpleNamespace(dataset=study.name, figure=figure)).values():
            yield from filter(_is_tidy, [paths] if isinstance(paths, str) else paths)


def _is_tidy(path: str) -> bool:
    return path.endswith(".csv")
