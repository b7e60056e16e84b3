"""What can be found wrong in folders of images, and in what is said of their classes, without opening an image."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from shapelens.datasets.build import choose_records
from shapelens.datasets.own import check_own_set
from shapelens.datasets.own_spec import own_key
from shapelens.datasets.readers import Listing
from shapelens.datasets.spec import Cues, NoTraining
from shapelens.errors import UserError
from shapelens.planning.finished_models import problems_of_names
from shapelens.study.config import Study


@contextmanager
def spoken() -> Iterator[None]:
    """End the program at a mistake of the user's with its words alone: Snakemake adds where in the code it arose."""
    try:
        yield
    except UserError as error:
        sys.stderr.write(f"Error: {error}\n")
        raise SystemExit(1) from None


def check_sources(studies: Mapping[str, Study], listings: Mapping[str, Listing]) -> None:
    """Refuse what the jobs of images and finished models would refuse by names and numbers alone.

    ``listings``: of studies whose images lie in a folder; archives are left to their jobs. Raises UserError.
    """
    for name, study in studies.items():
        classes = _classes(study, listings.get(name))
        for testset, own in study.testsets.own_sources().items():
            if Path(own.path).is_dir():
                check_own_set(own, f"testsets.{own_key(own)}.{testset}", classes)
        for model, finished in study.finished().items():
            for problem in problems_of_names(finished, classes) if classes is not None else ():
                raise UserError(f"models.{model}.{problem} (study {name})")


def _classes(study: Study, listing: Listing | None) -> Sequence[str] | None:
    """Return the names of a study's classes, or None where its images must be read for them."""
    dataset = study.dataset
    if isinstance(dataset, NoTraining):
        return dataset.classes
    if listing is None or isinstance(dataset, Cues):
        return None
    return choose_records(dataset, study.data_seed, listing)[0]
