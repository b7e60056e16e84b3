"""What all tests share."""

import os
import sys

import pytest

# Two cores and several processes: one thread each is the fastest, and results do not depend on the machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The tiny study, finished, once for all tests: those that damage it work on copies."""
    from .workflow import conftest

    return conftest.finish(tmp_path_factory.mktemp("finished") / "a folder")


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A study of the instruments that optimise images, as far as their tables and figures, once for all tests."""
    from .workflow.test_optimised_images import make

    return make(tmp_path_factory.mktemp("optimised") / "study")


@pytest.fixture(autouse=True)
def denormals_stay():
    """Jobs flush denormals to zero, for the whole process: the next test must have them again."""
    yield
    if torch := sys.modules.get("torch"):
        torch.set_flush_denormal(False)
