"""What readers see of a run: the live numbers of the report's captions, and the list of its tables and figures."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from shapelens.artefacts.files import read_json
from shapelens.errors import UserError
from shapelens.instruments.registry import TABLES
from shapelens.planning.files import Files
from shapelens.planning.names import saliency_testsets
from shapelens.planning.studies import Studies
from shapelens.plots.registry import FIGURES, sheets
from shapelens.study.config import Study


def captions(studies: Studies) -> dict[str, dict[str, Any]]:
    """Return the live numbers that the report's captions state, by study."""
    return {name: _caption(study) for name, study in studies.items()}


def _caption(study: Study) -> dict[str, Any]:
    robustness = study.robustness_resolved()
    return {
        "dataset": study.name,
        "styles": _styles(study),
        "style_networks": "trained on the training images"
        if study.stylisation.networks.source == "trained"
        else "the published ones: VGG-19 and its decoder",
        "n": _test_images(study),
        "seeds": ", ".join(map(str, study.seeds)),
        "data_seed": study.data_seed,
        "eps": f"{robustness.eps * 255:.3g}/255" if robustness.norm == "inf" else f"{robustness.eps:.3g}",
        "norm": "ℓ∞" if robustness.norm == "inf" else "ℓ2",
        "steps": robustness.steps,
        "attack": "AutoAttack" if robustness.robust_attack == "autoattack" else f"PGD-{robustness.steps}",
        "samples": study.saliency.samples,
        "sigma": study.saliency.sigma,
        "images": study.saliency.images if isinstance(study.saliency.images, int) else len(study.saliency.images),
        "resamples": study.statistics.resamples,
        "confidence": round(100 * study.statistics.confidence),
    }


def _styles(study: Study) -> str:
    """Return in words where the style images come from."""
    styles = study.stylisation.styles
    if styles.kind == "drawn":
        return f"{styles.count} drawn by the project"
    return f"images of {Path(styles.path).name}"


def _test_images(study: Study) -> int | str:
    """Return the number of test images as measured, or what is known of it before the images are there."""
    manifest = Path(f"results/{study.name}/data/manifest.json")
    if manifest.exists():
        # A damaged manifest must not keep the workflow from being read: one of its jobs makes it again.
        with suppress(UserError, LookupError, TypeError):
            return int(read_json(manifest)["splits"]["test"]["images"])
    return getattr(study.dataset, "test", None) or "all"


def listing(studies: Studies, files: Files) -> str:
    """Return one line for every table and figure: id, title and path."""
    titles = {**{k: v.title for k, v in TABLES.items()}, **{k: v.title for k, v in FIGURES.items()}}
    for study in studies.values():
        titles |= {k: v.title for k, v in sheets(study.saliency.methods, saliency_testsets(study)).items()}
    rows = [(table, f"results/{name}/tables/{table}.md") for name, table in files.tables()]
    rows += [(figure, f"results/{name}/figures/{figure}.png") for name, figure in files.figures()]
    width = max(len(row[0]) for row in rows)
    return "\n".join(f"{key:{width}}  {path}  {titles[key]}" for key, path in rows)
