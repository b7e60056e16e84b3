from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.datasets.spec import test_side
from shapelens.job import job, spec_of
from shapelens.stylisation.spec import StylesJob
from shapelens.stylisation.styles import write_styles

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    spec = spec_of(snakemake, StylesJob)
    path = getattr(spec.styles, "path", None)
    folder = Path(snakemake.output.manifest).parent
    write_styles(spec.styles, test_side(spec.dataset), spec.data_seed, Path(path) if path else None, folder)
