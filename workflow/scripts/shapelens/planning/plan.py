"""All that the rules of the workflow ask about its studies, composed.

Imported by the Snakefile and by no job, so that a change here reruns nothing by itself.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from shapelens.instruments.declare import Instrument
from shapelens.instruments.registry import claims_of, module_of
from shapelens.planning.asks import Asks
from shapelens.planning.code_digest import Code
from shapelens.planning.declarations import check_declarations
from shapelens.planning.figures import Figures
from shapelens.planning.files import Files
from shapelens.planning.resources import Resources
from shapelens.planning.studies import Studies
from shapelens.planning.whole import OF_THE_RUN, whole_files
from shapelens.training.spec import ADVERSARIES, RETEXTURING

CODE_CACHE = Path(".snakemake/shapelens-code.json")


class Plan:
    """The studies of a run, and everything that their rules need before a job starts.

    ``studies``: the validated studies; ``asks``: what each rule's job is given; ``files``: inputs and targets;
    ``figures``: what the rule of all figures asks; ``resources``: what jobs book. ``copies``: jobs see copies of their
    declared inputs and nothing else, as under a storage provider.
    """

    def __init__(self, raw: Mapping[str, Any], scripts: Path, *, copies: bool = False) -> None:
        check_declarations()
        self.scripts = scripts
        self.sources = Code(scripts, CODE_CACHE)
        self.studies = Studies(raw)
        self.asks = Asks(self.studies)
        self.files = Files(self.studies, copies=copies)
        self.figures = Figures(self.studies, self.files, self.code)
        self.resources = Resources(self.studies)

    def code(self, script: str, *modules: str) -> str:
        """Return the digest of an adapter's code and all library code that it imports, ``modules`` by name."""
        return "code " + self.sources.digest(self.scripts / script, *modules)

    def training_code(self) -> Callable[[Any], str]:
        """Return a function of wildcards: the digest of the training and of the model's own adversary, if it has one.

        So a change of an attack makes no model stale that is trained without it. The digests are made here and not
        job by job, while what is parsed is still remembered for the next run.
        """
        digests: dict[str | None, str] = {None: self.code("train.py")}
        digests |= {
            name: self.code("train.py", name.partition(":")[0]) for name in (*ADVERSARIES.values(), RETEXTURING)
        }
        return lambda wildcards: digests[self.studies.adversary(wildcards)]

    def measuring_code(self, instrument: Instrument) -> Callable[[Any], str]:
        """Return a function of wildcards: the digest of an instrument's room and of what a study's section loads.

        So a change of one attribution method makes no maps stale in a study that asks for others.
        """
        digests = {}
        for name, study in self.studies.items():
            section = study.section(instrument)
            digests[name] = self.code("measure.py", module_of(instrument), *(section.loads() if section else ()))
        return lambda wildcards: digests[wildcards.dataset]

    def all_files(self) -> list[str]:
        """Return every file of the finished run."""
        return list(dict.fromkeys([*self.study_files(), *OF_THE_RUN, *self.files.kept_files()]))

    @cached_property
    def whole_files(self) -> list[str]:
        """Every file that the studies need besides their tables, figures and claims."""
        return whole_files(self.studies, self.figures.inputs)

    def study_files(self) -> list[str]:
        """Return every file of the studies, without those of the run as a whole."""
        return [*self.files.result_files(), *self.whole_files]

    def record_files(self) -> list[str]:
        """Return the records that lie beside artefacts, where jobs see nothing but what they declare."""
        return [path for path in self.whole_files if path.endswith(".json")] if self.files.copies else []

    def claims_code(self) -> Callable[[Any], str]:
        """Return a function of wildcards: the digest of the judging and of the claims that a study is judged on."""
        digests = {}
        for name, study in self.studies.items():
            modules = {claim.module for claim in claims_of(study.instruments_asked())}
            digests[name] = self.code("claims.py", *sorted(modules))
        return lambda wildcards: digests[wildcards.dataset]

    def pattern(self, what: str) -> str:
        """Return a regular expression that matches exactly the known names of one sort."""
        return self.studies.pattern(what)

    def dataset_of(self, kind: str) -> str:
        """Return a regular expression for ``{dataset}`` before a model that is made in one way; see ``Studies``."""
        return self.studies.dataset_of(kind)
