"""What the rules of the workflow ask about its studies: names, paths, specs and digests.

Imported by the Snakefile and by no job, so that a change here reruns nothing by itself.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from snakemake.io import ancient

from shapelens.config import CALIBRATION_SETS, Study, load, nearest
from shapelens.datasets.sources import SOURCES
from shapelens.datasets.spec import test_side
from shapelens.errors import UserError
from shapelens.files import read_json
from shapelens.plots.registry import FIGURES, FigureEntry, sheets
from shapelens.provenance import code_digest
from shapelens.sourcehash import content_digest
from shapelens.spec import canonical_json
from shapelens.tables.registry import TABLES

NOTHING = r"(?!)"
FORMATS = ("csv", "md", "tex", "html")
CACHE = Path(".snakemake/shapelens-hashes.json")


class Plan:
    """The studies of a run, and everything that their rules need before a job starts."""

    def __init__(self, raw: Mapping[str, Any], scripts: Path) -> None:
        self.raw = canonical_json(_with_text_keys(raw))
        self.studies = load(raw)
        self.scripts = scripts
        self._refuse_mixed_kinds()
        for name, study in self.studies.items():
            if (path := getattr(study.dataset, "path", None)) is not None:
                self._require(path, f"dataset.path of study {name}")
            for model, finished in study.finished().items():
                if ":" not in finished.weights:
                    self._require(finished.weights, f"models.{model}.weights of study {name}")

    # Names and wildcards

    def study(self, wildcards: Any) -> Study:
        """Return the study that a job belongs to."""
        return self.studies[wildcards.dataset]

    def datasets(self, *kinds: str) -> list[str]:
        """Return the names of the studies, of some kinds of dataset only if any are given."""
        return [name for name, study in self.studies.items() if not kinds or study.dataset.kind in kinds]

    def pattern(self, what: str) -> str:
        """Return a regular expression that matches exactly the known names of one sort."""
        names: dict[str, Callable[[], list[str]]] = {
            "dataset": self.datasets,
            "drawn": lambda: self.datasets("cues"),
            "read": lambda: [name for name, study in self.studies.items() if study.dataset.kind != "cues"],
            "model": lambda: [m for s in self.studies.values() for m in s.models],
            "standard": lambda: self._models_of_kind("standard"),
            "adversarial": lambda: self._models_of_kind("adversarial"),
            "finished": lambda: self._models_of_kind("finished"),
            "testset": lambda: [t for s in self.studies.values() for t in s.testset_names()],
            "transformed": lambda: [t for s in self.studies.values() for t in s.testsets.transforms()],
            "cue": lambda: [t for s in self.studies.values() for t in s.cue_sets()],
            "table": lambda: list(TABLES),
            "archive": self.archives,
        }
        known = sorted(set(names[what]()), key=lambda name: (-len(name), name))
        return "|".join(map(re.escape, known)) or NOTHING

    @staticmethod
    def _kind(study: Study, model: str) -> str:
        if model in study.finished():
            return "finished"
        return "adversarial" if study.trained()[model].adversary else "standard"

    def _models_of_kind(self, kind: str) -> list[str]:
        return [m for s in self.studies.values() for m in s.models if self._kind(s, m) == kind]

    def _refuse_mixed_kinds(self) -> None:
        kinds: dict[str, tuple[str, str]] = {}
        for dataset, study in self.studies.items():
            for model in study.models:
                kind = self._kind(study, model)
                other, where = kinds.setdefault(model, (kind, dataset))
                if other != kind:
                    raise UserError(
                        f"models.{model} is {kind} in study {dataset} but {other} in study {where}; rename one of them"
                    )

    # Sources

    def source(self, wildcards: Any) -> str | list[str]:
        """Return the file that an official dataset is read from, or nothing where it is drawn or lies in a folder."""
        dataset = self.study(wildcards).dataset
        if dataset.kind == "cues":
            return []
        path = dataset.path
        if path is None:
            return f"resources/{SOURCES[dataset.kind].file}"
        return path if Path(path).is_file() else []

    def source_digest(self, wildcards: Any) -> str:
        """Return a digest of the content of a local folder or archive; the official sources have their own."""
        path = getattr(self.study(wildcards).dataset, "path", None)
        return "its own" if path is None else self._digest(path, f"dataset.path of study {wildcards.dataset}")

    def weights_digest(self, wildcards: Any) -> str:
        """Return a digest of a finished model's file, or its name where it comes from a library."""
        weights = self.study(wildcards).finished()[wildcards.model].weights
        return weights if ":" in weights else self._digest(weights, f"models.{wildcards.model}.weights")

    def initial_weights(self, wildcards: Any) -> str:
        """Return a digest of the file that a network's training starts from, or its name, or nothing."""
        study = self.study(wildcards)
        weights = study.training_run(wildcards.model, 0).network.weights
        if weights is None or Path(weights).suffix.lower() not in {".safetensors", ".pth", ".pt"}:
            return weights or "random"
        return self._digest(weights, "network.weights")

    @staticmethod
    def _require(path: str, key: str) -> None:
        if Path(path).exists():
            return
        folder = Path(path).parent
        names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
        raise UserError(
            f"{key}: {path} does not exist (looked from {Path.cwd()}){nearest(Path(path).name, names)}; "
            "give the path of a folder or file"
        )

    def _digest(self, path: str, key: str) -> str:
        self._require(path, key)
        return content_digest(Path(path), CACHE)

    # Digests and specs, as Snakemake compares them

    def code(self, script: str) -> str:
        """Return the digest of an adapter's code and all library code that it imports."""
        return "code " + code_digest(self.scripts / script)

    def dataset_spec(self, wildcards: Any) -> str:
        """Return the spec of a dataset's splits."""
        study = self.study(wildcards)
        return canonical_json(
            {
                "dataset": study.dataset.model_dump(mode="json"),
                "data_seed": study.data_seed,
                "splits": study.splits(),
            }
        )

    def testset_spec(self, wildcards: Any) -> str:
        """Return the spec of a transformed test set."""
        study = self.study(wildcards)
        transform = study.testsets.transforms().get(wildcards.testset)
        if transform is None:
            raise UserError(
                f"{wildcards.testset} is no test set of study {wildcards.dataset}; `snakemake list` names all"
            )
        return canonical_json({"testset": transform.model_dump(mode="json"), "data_seed": study.data_seed})

    def single_cue_spec(self, wildcards: Any) -> str:
        """Return the spec of the training images of a calibration model."""
        study = self.study(wildcards)
        return canonical_json(
            {"dataset": study.dataset.model_dump(mode="json"), "data_seed": study.data_seed, "cue": wildcards.cue}
        )

    def cue_spec(self, wildcards: Any) -> str:
        """Return the spec of a cue set."""
        study = self.study(wildcards)
        return canonical_json(
            {
                "dataset": study.dataset.model_dump(mode="json"),
                "data_seed": study.data_seed,
                "testset": wildcards.testset,
            }
        )

    def training_spec(self, wildcards: Any) -> str:
        """Return the spec of a trained model, its initial weights by content."""
        run = self.study(wildcards).training_run(wildcards.model, int(wildcards.seed))
        return canonical_json({"run": run.model_dump(mode="json"), "initial_weights": self.initial_weights(wildcards)})

    def finished_spec(self, wildcards: Any) -> str:
        """Return the spec of a finished model, its weights by content."""
        finished = self.study(wildcards).finished()[wildcards.model]
        return canonical_json({"finished": finished.model_dump(mode="json"), "content": self.weights_digest(wildcards)})

    def prediction_spec(self, wildcards: Any) -> str:
        """Return the spec of a model's predictions."""
        return canonical_json({"testsets": self.study(wildcards).testset_names()})

    def robustness_spec(self, wildcards: Any) -> str:
        """Return the spec of a model's robust accuracy."""
        study = self.study(wildcards)
        return canonical_json(
            {"robustness": study.robustness_resolved().model_dump(mode="json"), "data_seed": study.data_seed}
        )

    def saliency_spec(self, wildcards: Any) -> str:
        """Return the spec of a model's saliency maps; how many of them a sheet shows is display."""
        study = self.study(wildcards)
        saliency = study.saliency.model_dump(mode="json", exclude={"sheet_images"})
        return canonical_json({"saliency": saliency, "data_seed": study.data_seed})

    def statistics_spec(self, wildcards: Any) -> str:
        """Return the spec of what is computed from per-image tables; no labels in it."""
        return canonical_json(self._statistics(self.study(wildcards)))

    @staticmethod
    def _statistics(study: Study) -> dict[str, Any]:
        return {
            "dataset": study.name,
            "kind": study.dataset.kind,
            "data_seed": study.data_seed,
            "statistics": study.statistics.model_dump(mode="json"),
            "grid": [info.model_dump(mode="json", exclude={"label"}) for info in study.grid()],
        }

    def claims_spec(self, wildcards: Any) -> str:
        """Return the spec of the claims, with the verdicts stated beforehand."""
        study = self.study(wildcards)
        return canonical_json(
            {
                **self._statistics(study),
                "side": test_side(study.dataset),
                "sides": {name: test_side(other.dataset) for name, other in self.studies.items()},
                "expected": {claim: e.model_dump(mode="json") for claim, e in study.expected.items()},
            }
        )

    def calibration_spec(self, wildcards: Any) -> str:
        """Return the calibration models, each with the images that it is trained on."""
        trained = self.study(wildcards).trained()
        return canonical_json({"models": {name: m.images for name, m in trained.items() if m.images != "train"}})

    def table_spec(self, wildcards: Any) -> str:
        """Return what a table needs to know of the study, labels included."""
        study = self.study(wildcards)
        return canonical_json({**self._drawn(study), "statistics": study.statistics.model_dump(mode="json")})

    def figure_spec(self, figure: str) -> Callable[[Any], str]:
        """Return a function that gives what a figure needs to know of the study, labels and colours included."""

        def spec(wildcards: Any) -> str:
            study = self.study(wildcards)
            shown = shown_testsets(study, FIGURES[figure]) if figure in FIGURES else [wildcards.testset]
            more = {
                "figure": figure,
                "confidence": study.statistics.confidence,
                "testsets": shown,
                "images": study.saliency.model_dump(mode="json")["images"],
                "sheet_images": study.saliency.sheet_images,
            }
            return canonical_json({**self._drawn(study), **more})

        return spec

    @staticmethod
    def _drawn(study: Study) -> dict[str, Any]:
        return {
            "dataset": study.name,
            "kind": study.dataset.kind,
            "data_seed": study.data_seed,
            "grid": [info.model_dump(mode="json") for info in study.grid()],
            "display": study.display.model_dump(mode="json"),
        }

    def captions(self) -> dict[str, dict[str, Any]]:
        """Return the live numbers that the report's captions state, by study."""
        return {name: self._caption(study) for name, study in self.studies.items()}

    def _caption(self, study: Study) -> dict[str, Any]:
        robustness = study.robustness_resolved()
        return {
            "dataset": study.name,
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
    def _test_images(study: Study) -> int | str:
        """Return the number of test images as measured, or what is known of it before the images are there."""
        manifest = Path(f"results/{study.name}/data/manifest.json")
        if manifest.exists():
            return int(read_json(manifest)["splits"]["test"]["images"])
        return getattr(study.dataset, "test", None) or "all"

    # Resources

    def threads(self, wildcards: Any) -> int:
        """Return the threads of a job that runs a model."""
        return self.study(wildcards).compute.threads

    def gpu(self, wildcards: Any) -> int:
        """Return the GPUs that such a job asks for."""
        return self.study(wildcards).compute.gpu

    def batch(self, wildcards: Any) -> int:
        """Return the images per batch; a resource, since those never make a result stale."""
        return self.study(wildcards).compute.batch

    def mem_mb(self, wildcards: Any, attempt: int) -> int:
        """Return the memory that such a job books, more at each attempt."""
        return self.study(wildcards).compute.mem_mb * attempt

    def runtime(self, wildcards: Any, attempt: int) -> int:
        """Return the minutes that such a job books, more at each attempt."""
        return self.study(wildcards).compute.runtime * attempt

    # Paths

    def archives(self) -> list[str]:
        """Return the file names of the official sources."""
        return [source.file for source in SOURCES.values()]

    def training_images(self, wildcards: Any) -> dict[str, Any]:
        """Return the inputs of a training job: arrays, whose clock does not count, and their small manifest."""
        cue = self.study(wildcards).training_run(wildcards.model, 0).images
        folder = f"results/{wildcards.dataset}/data" + ("" if cue == "train" else f"-{cue}")
        arrays = [f"{folder}/{part}/{file}.npy" for part in ("train", "validation") for file in ("images", "labels")]
        return {"arrays": [ancient(path) for path in arrays], "manifest": f"{folder}/manifest.json"}

    def matched_selection(self, wildcards: Any) -> str | list[str]:
        """Return the record of the model that a matched model stops at, or nothing."""
        target = self.study(wildcards).matched_to(wildcards.model)
        return f"results/{wildcards.dataset}/models/{target}/seed{wildcards.seed}/selection.json" if target else []

    def per_run(self, pattern: str, *, calibration: bool) -> Callable[[Any], list[str]]:
        """Return an input function for one path of every model and seed, with or without calibration models."""

        def paths(wildcards: Any) -> list[str]:
            study = self.study(wildcards)
            return [
                f"results/{wildcards.dataset}/" + pattern.format(model=model, seed=seed)
                for model, seed in study.runs()
                if calibration or not study.is_calibration(model)
            ]

        return paths

    def measured(self, folder: str, suffix: str, *, calibration: bool) -> tuple[Callable[[Any], list[str]], ...]:
        """Return input functions for one measured file of every model and seed, and for the small record beside it."""
        return tuple(
            self.per_run(f"{folder}/{{model}}/seed{{seed}}.{end}", calibration=calibration) for end in (suffix, "json")
        )

    def sheet_testset(self, wildcards: Any) -> list[str]:
        """Return the test set of a saliency sheet."""
        return ["clean", wildcards.testset] if wildcards.testset != "clean" else ["clean"]

    def per_testset(self, names: Callable[[Any], list[str]], files: tuple[str, ...]) -> Callable[[Any], list[str]]:
        """Return an input function for some files of the test sets that ``names`` gives."""

        def paths(wildcards: Any) -> list[str]:
            return [
                f"results/{wildcards.dataset}/testsets/{name}/{file}" for name in names(wildcards) for file in files
            ]

        return paths

    def testsets(self, wildcards: Any) -> list[str]:
        """Return the names of all test sets of a study."""
        return self.study(wildcards).testset_names()

    def saliency_testsets(self, wildcards: Any) -> list[str]:
        """Return the names of the test sets whose images are explained, ``clean`` first."""
        return saliency_testsets(self.study(wildcards))

    def figure_testsets(self, figure: str) -> Callable[[Any], list[str]]:
        """Return a function that names the test sets whose images a figure shows."""

        def names(wildcards: Any) -> list[str]:
            entry = FIGURES[figure]
            return shown_testsets(self.study(wildcards), entry) if "images" in entry.needs else []

        return names

    def table_input(self, wildcards: Any) -> str:
        """Return the tidy rows that a table is made from."""
        name = "saliency_per_image" if wildcards.table == "saliency" else "accuracy"
        return f"results/{wildcards.dataset}/tables/{name}.csv"

    def all_accuracy(self, wildcards: Any) -> list[str]:
        """Return the accuracies of every study: one claim compares datasets."""
        return [f"results/{name}/tables/accuracy.csv" for name in self.studies]

    def tables(self) -> list[tuple[str, str]]:
        """Return (study, id) of every table."""
        return [(name, table) for name, study in self.studies.items() for table in table_ids(study)]

    def figures(self) -> list[tuple[str, str]]:
        """Return (study, id) of every figure."""
        return [(name, figure) for name, study in self.studies.items() for figure in figure_ids(study)]

    def table_files(self) -> list[str]:
        """Return the files of every table."""
        return [f"results/{name}/tables/{table}.{suffix}" for name, table in self.tables() for suffix in FORMATS]

    def figure_files(self) -> list[str]:
        """Return the files of every figure, and every contact sheet."""
        figures = [
            f"results/{name}/figures/{figure}.{suffix}" for name, figure in self.figures() for suffix in ("png", "pdf")
        ]
        sheets = [
            f"results/{name}/testsets/{testset}/contact_sheet.png"
            for name, study in self.studies.items()
            for testset in study.testset_names()
        ]
        return [*figures, *sheets, *(f"results/{name}/data/contact_sheet.png" for name in self.studies)]

    def claim_files(self) -> list[str]:
        """Return the files of the claims of every study, and the scores of calibration models."""
        claims = [
            f"results/{name}/claims/claims.{suffix}"
            for name in self.studies
            for suffix in ("json", "csv", "md", "html")
        ]
        return claims + [
            f"results/{name}/calibration/gates.csv" for name, study in self.studies.items() if has_gate(study)
        ]

    def result_files(self) -> list[str]:
        """Return every table, figure and claim."""
        return [*self.table_files(), *self.figure_files(), *self.claim_files()]

    def gate_files(self) -> list[str]:
        """Return the calibration gates of the studies that have them."""
        return [f"results/{name}/calibration/passed" for name, study in self.studies.items() if has_gate(study)]

    def listing(self) -> str:
        """Return one line for every table and figure: id, title and path."""
        titles = {**{k: v.title for k, v in TABLES.items()}, **{k: v.title for k, v in FIGURES.items()}}
        for study in self.studies.values():
            titles |= {k: v.title for k, v in sheets(study.saliency.methods, saliency_testsets(study)).items()}
        rows = [(table, f"results/{name}/tables/{table}.md") for name, table in self.tables()]
        rows += [(figure, f"results/{name}/figures/{figure}.png") for name, figure in self.figures()]
        width = max(len(row[0]) for row in rows)
        return "\n".join(f"{key:{width}}  {path}  {titles[key]}" for key, path in rows)


def _with_text_keys(raw: Any) -> Any:
    """Return plain data with every key as text: YAML reads a claim's id such as 10 as a number."""
    if isinstance(raw, Mapping):
        return {str(key): _with_text_keys(value) for key, value in raw.items()}
    return [_with_text_keys(value) for value in raw] if isinstance(raw, list) else raw


def has_gate(study: Study) -> bool:
    """Tell whether a study has calibration models and so gates that they must pass."""
    return any(testset in CALIBRATION_SETS for testset in study.testset_names())


def saliency_testsets(study: Study) -> list[str]:
    """Return the names of the test sets whose images are explained, ``clean`` first."""
    return list(dict.fromkeys(("clean", *study.saliency.testsets)))


def shown_testsets(study: Study, entry: FigureEntry) -> list[str]:
    """Return the test sets of a study that a figure shows, in the figure's order."""
    known = study.testset_names()
    if "maps" in entry.needs:
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
        "shape_bias": "conflict" in names,
        "agreement": study.dataset.kind in ("cifar10", "tinyimagenet", "caltech256"),
    }
    return [table for table in TABLES if have.get(table, True)]


def figure_ids(study: Study) -> list[str]:
    """Return the ids of the figures that a study's models and test sets allow, saliency sheets included."""
    figures = [figure for figure, entry in FIGURES.items() if _allows(study, entry)]
    return figures + list(sheets(study.saliency.methods, saliency_testsets(study)))


def _allows(study: Study, entry: FigureEntry) -> bool:
    if entry.cues_only and study.dataset.kind != "cues":
        return False
    method = {"figure2": "smoothgrad", "figure9": "smoothgrad", "figure10": "grad"}.get(entry.id)
    if method is not None and method not in study.saliency.methods:
        return False
    shown = shown_testsets(study, entry)
    return bool(shown) and (set(entry.testsets) == {"clean"} or "maps" in entry.needs or shown != ["clean"])
