from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.artefacts.files import open_image_set, read_json, verified_set
from shapelens.job import job, spec_of
from shapelens.transforms.hybrid import write_hybrid_testset
from shapelens.transforms.spec import HybridJob

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    spec = spec_of(snakemake, HybridJob)
    radius = spec.testset.radius
    if radius is None:
        radius = read_json(snakemake.input.choice)["radius"]
    images = open_image_set(verified_set(Path(snakemake.input.images).parent))
    write_hybrid_testset(images, spec.testset, radius, spec.data_seed, Path(snakemake.output.manifest).parent)
