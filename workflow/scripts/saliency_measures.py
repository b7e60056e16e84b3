from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.artefacts.files import open_npy, verified, verified_set, write_text
from shapelens.instruments.runs import run_of
from shapelens.instruments.saliency.rows import distance_table, measure_maps
from shapelens.job import job, spec_of
from shapelens.stats.spec import StatisticsJob
from shapelens.tables.write import to_csv

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    dataset = spec_of(snakemake, StatisticsJob).dataset
    paths = {run_of(path): verified(path) for path in snakemake.input.maps}
    clean = open_npy(verified_set(Path(snakemake.input.manifest).parent) / "images.npy")
    write_text(snakemake.output.images, to_csv(measure_maps(paths, clean, dataset)))
    write_text(snakemake.output.distance, to_csv(distance_table(paths, dataset)))
