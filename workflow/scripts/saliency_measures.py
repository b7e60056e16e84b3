import json
from typing import TYPE_CHECKING

from shapelens.attribution.tables import distance_table, measure_maps
from shapelens.files import open_npy, write_text
from shapelens.job import job
from shapelens.tables.read import run_of
from shapelens.tables.write import to_csv

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    dataset = json.loads(snakemake.params.spec)["dataset"]
    paths = {run_of(path): path for path in snakemake.input.maps}
    write_text(snakemake.output.images, to_csv(measure_maps(paths, open_npy(snakemake.input.images), dataset)))
    write_text(snakemake.output.distance, to_csv(distance_table(paths, dataset)))
