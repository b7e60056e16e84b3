"""All that the rules of the workflow ask about its studies, composed.

Imported by the Snakefile and by no job, so that a change here reruns nothing by itself.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shapelens.planning.asks import Asks
from shapelens.planning.code_digest import Code
from shapelens.planning.declarations import check_declarations
from shapelens.planning.figures import Figures
from shapelens.planning.files import Files
from shapelens.planning.resources import Resources
from shapelens.planning.studies import Studies

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

    def pattern(self, what: str) -> str:
        """Return a regular expression that matches exactly the known names of one sort."""
        return self.studies.pattern(what)
