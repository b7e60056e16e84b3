"""The inputs of every rule, and the files of every target."""

import hashlib
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from snakemake.io import ancient

from shapelens.datasets.sources import SOURCES, STYLE_NETWORKS
from shapelens.datasets.spec import Cues, NoTraining
from shapelens.instruments.declare import Instrument
from shapelens.instruments.registry import INSTRUMENTS, TABLES
from shapelens.names.models import JUDGE
from shapelens.names.testsets import JOINT
from shapelens.planning.names import has_choice, table_ids, testsets_read
from shapelens.planning.studies import Studies
from shapelens.study.config import Study
from shapelens.tables.spec import FORMATS

SINGLE_CUE = ("shape-only", "random-texture")
"""Training images that are drawn so that the shape alone names the class, in a folder of their own."""
LONGEST = 150
"""Letters of a folder that is named by several studies."""
SMALL_ARRAYS = ("labels", "textures")


class Files:
    """Paths below ``results/``.

    ``copies``: jobs see copies of their declared inputs and nothing else, as under a storage provider.
    """

    def __init__(self, studies: Studies, *, copies: bool) -> None:
        self._studies = studies
        self.copies = copies

    def source(self, wildcards: Any) -> str | list[str]:
        """Return the file that an official dataset is read from, or nothing where it is drawn or lies in a folder."""
        dataset = self._studies.of(wildcards).dataset
        if isinstance(dataset, Cues | NoTraining):
            return []
        path = dataset.path
        if path is None:
            return f"resources/{SOURCES[dataset.kind].file}"
        return path if Path(path).is_file() else []

    def source_images(self, wildcards: Any) -> dict[str, Any]:
        """Return what a transformed set is made of: the test images, or those of an own set."""
        own, joint, _ = wildcards.testset.partition(JOINT)
        folder = f"results/{wildcards.dataset}/" + (f"testsets/{own}" if joint else "data/test")
        record = f"results/{wildcards.dataset}/" + (f"testsets/{own}" if joint else "data") + "/manifest.json"
        arrays = {name: ancient(f"{folder}/{name}.npy") for name in ("images", "labels")}
        return {**arrays, "manifest": record}

    def own_source(self, wildcards: Any) -> list[str]:
        """Return the archive of an own test set and the table of its labels; a folder is no input."""
        own = self._studies.of(wildcards).testsets.own_sources()[wildcards.testset]
        return [path for path in (own.path, getattr(own, "labels", None)) if path and Path(path).is_file()]

    def own_sources(self, wildcards: Any) -> list[str]:
        """Return the same of all own test sets of a study."""
        sets = self._studies.of(wildcards).testsets.own_sources().values()
        paths = [path for own in sets for path in (own.path, getattr(own, "labels", None))]
        return [path for path in paths if path and Path(path).is_file()]

    def learnt_images(self, wildcards: Any) -> dict[str, Any]:
        """Return the index of the images that models learn from; nothing where the study has no training."""
        if self._studies.of(wildcards).test_only:
            return {}
        return {"index": ancient(f"results/{wildcards.dataset}/data/index.csv")}

    def validation_images(self, wildcards: Any) -> dict[str, Any]:
        """Return the images on which a finished model's accuracy is stated; none where the study has no training."""
        if self._studies.of(wildcards).test_only:
            return {}
        folder = f"results/{wildcards.dataset}/data/validation"
        return {name: ancient(f"{folder}/{name}.npy") for name in ("images", "labels")}

    def training_images(self, wildcards: Any) -> dict[str, Any]:
        """Return the inputs of a training job: arrays, whose clock does not count, and their small manifest."""
        images = self._studies.of(wildcards).training_run(wildcards.model, 0).images
        folder = f"results/{wildcards.dataset}/data" + (f"-{images}" if images in SINGLE_CUE else "")
        arrays = [f"{folder}/{part}/{file}.npy" for part in ("train", "validation") for file in ("images", "labels")]
        return {"arrays": [ancient(path) for path in arrays], "manifest": f"{folder}/manifest.json"}

    def style_source(self, wildcards: Any) -> str | list[str]:
        """Return the archive of the style images, or nothing where they are drawn or lie in a folder."""
        path = getattr(self._studies.of(wildcards).stylisation.styles, "path", None)
        return path if path is not None and Path(path).is_file() else []

    def style_weights(self, wildcards: Any) -> dict[str, Any]:
        """Return the files of published style networks, local or fetched; nothing where they are trained."""
        networks = self._studies.of(wildcards).stylisation.networks
        if networks.source != "published":
            return {}
        local = {"encoder": networks.encoder, "decoder": networks.decoder}
        return {
            f"published_{key}": ancient(local[key] or f"resources/{source.file}")
            for key, source in STYLE_NETWORKS.items()
        }

    def ruler_models(self, wildcards: Any) -> dict[str, Any]:
        """Return the rulers that choose a conflict set, and the style networks where one is stylised."""
        study = self._studies.of(wildcards)
        found: dict[str, Any] = {}
        for cue, model in (("texture", "calibration-texture"), ("shape", "calibration-shape")):
            folders = [f"results/{study.name}/models/{model}/seed{seed}" for seed in study.seeds]
            found[cue] = [ancient(f"{folder}/model.safetensors") for folder in folders]
            found[f"{cue}_records"] = [f"{folder}/{name}.json" for folder in folders for name in ("spec", "selection")]
        if study.testsets.cue_conflict is not None:
            networks = f"results/{study.name}/stylisation"
            found |= {name: ancient(f"{networks}/{name}.safetensors") for name in ("encoder", "decoder")}
            found["networks"] = f"{networks}/spec.json"
        return found

    def radius(self, wildcards: Any) -> dict[str, str]:
        """Return the rulers' choice where it decides the radius of hybrids."""
        hybrid = self._studies.of(wildcards).testsets.hybrid
        if wildcards.testset != "hybrid" or hybrid is None or hybrid.radius is not None:
            return {}
        return {"choice": f"results/{wildcards.dataset}/rulers/choice.json"}

    def choice(self, wildcards: Any) -> list[str]:
        """Return the rulers' choice where the study has conflict sets to choose from."""
        study = self._studies.of(wildcards)
        return [f"results/{study.name}/rulers/choice.json"] if has_choice(study) else []

    def ruler_predictions(self, suffix: str) -> Callable[[Any], list[str]]:
        """Return an input function for the rows (``parquet``) or records (``json``) of the rulers' predictions."""

        def paths(wildcards: Any) -> list[str]:
            study = self._studies.of(wildcards)
            folder = f"results/{study.name}/predictions"
            return [f"{folder}/{m}/seed{seed}.{suffix}" for m, seed in study.runs() if study.is_calibration(m)]

        return paths

    def styles_of(self, wildcards: Any) -> dict[str, Any]:
        """Return the style images of a stylised set; in a cue conflict the test images are the styles."""
        if wildcards.testset != "stylised":
            return {}
        folder = f"results/{wildcards.dataset}/styles"
        return {"styles": ancient(f"{folder}/images.npy"), "styles_manifest": f"{folder}/manifest.json"}

    def matched_selection(self, wildcards: Any) -> str | list[str]:
        """Return the record of the model that a matched model stops at, or nothing."""
        target = self._studies.of(wildcards).matched_to(wildcards.model)
        return f"results/{wildcards.dataset}/models/{target}/seed{wildcards.seed}/selection.json" if target else []

    def selections(self, wildcards: Any) -> list[str]:
        """Return selection.json of every model and seed that takes part in claims: all but calibration models."""
        study = self._studies.of(wildcards)
        return [
            f"results/{study.name}/models/{model}/seed{seed}/selection.json"
            for model, seed in study.runs()
            if study.is_subject(model)
        ]

    def measured(self, instrument: str, suffix: str) -> Callable[[Any], list[str]]:
        """Return an input function for one file of every model and seed that an instrument measures.

        ``suffix``: ``parquet`` (its rows), ``npz`` (its arrays) or ``json`` (the record beside them).
        """
        return lambda wildcards: self._measured(self._studies.of(wildcards), INSTRUMENTS[instrument], suffix)

    def all_measured(self, suffix: str) -> Callable[[Any], list[str]]:
        """Return an input function for such a file of every instrument of a study."""

        def paths(wildcards: Any) -> list[str]:
            study = self._studies.of(wildcards)
            return [path for one in study.instruments_asked() for path in self._measured(study, one, suffix)]

        return paths

    @staticmethod
    def _measured(study: Study, instrument: Instrument, suffix: str) -> list[str]:
        models = set(study.measured_with(instrument))
        return [
            f"results/{study.name}/{instrument.name}/{model}/seed{seed}.{suffix}"
            for model, seed in study.runs()
            if model in models
        ]

    @staticmethod
    def arrays_of(instrument: Instrument) -> dict[str, str]:
        """Return the output for an instrument's arrays, if it leaves any."""
        path = f"results/{{dataset}}/{instrument.name}/{{model}}/seed{{seed}}.npz"
        return {"arrays": path} if instrument.has_arrays else {}

    def rows_of(self, wildcards: Any) -> list[str]:
        """Return the rows of the instrument whose means are made."""
        return self.measured(wildcards.instrument, "parquet")(wildcards)

    def records_of(self, wildcards: Any) -> list[str]:
        """Return the records beside them."""
        return self.measured(wildcards.instrument, "json")(wildcards)

    def judge_of(self, instrument: str) -> Callable[[Any], dict[str, Any]]:
        """Return an input function for the model in whose features an instrument compares images, where there is one.

        It has the training seed of the model that is measured, or its only one.
        """

        def inputs(wildcards: Any) -> dict[str, Any]:
            study = self._studies.of(wildcards)
            seeds = [seed for model, seed in study.runs() if model == JUDGE]
            if not INSTRUMENTS[instrument].judged or not seeds:
                return {}
            seed = int(wildcards.seed) if int(wildcards.seed) in seeds else seeds[0]
            folder = f"results/{study.name}/models/{JUDGE}/seed{seed}"
            return {
                "judge": ancient(f"{folder}/model.safetensors"),
                "judge_records": [f"{folder}/{name}.json" for name in ("spec", "selection")],
            }

        return inputs

    def read_by(self, instrument: str) -> Callable[[Any], list[str]]:
        """Return a function that names the test sets that an instrument reads."""
        return lambda wildcards: testsets_read(self._studies.of(wildcards), INSTRUMENTS[instrument])

    def training_read_by(self, instrument: str) -> dict[str, Callable[[Any], list[Any]]]:
        """Return input functions for the training images and their record: nothing where a section reads none."""

        def folders(wildcards: Any) -> list[str]:
            section = self._studies.of(wildcards).section(INSTRUMENTS[instrument])
            return [f"results/{wildcards.dataset}/data"] if section is not None and section.reads_training() else []

        def arrays(wildcards: Any) -> list[Any]:
            names = [f"train/{name}.npy" for name in ("images", "labels")]
            return [ancient(f"{folder}/{name}") for folder in folders(wildcards) for name in names]

        def record(wildcards: Any) -> list[str]:
            return [f"{folder}/manifest.json" for folder in folders(wildcards)]

        return {"training": arrays, "training_record": record}

    def testset_arrays(self, names: Callable[[Any], list[str]]) -> Callable[[Any], list[str]]:
        """Return an input function for the arrays of the test sets that ``names`` gives.

        Where jobs see the results themselves, the images stand for what their job wrote beside them: every input of
        every job costs Snakemake half a millisecond.
        """

        def paths(wildcards: Any) -> list[str]:
            stylised = self._studies.of(wildcards).testsets.stylisations() if self.copies else {}
            small = SMALL_ARRAYS if self.copies else ()
            return [
                f"results/{wildcards.dataset}/testsets/{name}/{array}.npy"
                for name in names(wildcards)
                for array in ("images", *small, *(("styles",) if name in stylised else ()))
            ]

        return paths

    def testset_manifests(self, names: Callable[[Any], list[str]]) -> Callable[[Any], list[str]]:
        """Return an input function for the manifests of the test sets that ``names`` gives."""

        def paths(wildcards: Any) -> list[str]:
            return [f"results/{wildcards.dataset}/testsets/{name}/manifest.json" for name in names(wildcards)]

        return paths

    def table_input(self, wildcards: Any) -> str:
        """Return the tidy rows that a table is made from."""
        return self.means_file(wildcards.dataset, TABLES[wildcards.table].needs)

    @staticmethod
    def means_file(dataset: str, source: str) -> str:
        """Return the tidy numbers of one source: an instrument, or one of those that ``Table.needs`` names."""
        special = {
            "accuracy": "tables/accuracy.csv",
            "agreement": "tables/order_agreement.csv",
            "known_answer": "tables/predicted_shape_bias.csv",
            "ruler": "rulers/readings.csv",
            "seed_agreement": "tables/saliency_agreement.csv",
        }
        return f"results/{dataset}/{special.get(source, f'{source}/means.csv')}"

    def all_accuracy(self, wildcards: Any) -> list[str]:
        """Return the accuracies of every study: one claim compares datasets."""
        return [f"results/{name}/tables/accuracy.csv" for name in self._studies]

    def tables(self) -> list[tuple[str, str]]:
        """Return (study, id) of every table."""
        return list(self._tables)

    def figures(self) -> list[tuple[str, str]]:
        """Return (study, id) of every figure."""
        return [(name, figure) for name, figures in self._studies.figures.items() for figure in figures]

    @cached_property
    def _tables(self) -> list[tuple[str, str]]:
        return [(name, table) for name, study in self._studies.items() for table in table_ids(study)]

    def table_files(self) -> list[str]:
        """Return the files of every table, and the tidy numbers that they are laid out from."""
        tables = [f"results/{name}/tables/{table}.{suffix}" for name, table in self.tables() for suffix in FORMATS]
        distances = [
            f"results/{name}/tables/saliency_distance.csv"
            for name, study in self._studies.items()
            if study.measured_with(INSTRUMENTS["saliency"])
        ]
        tidy = [self.means_file(name, TABLES[table].needs) for name, table in self.tables()]
        return [*tables, *distances, *dict.fromkeys([*self.all_accuracy(None), *tidy])]

    def figure_files(self) -> list[str]:
        """Return the files of every figure, and every contact sheet."""
        figures = [
            f"results/{name}/figures/{figure}.{suffix}"
            for name, figure in self.figures()
            for suffix in ("png", "pdf", *(("gif",) if self._studies.figures[name][figure].animated else ()))
        ]
        sheets = [
            f"results/{name}/testsets/{testset}/contact_sheet.png"
            for name, study in self._studies.items()
            for testset in study.testset_names()
        ]
        styles = [
            f"results/{name}/{folder}/contact_sheet.png"
            for name, study in self._studies.items()
            if study.testsets.stylisations()
            for folder in ("styles", "stylisation")
        ]
        data = [
            f"results/{name}/data/contact_sheet.png" for name, study in self._studies.items() if not study.test_only
        ]
        return [*figures, *sheets, *styles, *data]

    def claim_files(self) -> list[str]:
        """Return the files of the claims of every study."""
        return [
            f"results/{name}/claims/claims.{suffix}"
            for name in self._studies
            for suffix in ("json", "csv", "md", "html")
        ]

    def result_files(self) -> list[str]:
        """Return every table, figure and claim."""
        return [*self.table_files(), *self.figure_files(), *self.claim_files()]

    def kept_files(self) -> list[str]:
        """Return where the report, the config and the provenance of these studies are kept from those of others."""
        names = "+".join(self._studies)
        if len(names) > LONGEST:
            names = f"{names[:LONGEST]}-{hashlib.sha256(names.encode()).hexdigest()[:8]}"
        files = ("report.html", "report.zip", "config.json", "provenance.json")
        return [f"results/reports/{names}/{file}" for file in files]
