import json
from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.attribution.tables import distance_table, measure_maps
from shapelens.files import open_npy, verified, verified_set, write_text
from shapelens.job import job
from shapelens.tables.read import run_of
from shapelens.tables.write import to_csv

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    dataset = json.loads(snakemake.params.spec)["dataset"]
    paths = {run_of(path): verified(path) for path in snakemake.input.maps}
    clean = open_npy(verified_set(Path(snakemake.input.manifest).parent) / "images.npy")
    write_text(snakemake.output.images, to_csv(measure_maps(paths, clean, dataset)))
    write_text(snakemake.output.distance, to_csv(distance_table(paths, dataset)))
