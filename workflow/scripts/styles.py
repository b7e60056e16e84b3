import json
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from shapelens.datasets.spec import Dataset, test_side
from shapelens.datasets.styles import write_styles
from shapelens.datasets.styles_spec import Styles
from shapelens.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    spec = json.loads(snakemake.params.spec)
    styles = TypeAdapter(Styles).validate_python(spec["styles"])
    side = test_side(TypeAdapter(Dataset).validate_python(spec["dataset"]))
    source = spec["styles"].get("path")
    write_styles(
        styles, side, spec["data_seed"], Path(source) if source else None, Path(snakemake.output.manifest).parent
    )
