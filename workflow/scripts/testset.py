from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.artefacts.files import open_image_set, verified_set
from shapelens.job import job, spec_of
from shapelens.transforms.apply import write_testset
from shapelens.transforms.spec import TestsetJob

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    spec = spec_of(snakemake, TestsetJob)
    images = open_image_set(verified_set(Path(snakemake.input.images).parent))
    write_testset(images, spec.testset, spec.data_seed, Path(snakemake.output.manifest).parent)
