from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.artefacts.files import write_json
from shapelens.datasets.own import own_classes
from shapelens.datasets.own_spec import ClassesJob
from shapelens.job import job, spec_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    spec = spec_of(snakemake, ClassesJob)
    classes = own_classes(spec, Path(snakemake.output[0]).parent)
    origin = {"kind": "own test sets", "stated": spec.classes is not None}
    write_json(snakemake.output[0], {"classes": classes, "splits": {}, "source": origin})
