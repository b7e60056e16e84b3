from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.job import job

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    # Imported once the log is there and the library is known to be this checkout's.
    from shapelens.attribution.run import saliency_maps
    from shapelens.attribution.select import choose_images
    from shapelens.attribution.spec import Saliency
    from shapelens.evaluation.job import open_job
    from shapelens.files import open_image_set, save_npz
    from shapelens.provenance import write_record

    spec, classifier, device = open_job(snakemake)
    saliency = Saliency.model_validate(spec["saliency"])
    testsets = {Path(path).parent.name: open_image_set(Path(path).parent) for path in snakemake.input.manifests}
    arrays = saliency_maps(
        classifier,
        testsets,
        choose_images(testsets["clean"].labels, saliency.images, spec["data_seed"]),
        saliency,
        spec["data_seed"],
        input_size=classifier.input_size,
        device=device,
    )
    save_npz(snakemake.output.maps, arrays)
    write_record(snakemake.output.record, snakemake.output.maps, spec=spec, code=snakemake.params.code)
