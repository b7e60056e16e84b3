"""All that the rules of the workflow ask about its studies.

Imported by the Snakefile and by no job, so that a change here reruns nothing by itself.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from shapelens.config import Study
from shapelens.errors import UserError
from shapelens.files import read_json
from shapelens.planning.names import saliency_testsets
from shapelens.planning.paths import Paths
from shapelens.planning.specs import Specs
from shapelens.plots.registry import FIGURES, sheets
from shapelens.tables.registry import TABLES


class Plan(Specs, Paths):
    """The studies of a run, and everything that their rules need before a job starts."""

    # Resources

    def threads(self, wildcards: Any) -> int:
        """Return the threads of a job that runs a model."""
        return self.study(wildcards).compute.threads

    def gpu(self, wildcards: Any) -> int:
        """Return the GPUs that such a job asks for."""
        return self.study(wildcards).compute.gpu

    def jobs_per_gpu(self, wildcards: Any) -> int:
        """Return how many such jobs may share a GPU; a resource, since it makes nothing stale."""
        return self.study(wildcards).compute.jobs_per_gpu

    def batch(self, wildcards: Any) -> int:
        """Return the images per batch; a resource, since those never make a result stale."""
        return self.study(wildcards).compute.batch

    def mem_mb(self, wildcards: Any, attempt: int) -> int:
        """Return the memory that such a job books, more at each attempt."""
        return self.study(wildcards).compute.mem_mb * attempt

    def runtime(self, wildcards: Any, attempt: int) -> int:
        """Return the minutes that such a job books, more at each attempt."""
        return self.study(wildcards).compute.runtime * attempt

    @staticmethod
    def growing(amount: int) -> Callable[[Any, int], int]:
        """Return a resource of ``amount`` at a job's first attempt, twice as much at the second, and so on."""
        return lambda wildcards, attempt: amount * attempt

    # What readers see

    def captions(self) -> dict[str, dict[str, Any]]:
        """Return the live numbers that the report's captions state, by study."""
        return {name: self._caption(study) for name, study in self.studies.items()}

    def _caption(self, study: Study) -> dict[str, Any]:
        robustness = study.robustness_resolved()
        return {
            "dataset": study.name,
            "styles": self._styles(study),
            "style_networks": "trained on the training images"
            if study.stylisation.networks.source == "trained"
            else "the published ones: VGG-19 and its decoder",
            "n": self._test_images(study),
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

    @staticmethod
    def _styles(study: Study) -> str:
        """Return in words where the style images come from."""
        styles = study.stylisation.styles
        if styles.kind == "drawn":
            return f"{styles.count} drawn by the project"
        return f"images of {Path(styles.path).name}"

    @staticmethod
    def _test_images(study: Study) -> int | str:
        """Return the number of test images as measured, or what is known of it before the images are there."""
        manifest = Path(f"results/{study.name}/data/manifest.json")
        if manifest.exists():
            # A damaged manifest must not keep the workflow from being read: one of its jobs makes it again.
            with suppress(UserError, LookupError, TypeError):
                return int(read_json(manifest)["splits"]["test"]["images"])
        return getattr(study.dataset, "test", None) or "all"

    def listing(self) -> str:
        """Return one line for every table and figure: id, title and path."""
        titles = {**{k: v.title for k, v in TABLES.items()}, **{k: v.title for k, v in FIGURES.items()}}
        for study in self.studies.values():
            titles |= {k: v.title for k, v in sheets(study.saliency.methods, saliency_testsets(study)).items()}
        rows = [(table, f"results/{name}/tables/{table}.md") for name, table in self.tables()]
        rows += [(figure, f"results/{name}/figures/{figure}.png") for name, figure in self.figures()]
        width = max(len(row[0]) for row in rows)
        return "\n".join(f"{key:{width}}  {path}  {titles[key]}" for key, path in rows)
