import json
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def by_model(paths):
    """Group files of the form …/{model}/seed{n}.… by model, seeds in order."""
    found = defaultdict(list)
    for path in paths:
        found[Path(path).parent.name].append(path)
    return dict(found)


with job(snakemake):
    # Imported once the log is there and the library is known to be this checkout's.
    import numpy as np

    from shapelens.artefacts.files import as_float, open_image_set, open_npy, read_json, verified_set
    from shapelens.attribution.choose_images import choose_images
    from shapelens.names.display import Display
    from shapelens.names.models import ModelInfo, exemplars, opposites
    from shapelens.names.words import panel_title
    from shapelens.plots import by_class, curves, dots, pictures, saliency
    from shapelens.plots.registry import FIGURES, SHEET_WIDTH
    from shapelens.plots.save import save_figure
    from shapelens.stats.tidy import PER_CLASS, read_tidy

    spec = json.loads(snakemake.params.spec)
    display = Display.model_validate(spec["display"])
    models = [ModelInfo.model_validate(info) for info in spec["grid"]]
    explained = [model for model in models if model.family != "calibration"]
    name = spec["figure"]
    entry = FIGURES.get(name)
    max_width = SHEET_WIDTH if entry is None or entry.sheet else None

    folders = [Path(path).parent for path in snakemake.input.get("manifests", [])]
    sets = {folder.name: open_image_set(verified_set(folder)) for folder in folders}
    if sets:
        indices = choose_images(sets["clean"].labels, spec["images"], spec["data_seed"])[: spec["sheet_images"]]
        shown = {testset: as_float(np.asarray(sets[testset].images[indices])) for testset in sets}
        panels = [(panel_title(name, testset), shown[testset]) for testset in spec["testsets"]]

    if name == "cue_conflict":
        tables = read_tidy(snakemake.input.accuracy), read_tidy(snakemake.input.per_class, PER_CLASS)
        figure = by_class.cue_conflict(*tables, explained, display, confidence=spec["confidence"])
    elif snakemake.input.get("accuracy"):
        draw = {**vars(curves), **vars(dots)}[name]
        shown_models = models if name == "shape_bias" else explained
        figure = draw(read_tidy(snakemake.input.accuracy), shown_models, display, confidence=spec["confidence"])
    elif snakemake.input.get("maps"):
        first_seed = {model: paths[0] for model, paths in by_model(snakemake.input.maps).items()}
        method = entry.method if entry else snakemake.wildcards.method
        blocks = [
            (saliency.read_maps(first_seed, method, testset, len(indices)), shown[testset])
            for testset in spec["testsets"]
        ]
        if name in ("figure2", "figure8"):
            few = exemplars(explained) if name == "figure2" else opposites(explained)
            figure = getattr(saliency, name)(blocks, few, display, spec["dataset"])
        else:
            figure = saliency.saliency_sheet(*blocks[0], explained, display, spec["dataset"])
    elif name == "figure6":
        few = exemplars(explained)
        paths = by_model(snakemake.input.predictions)
        chosen = {model.name: paths[model.name] for model in few}
        probabilities = pictures.label_probabilities(chosen, spec["testsets"], indices.tolist())
        classes = read_json(snakemake.input.data)["classes"]
        labels = [classes[label] for label in sets["clean"].labels[indices]]
        figure = pictures.figure6(panels, probabilities, labels, few, display, spec["dataset"])
    else:
        if name == "figure3":
            chosen_styles = np.asarray(open_npy(snakemake.input.styles))[indices]
            styles = open_npy(verified_set(Path(snakemake.input.style_images).parent) / "images.npy")
            style_images = as_float(np.asarray(styles[chosen_styles]))
            panels.insert(1, ("Style", style_images))
        figure = getattr(pictures, name)(panels, spec["dataset"])
    save_figure(figure, snakemake.output.png, snakemake.output.pdf, display.dpi, max_width=max_width)
