import json
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from shapelens.files import open_image_set, verified_set
from shapelens.job import job
from shapelens.transforms.apply import write_testset
from shapelens.transforms.spec import Transform

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    spec = json.loads(snakemake.params.spec)
    transform = TypeAdapter(Transform).validate_python(spec["testset"])
    images = open_image_set(verified_set(Path(snakemake.input.images).parent))
    write_testset(images, transform, spec["data_seed"], Path(snakemake.output.manifest).parent)
