from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.job import job, spec_of, state_folder

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    # Imported once the log is there and the library is known to be this checkout's.
    from shapelens.datasets.fetch import check_fetched
    from shapelens.datasets.sources import STYLE_NETWORKS
    from shapelens.models.devices import configure, pick_device
    from shapelens.stylisation.run import make_networks
    from shapelens.stylisation.spec import StyleNetworksJob

    configure(snakemake.threads)
    spec = spec_of(snakemake, StyleNetworksJob)
    networks = spec.networks
    if networks.source == "published":
        files = {key: snakemake.input[f"published_{key}"] for key in ("encoder", "decoder")}
        for key, source in STYLE_NETWORKS.items():
            if getattr(networks, key) is None:
                check_fetched(files[key], source.md5, source.sha256)
        networks = networks.model_copy(update=files)
    make_networks(
        networks,
        Path(snakemake.input.manifest).parent,
        Path(snakemake.input.styles).parent,
        Path(snakemake.output.encoder).parent,
        state_folder(),
        pick_device(snakemake.resources.gpu),
        spec.data_seed,
        code=snakemake.params.code,
    )
