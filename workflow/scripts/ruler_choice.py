from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.job import job, spec_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    # Imported once the log is there and the library is known to be this checkout's.
    from shapelens.artefacts.files import open_image_set, verified_set, write_json
    from shapelens.models.devices import configure, pick_device
    from shapelens.models.store import load_model
    from shapelens.rulers.choice import choose
    from shapelens.rulers.spec import ChoiceJob
    from shapelens.stylisation.run import load_networks

    configure(snakemake.threads)
    device = pick_device(snakemake.resources.gpu)
    output = Path(snakemake.output[0])
    encoder = snakemake.input.get("encoder")
    found = choose(
        spec_of(snakemake, ChoiceJob),
        open_image_set(verified_set(Path(snakemake.input.images).parent)),
        {cue: [load_model(Path(path).parent, device) for path in snakemake.input[cue]] for cue in ("texture", "shape")},
        load_networks(Path(encoder).parent, device) if encoder else None,
        output.with_name("stylised.npy"),
        device=device,
        batch=snakemake.resources.batch,
    )
    write_json(output, found)
