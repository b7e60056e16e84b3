from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.artefacts.files import open_image_set, verified_set
from shapelens.job import job, spec_of
from shapelens.names.testsets import CLEAN, JOINT
from shapelens.transforms.apply import write_testset
from shapelens.transforms.spec import TestsetJob

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    spec = spec_of(snakemake, TestsetJob)
    # Without a joint the clean images are transformed.
    folder = Path(snakemake.output.manifest).parent
    own, joint, _ = folder.name.partition(JOINT)
    images = open_image_set(verified_set(Path(snakemake.input.images).parent))
    write_testset(images, spec.testset, spec.data_seed, folder, base=own if joint else CLEAN)
