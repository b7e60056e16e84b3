import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.job import job, spec_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as log:
    # Imported once the log is there and the library is known to be this checkout's.
    from shapelens.artefacts.files import open_image_set, open_npy, verified_set
    from shapelens.errors import UserError
    from shapelens.models.devices import configure, pick_device
    from shapelens.stylisation.run import load_networks
    from shapelens.stylisation.spec import StylisedJob
    from shapelens.stylisation.testset import write_stylised_testset

    configure(snakemake.threads)
    device = pick_device(snakemake.resources.gpu)
    spec = spec_of(snakemake, StylisedJob)
    styles = snakemake.input.get("styles")
    try:
        write_stylised_testset(
            open_image_set(verified_set(Path(snakemake.input.images).parent)),
            open_npy(verified_set(Path(styles).parent) / "images.npy") if styles else None,
            load_networks(Path(snakemake.input.encoder).parent, device),
            spec.testset,
            spec.data_seed,
            Path(snakemake.output.manifest).parent,
            device=device,
            batch=snakemake.resources.batch,
        )
    except UserError:
        # Snakemake removes the outputs of a failed job, and this picture shows what failed.
        shown = Path(snakemake.log[0]).with_suffix(".png")
        if Path(snakemake.output.sheet).exists():
            shutil.copyfile(snakemake.output.sheet, shown)
            log.info("what it looks like: %s", shown)
        raise
