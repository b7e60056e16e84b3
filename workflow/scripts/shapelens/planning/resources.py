"""What jobs book: threads, GPUs, memory, time; none of it decides a result."""

from collections.abc import Callable
from typing import Any

from shapelens.planning.studies import Studies


class Resources:
    """Functions of wildcards, as Snakemake takes them."""

    def __init__(self, studies: Studies) -> None:
        self._studies = studies

    def threads(self, wildcards: Any) -> int:
        """Return the threads of a job that runs a model."""
        return self._studies.of(wildcards).compute.threads

    def gpu(self, wildcards: Any) -> int:
        """Return the GPUs that such a job asks for."""
        return self._studies.of(wildcards).compute.gpu

    def jobs_per_gpu(self, wildcards: Any) -> int:
        """Return how many such jobs may share a GPU; a resource, since it makes nothing stale."""
        return self._studies.of(wildcards).compute.jobs_per_gpu

    def batch(self, wildcards: Any) -> int:
        """Return the images per batch; a resource, since those never make a result stale."""
        return self._studies.of(wildcards).compute.batch

    def mem_mb(self, wildcards: Any, attempt: int) -> int:
        """Return the memory that such a job books, more at each attempt."""
        return self._studies.of(wildcards).compute.mem_mb * attempt

    def runtime(self, wildcards: Any, attempt: int) -> int:
        """Return the minutes that such a job books, more at each attempt."""
        return self._studies.of(wildcards).compute.runtime * attempt

    @staticmethod
    def growing(amount: int) -> Callable[[Any, int], int]:
        """Return a resource of ``amount`` at a job's first attempt, twice as much at the second, and so on."""
        return lambda wildcards, attempt: amount * attempt
