"""SIGTERM, held back: what the block still does, how the process ends, and what it decides (nothing)."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from shapelens.machine import termination
from shapelens.planning.code_digest import Code

SCRIPTS = Path(termination.__file__).parents[2]
WAITS = """
import signal, sys, time
from shapelens.machine.termination import deferred
signal.signal(signal.SIGTERM, {before})
with deferred() as ending:
    print("ready", flush=True)
    end = time.monotonic() + 20
    while not ending() and time.monotonic() < end:
        time.sleep(0.01)
    print("saved", flush=True)
print("went on", flush=True)
"""


def told(before: str, *signals: int) -> tuple[int, list[str]]:
    """Run a block that waits for SIGTERM, send it signals; returns the exit status and what it printed."""
    job = subprocess.Popen(
        [sys.executable, "-c", WAITS.format(before=before)],
        env={"PYTHONPATH": str(SCRIPTS)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert job.stdout is not None and job.stdout.readline() == "ready\n"
    for number in signals:
        job.send_signal(number)
    out, _ = job.communicate(timeout=30)
    return job.returncode, out.splitlines()


@pytest.mark.parametrize("times", [1, 3])
def test_the_signal_ends_the_process_behind_the_block(times: int) -> None:
    assert told("signal.SIG_DFL", *[signal.SIGTERM] * times) == (-signal.SIGTERM, ["saved"])


def test_a_handler_that_returns_lets_nothing_go_on() -> None:
    assert told("lambda *_: print('theirs', flush=True)", signal.SIGTERM) == (143, ["saved", "theirs"])


def test_sigkill_is_not_held_back() -> None:
    assert told("signal.SIG_DFL", signal.SIGKILL) == (-signal.SIGKILL, [])


def test_handlers_are_put_back_and_errors_come_first() -> None:
    calls: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: calls.append(number))
    mine = signal.getsignal(signal.SIGTERM)
    try:
        with termination.deferred() as ending:
            assert not ending()
        with pytest.raises(OSError, match="disk full"), termination.deferred() as ending:
            signal.raise_signal(signal.SIGTERM)
            assert ending()
            raise OSError("disk full")
        assert signal.getsignal(signal.SIGTERM) is mine and calls == []
    finally:
        signal.signal(signal.SIGTERM, before)


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with termination.deferred() as ending:
            signal.raise_signal(signal.SIGTERM)
            assert not ending()
    finally:
        signal.signal(signal.SIGTERM, before)


def test_threads_train_without_it() -> None:
    found: list[bool] = []

    def block() -> None:
        with termination.deferred() as ending:
            found.append(ending())

    thread = threading.Thread(target=block)
    thread.start()
    thread.join()
    assert found == [False]


def test_how_a_job_ends_decides_no_result() -> None:
    code = Code(SCRIPTS)
    for script in SCRIPTS.glob("*.py"):
        assert "termination.py" not in {path.name for path in code.closure(script)}, script.name
