"""A fork server of training jobs: torch is loaded once, and every job is a process of its own that can be killed.

Reads a job as JSON per line of standard input: ``folder`` (where it runs), ``spec`` (of the rule),
``match``, ``points`` (where it stops and waits), ``save_seconds`` and ``fault`` (what its resume forgets). Says
``pid N``, ``at POINT`` and ``ended STATUS`` on standard output; at a point it waits for a byte on the file descriptor
that its first argument names.
"""

import json
import os
import runpy
import sys
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import torch

from shapelens.training import adversarial, loop, run, spatial, state  # noqa: F401 (loaded before the jobs fork)

SCRIPTS = Path(__file__).resolve().parents[2] / "workflow" / "scripts"
GATE = int(sys.argv[1])


class Inputs(SimpleNamespace):
    def __iter__(self):
        return filter(None, vars(self).values())

    def get(self, name, default=None):
        return getattr(self, name, default)

    def items(self):
        return vars(self).items()


def say(text):
    os.write(1, f"{text}\n".encode())


def stop_at(point, wanted):
    if point in wanted:
        say(f"at {point}")
        os.read(GATE, 1)


def add_points(wanted):
    """Let a job stop before a step, within and around the saving of its state, and between its outputs."""
    step, save, write, save_model = loop.Sgd.step, loop.save_state, state.save_file, run.save_model

    def stepping(self, lr):
        stop_at("step", wanted)
        step(self, lr)

    def saving(*arguments):
        stop_at("saving", wanted)
        save(*arguments)
        stop_at("saved", wanted)

    def writing(tensors, path, metadata):
        write(tensors, path, metadata)
        if "half" in wanted:
            whole = path.read_bytes()
            path.write_bytes(whole[: len(whole) // 2])
            stop_at("half", wanted)
            path.write_bytes(whole)
        stop_at("whole", wanted)

    def saving_model(*arguments):
        digest = save_model(*arguments)
        stop_at("output", wanted)
        return digest

    loop.Sgd.step, loop.save_state, state.save_file, run.save_model = stepping, saving, writing, saving_model


def forget_momentum():
    """The planted fault: a state that comes back without its momentum."""
    whole = loop.load_state

    def forgetful(folder, device):
        found = whole(folder, device)
        for tensor in found[0]["momentum"].values() if found else ():
            tensor.zero_()
        return found

    loop.load_state = forgetful


def work(job):
    os.chdir(job["folder"])
    loop.SAVE_SECONDS = job["save_seconds"]
    add_points(job["points"])
    if job["fault"]:
        forget_momentum()
    spec = json.loads(job["spec"])
    folder = Path(f"results/cues/models/{spec['run']['model']}/seed0")
    snakemake = SimpleNamespace(
        rule="train",
        scriptdir=str(SCRIPTS),
        log=[f"results/cues/logs/train/{spec['run']['model']}.log"],
        threads=1,
        resources=SimpleNamespace(gpu=0, jobs_per_gpu=1),
        params=Inputs(spec=job["spec"], code="the code's digest"),
        input=Inputs(manifest="results/cues/data/manifest.json", match=job["match"]),
        output=Inputs(weights=str(folder / "model.safetensors")),
    )
    runpy.run_path(str(SCRIPTS / "train.py"), init_globals={"snakemake": snakemake})


def main():
    torch.set_num_threads(1)
    os.set_blocking(GATE, True)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                work(json.loads(line))
            except SystemExit as error:
                os._exit(error.code if isinstance(error.code, int) else 1)
            except BaseException:
                sys.excepthook(*sys.exc_info())
                os._exit(1)
            os._exit(0)
        say(f"pid {pid}")
        _, status = os.waitpid(pid, 0)
        os.set_blocking(GATE, False)
        with suppress(BlockingIOError):
            os.read(GATE, 100)  # what the job was told and no longer heard
        os.set_blocking(GATE, True)
        say(f"ended {os.waitstatus_to_exitcode(status)}")


if __name__ == "__main__":
    main()
