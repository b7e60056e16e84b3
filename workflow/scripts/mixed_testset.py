from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.artefacts.files import open_image_set, read_json, verified_set
from shapelens.job import job, spec_of
from shapelens.transforms.mixed import Mix, mixed_by_frequency, write_mixed_testset
from shapelens.transforms.spec import MixedJob, TextureExchange

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    spec = spec_of(snakemake, MixedJob)
    settings: dict[str, float] = {}
    mix: Mix
    if isinstance(spec.testset, TextureExchange):
        from shapelens.stylisation.detail import Exchange

        mix = Exchange(spec.testset.detail, spec.data_seed)
    else:
        chosen = spec.testset.radius
        settings["radius"] = read_json(snakemake.input.choice)["radius"] if chosen is None else chosen
        mix = mixed_by_frequency(settings["radius"])
    images = open_image_set(verified_set(Path(snakemake.input.images).parent))
    write_mixed_testset(images, spec.testset, mix, spec.data_seed, Path(snakemake.output.manifest).parent, **settings)
