"""The studies of a run: loading, checking, names, and the content of the files that they name."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from shapelens.datasets.own_listing import own_files
from shapelens.datasets.own_spec import OwnConflicts, own_key
from shapelens.datasets.readers import Listing, list_images, source_files
from shapelens.datasets.sources import ALL_SOURCES
from shapelens.datasets.spec import Cues, NoTraining, RealDataset, class_count
from shapelens.datasets.walk import look
from shapelens.errors import UserError
from shapelens.instruments.declare import Figure
from shapelens.instruments.registry import INSTRUMENTS, TABLES
from shapelens.models.spec import is_file, local_folder
from shapelens.planning.before_jobs import check_sources
from shapelens.planning.finished_models import paths_of, problems_of
from shapelens.planning.library_names import unknown_name
from shapelens.planning.names import figures_of
from shapelens.planning.source_digest import content_digest
from shapelens.spec import canonical_json
from shapelens.study.config import Study, load
from shapelens.study.messages import nearest
from shapelens.study.sections import TrainedModel
from shapelens.training.spec import ADVERSARIES, RETEXTURED, RETEXTURING

NOTHING = r"(?!)"
JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
VARIABLE = re.compile(r"<[a-z][a-z0-9_]*>|\{[^{}]*\}")
"""What Snakemake replaces in the path of an input."""
CACHE = Path(".snakemake/shapelens-hashes.json")


class Studies(Mapping[str, Study]):
    """The validated studies by name, and the regular expressions of their names."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self._studies = load(raw)
        self._listings: dict[str, Listing | None] = {}
        # Snakemake takes {name} in a parameter's text for a wildcard; JSON's strings can spell a brace otherwise.
        text = canonical_json(_with_text_keys(raw))
        self.raw = JSON_STRING.sub(lambda m: m[0].replace("{", r"\u007b").replace("}", r"\u007d"), text)
        for name, study in self.items():
            if (path := getattr(study.dataset, "path", None)) is not None:
                self._require_input(path, f"dataset.path of study {name}")
            self._require_styles(name, study)
            self._require_own(name, study)
            self._require_models(name, study)

    def _require_models(self, name: str, study: Study) -> None:
        """Refuse files of models that are not there, and models of which too little is said."""
        for model, finished in study.finished().items():
            for key, path in paths_of(finished).items():
                self._require(path, f"models.{model}.{key} of study {name}")
            for problem in problems_of(finished, class_count(study.dataset)):
                raise UserError(f"models.{model}.{problem} (study {name})")
        for model in study.trained():
            network = study.training_run(model, 0).network
            for key, value in (("arch", network.arch), ("weights", network.weights)):
                if value is not None and (wrong := unknown_name(value)):
                    raise UserError(f"network.{key} of model {model} of study {name}: {wrong}")
            if network.weights is not None and is_file(network.weights):
                self._require(network.weights, f"network.weights of model {model} of study {name}")

    def _require_styles(self, name: str, study: Study) -> None:
        """Refuse style images and published networks that are not there, where the study uses them."""
        if not study.testsets.stylisations():
            return
        transfer = study.stylisation
        paths = {
            "styles.path": getattr(transfer.styles, "path", None),
            "networks.encoder": transfer.networks.encoder,
            "networks.decoder": transfer.networks.decoder,
        }
        for key, path in paths.items():
            if path is not None:
                self._require_input(path, f"stylisation.{key} of study {name}")

    def _require_own(self, name: str, study: Study) -> None:
        """Refuse own test sets, and tables of their labels, that are not there."""
        for testset, own in study.testsets.own_sources().items():
            where = f"testsets.{own_key(own)}.{testset}"
            self._require_input(own.path, f"{where}.path of study {name}")
            if isinstance(own, OwnConflicts) and own.labels is not None:
                self._require_input(own.labels, f"{where}.labels of study {name}")

    def __getitem__(self, name: str) -> Study:
        return self._studies[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._studies)

    def __len__(self) -> int:
        return len(self._studies)

    # Names and wildcards

    def of(self, wildcards: Any) -> Study:
        """Return the study that a job belongs to."""
        return self[wildcards.dataset]

    def datasets(self, *kinds: str) -> list[str]:
        """Return the names of the studies, of some kinds of dataset only if any are given."""
        return [name for name, study in self.items() if not kinds or study.dataset.kind in kinds]

    def pattern(self, what: str) -> str:
        """Return a regular expression that matches exactly the known names of one sort."""
        names: dict[str, Callable[[], list[str]]] = {
            "dataset": self.datasets,
            "drawn": lambda: self.datasets("cues"),
            "model": lambda: [m for s in self.values() for m in s.models],
            "testset": lambda: [t for s in self.values() for t in s.testset_names()],
            "transformed": lambda: [
                t for s in self.values() for t in (*s.testsets.transforms(), *s.testsets.own_transforms())
            ],
            "own": lambda: [t for s in self.values() for t in s.testsets.own_sources()],
            "test only": lambda: self.datasets("test_only"),
            "with images": lambda: [name for name, study in self.items() if not study.test_only],
            "stylised": lambda: [t for s in self.values() for t in s.testsets.stylisations()],
            "mixed": lambda: [t for s in self.values() for t in s.testsets.mixed()],
            "cue": lambda: [t for s in self.values() for t in s.cue_sets()],
            "table": lambda: list(TABLES),
            "instrument": lambda: [name for name, one in INSTRUMENTS.items() if one.metrics],
            "figure": lambda: [f for figures in self.figures.values() for f in figures],
            "animation": lambda: [
                name for figures in self.figures.values() for name, entry in figures.items() if entry.animated
            ],
            "archive": self.archives,
        }
        return _any_of(names[what]())

    def dataset_of(self, kind: str) -> str:
        """Return a regular expression for ``{dataset}`` in ``results/{dataset}/models/{model}/``.

        ``kind``: how the model is made: ``trained``, ``trained with snapshots`` or ``finished``. A study's name matches
        where the name of one of its models of that kind follows, so one name may be trained in one study and finished
        in another: Snakemake constrains each wildcard by itself, but the expression of the first may look ahead at the
        second. The look is left out where it is not needed: Snakemake goes through this text for every file.
        """
        everywhere = {model for study in self.values() for model in study.models}
        found = []
        for name, study in self.items():
            own = {model for model in study.models if _kind(study, model) == kind}
            others = study.models.keys() - own
            if not own:
                continue
            ahead = f"(?=/models/(?:{_any_of(own)})/)"
            # Where a study has every name that any study has, what is none of the others is its own.
            if everywhere <= study.models.keys() and len(others) < len(own):
                ahead = f"(?!/models/(?:{_any_of(others)})/)" if others else ""
            found.append(re.escape(name) + ahead)
        return "|".join(found) or NOTHING

    # Training

    def adversary(self, wildcards: Any) -> str | None:
        """Return the function that builds a trained model's adversary, by module and name, or None."""
        model = self.of(wildcards).models[wildcards.model]
        if isinstance(model, TrainedModel) and model.images == RETEXTURED:
            return RETEXTURING
        adversary = model.adversary if isinstance(model, TrainedModel) else None
        return ADVERSARIES[type(adversary)] if adversary else None

    @cached_property
    def figures(self) -> dict[str, dict[str, Figure]]:
        """The figures of each study by id."""
        return {name: figures_of(study) for name, study in self.items()}

    def figure(self, wildcards: Any) -> Figure:
        """Return the entry of a figure; raises UserError where only another study has it."""
        figures = self.figures[wildcards.dataset]
        if wildcards.figure not in figures:
            raise UserError(f"{wildcards.figure} is no figure of study {wildcards.dataset}; `snakemake list` names all")
        return figures[wildcards.figure]

    # Sources

    def archives(self) -> list[str]:
        """Return the file names of the official sources."""
        return [source.file for source in ALL_SOURCES]

    # Content of what lies outside the results

    def source_digest(self, wildcards: Any) -> str:
        """Return a digest of the content of a local folder or archive; the official sources have their own."""
        study = self.of(wildcards)
        if isinstance(study.dataset, Cues | NoTraining) or study.dataset.path is None:
            return "its own"
        path, key = Path(study.dataset.path), f"dataset.path of study {study.name}"
        self._require(study.dataset.path, key)
        # Of a folder, what its reader reads: a file that it passes over makes nothing stale.
        files = None
        if path.is_dir():
            files = source_files(study.dataset, path, trains=bool(study.trained()), listing=self._listing(study))
        return content_digest(path, CACHE, files)

    def check_sources(self) -> None:
        """Refuse what is wrong in folders of images, as far as it shows without opening one; raises UserError."""
        listings = {name: listing for name, study in self.items() if (listing := self._listing(study)) is not None}
        for name, listing in listings.items():
            study = self[name]
            if isinstance(study.dataset, RealDataset) and study.dataset.path is not None:
                source_files(study.dataset, Path(study.dataset.path), trains=bool(study.trained()), listing=listing)
        check_sources(self, listings)

    def _listing(self, study: Study) -> Listing | None:
        """Return what lies in the folder of a study's images, listed once; None where there is no folder to list."""
        dataset = study.dataset
        if not isinstance(dataset, RealDataset) or dataset.path is None or not Path(dataset.path).is_dir():
            return None
        if study.name not in self._listings:
            self._listings[study.name] = list_images(dataset, Path(dataset.path))
        return self._listings[study.name]

    def own_digest(self, wildcards: Any) -> str:
        """Return a digest of the content of an own test set, and of its table of labels where it has one."""
        return self._own_digest(self.of(wildcards), wildcards.testset)

    def own_digests(self, wildcards: Any) -> str:
        """Return digests of all own test sets whose classes are those of the study; nothing where it states its own."""
        study = self.of(wildcards)
        if getattr(study.dataset, "classes", None) is not None:
            return "stated"
        return " ".join(self._own_digest(study, name) for name in study.testsets.own_sources())

    def _own_digest(self, study: Study, name: str) -> str:
        own = study.testsets.own_sources()[name]
        path, where = Path(own.path), f"testsets.{own_key(own)}.{name}"
        self._require(own.path, f"{where}.path of study {study.name}")
        # Of a folder, what its reader reads: a file that it passes over makes nothing stale.
        files = own_files(own, path, where) if path.is_dir() else None
        digest = content_digest(path, CACHE, files)
        labels = own.labels if isinstance(own, OwnConflicts) else None
        return f"{digest} {self._digest(labels, f'{where}.labels of study {study.name}')}" if labels else digest

    def styles_digest(self, wildcards: Any) -> str:
        """Return a digest of the content of a folder or archive of style images."""
        path = getattr(self.of(wildcards).stylisation.styles, "path", None)
        if path is None:
            return "drawn"
        self._require(path, f"stylisation.styles.path of study {wildcards.dataset}")
        images = look(Path(path))[0].images() if Path(path).is_dir() else None
        return content_digest(Path(path), CACHE, images)

    def style_weights_digest(self, wildcards: Any) -> str:
        """Return digests of local files of published style networks; fetched ones have their own."""
        networks = self.of(wildcards).stylisation.networks
        paths = {"encoder": networks.encoder, "decoder": networks.decoder}
        return " ".join(self._digest(path, f"stylisation.networks.{key}") for key, path in paths.items() if path)

    def weights_digest(self, wildcards: Any) -> str:
        """Return a digest of a finished model's files, or its name where it comes from a library."""
        finished = self.of(wildcards).finished()[wildcards.model]
        paths = paths_of(finished)
        digests = [self._digest(path, f"models.{wildcards.model}.{key}") for key, path in paths.items()]
        return " ".join(digests) or finished.weights

    def initial_weights(self, wildcards: Any) -> str:
        """Return a digest of the file that a network's training starts from, or its name, or nothing."""
        study = self.of(wildcards)
        weights = study.training_run(wildcards.model, 0).network.weights
        if weights is None or not is_file(weights):
            folder = weights and local_folder(weights)
            return self._digest(folder, "network.weights") if folder else weights or "random"
        return self._digest(weights, "network.weights")

    def _require_input(self, path: str, key: str) -> None:
        """Refuse a path that is not there, and a file, though no folder, that Snakemake would look for elsewhere."""
        self._require(path, key)
        if Path(path).is_file() and (found := VARIABLE.search(path)):
            raise UserError(
                f"{key}: Snakemake takes {found[0]} in the path of a file for a variable of its own; rename what is "
                "called so, name it through a link, or unpack the archive"
            )

    @staticmethod
    def _require(path: str, key: str) -> None:
        if not path.strip():
            raise UserError(f"{key}: the path is empty; give that of a folder or file, or leave the key out")
        try:
            if Path(path).exists():
                return
            folder = Path(path).parent
            names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
        except OSError as error:  # too long a name, no permission
            raise UserError(f"{key}: {path[:200]} cannot be looked at: {error.strerror}") from None
        if path.startswith("~") or "$" in path:
            written = Path(os.path.expandvars(path)).expanduser()
            raise UserError(f"{key}: ~ and $ are read by a shell, not in {path}; write it out: {written}")
        raise UserError(
            f"{key}: {path} does not exist (looked from {Path.cwd()}){nearest(Path(path).name, names)}; "
            "give the path of a folder or file"
        )

    def _digest(self, path: str, key: str) -> str:
        self._require(path, key)
        return content_digest(Path(path), CACHE)


def _any_of(names: Iterable[str]) -> str:
    """Return a regular expression that matches exactly some names; the longer ones are tried first."""
    known = sorted(set(names), key=lambda name: (-len(name), name))
    return "|".join(map(re.escape, known)) or NOTHING


def _kind(study: Study, model: str) -> str:
    entry = study.models[model]
    if not isinstance(entry, TrainedModel):
        return "finished"
    return "trained with snapshots" if (entry.training or study.training).snapshots else "trained"


def _with_text_keys(raw: Any) -> Any:
    """Return plain data with every key as text: YAML reads a claim's id such as 10 as a number."""
    if isinstance(raw, Mapping):
        return {str(key): _with_text_keys(value) for key, value in raw.items()}
    return [_with_text_keys(value) for value in raw] if isinstance(raw, list) else raw
