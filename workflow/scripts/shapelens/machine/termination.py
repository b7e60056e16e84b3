"""SIGTERM, held back until a training has saved its state: Slurm sends it at a walltime, scancel and pre-emption.

Some seconds later Slurm kills what is still running (KillWait, 30 by default), so a longer training step is lost.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def deferred() -> Iterator[Callable[[], bool]]:
    """Hold SIGTERM back until the block ends; yields a function that tells whether it has come.

    Then it is delivered, and ends the process as it would have done at once; nothing behind the block runs. Nothing is
    held back outside the main thread, where Python takes no handlers, and where the process ignores the signal.
    """
    came = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came = True

    before = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or before in (signal.SIG_IGN, None):
        yield lambda: False
        return
    signal.signal(signal.SIGTERM, note)
    try:
        yield lambda: came
    finally:
        signal.signal(signal.SIGTERM, before)
    # An error in the block comes first: it ends the process as well, and says why.
    if came:
        signal.raise_signal(signal.SIGTERM)
        # A handler of somebody else's that returns must not let an unfinished training pass for a finished one.
        raise SystemExit(128 + signal.SIGTERM)
