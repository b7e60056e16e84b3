"""A real Slurm on this machine, for tests: one node with made-up GPUs, no accounting, everything in one folder.

It needs Debian's packages slurmctld, slurmd, slurm-client and munge, no service manager and no setting of the system's:

    python tests/cluster/slurm.py /tmp/slurm      # starts it, prints what a shell must export, stops it on Ctrl-C
"""

import argparse
import getpass
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

CLIENTS = ("sbatch", "srun", "squeue", "scancel", "sinfo", "scontrol")
PROGRAMS = ("munged", "slurmctld", "slurmd", *CLIENTS)
# Clocks are as short as Slurm allows, so that a test waits for nothing; MinJobAge keeps finished jobs to be looked at.
CONFIG = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,bf_interval=1
GresTypes=gpu
SlurmdParameters=config_overrides
ReturnToService=2
MinJobAge=600
KillWait=20
InactiveLimit=0
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:{gpus} State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes={host} MaxTime=INFINITE State=UP
"""


class SlurmError(Exception):
    """Slurm did not start; the end of its logs."""


def missing() -> list[str]:
    """Return the programs that are not installed; Debian puts the daemons where a user's PATH does not look."""
    return [name for name in PROGRAMS if _program(name) is None]


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def free_ports(count: int) -> list[int]:
    """Return ports of this machine that nobody listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    found = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return found


class Slurm:
    """A running Slurm; leave the ``with`` block to stop it and all its jobs.

    ``folder`` is made. Every user must be able to enter the one that it lies in (munge refuses another), and its path
    must be shorter than 90 characters, since a socket is made in it. ``cpus`` and ``memory`` (MB) are what jobs may
    book, whatever the machine has.
    """

    def __init__(self, folder: Path, gpus: int = 2, cpus: int = 8, memory: int = 64_000) -> None:
        self.folder, self.gpus, self.cpus, self.memory = folder.resolve(), gpus, cpus, memory
        self.host = socket.gethostname().partition(".")[0]
        self.daemons: list[subprocess.Popen[bytes]] = []

    @property
    def exports(self) -> dict[str, str]:
        """What a client's environment must say, PATH apart from what it said before."""
        return {"SLURM_CONF": f"{self.folder}/slurm.conf", "PATH": f"{self.folder}/bin"}

    def environment(self) -> dict[str, str]:
        """Return this process' environment as a client of this Slurm needs it."""
        foreign = ("SLURM_", "SBATCH_", "SRUN_", "CUDA_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        return {**kept, **self.exports, "PATH": f"{self.exports['PATH']}:{kept.get('PATH', os.defpath)}"}

    def client(self, *command: str) -> str:
        """Run a client such as squeue; returns what it prints, and raises CalledProcessError where it fails."""
        done = subprocess.run(command, env=self.environment(), capture_output=True, text=True, check=True, timeout=60)
        return done.stdout

    def __enter__(self) -> "Slurm":
        self._write()
        try:
            munge = self.folder / "munge"
            files = [f"--{name}-file={munge / name}" for name in ("key", "pid", "log", "seed")]
            self._start("munged", "--foreground", "--num-threads=2", f"--socket={munge / 'socket'}", *files)
            self._await(lambda: (munge / "socket").exists(), "munged")
            self._start("slurmctld", "-D")
            self._start("slurmd", "-D", "-N", self.host)
            self._await(self._idle, "the node")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Cancel every job, and end the daemons that this object started."""
        if len(self.daemons) == 3:
            try:
                self.client("scancel", "--user", getpass.getuser())
                self._await(lambda: not self.client("squeue", "--noheader"), "the jobs' end", 40)
            except (SlurmError, subprocess.SubprocessError) as error:
                print(f"slurm: {error}", file=sys.stderr)
        for daemon in reversed(self.daemons):
            daemon.terminate()
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self.daemons.clear()

    def _write(self) -> None:
        """Write keys and configuration."""
        for name in ("munge", "state", "spool", "log", "gpu", "bin"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for folder in (self.folder, self.folder / "munge"):
            folder.chmod(0o711)
        key = self.folder / "munge" / "key"
        if not key.exists():
            key.touch(mode=0o600)
            key.write_bytes(os.urandom(1024))
        lines = []
        for number in range(self.gpus):
            # Only a device node will do, and its digit becomes the number in CUDA_VISIBLE_DEVICES.
            device = self.folder / "gpu" / f"gpu{number}"
            device.unlink(missing_ok=True)
            device.symlink_to(os.devnull)
            lines.append(f"NodeName={self.host} Name=gpu File={device}\n")
        (self.folder / "gres.conf").write_text("".join(lines))
        values = {name: getattr(self, name) for name in ("host", "folder", "cpus", "gpus", "memory")}
        config = CONFIG.format(user=getpass.getuser(), ports=free_ports(2), **values)
        (self.folder / "slurm.conf").write_text(config.lstrip())
        # Inside a job Snakemake's plugin takes SLURM_CONF from the environment of what it starts.
        for name in CLIENTS:
            client = self.folder / "bin" / name
            quoted = shlex.quote(f"{self.folder}/slurm.conf")
            client.write_text(f'#!/bin/sh\nSLURM_CONF={quoted} exec {_program(name)} "$@"\n')
            client.chmod(0o755)

    def _start(self, name: str, *arguments: str) -> None:
        program = _program(name)
        if program is None:
            raise SlurmError(f"{name} is not installed")
        # Killed with this process, even by SIGKILL: no daemon outlives a test.
        command = ["setpriv", "--pdeathsig", "KILL", program, *arguments]
        with open(self.folder / "log" / f"{name}.out", "wb") as out:
            self.daemons.append(
                subprocess.Popen(
                    command, env=self.environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
                )
            )

    def _idle(self) -> bool:
        """Tell whether the node takes a job."""
        try:
            if self.client("sinfo", "--noheader", "-o", "%T").split()[:1] != ["idle"]:
                return False
            self.client("srun", "--time=1", "--mem=10", "true")
        except subprocess.CalledProcessError:
            return False
        return True

    def _await(self, condition, what: str, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not condition():
            dead = [daemon for daemon in self.daemons if daemon.poll() is not None]
            if dead or time.monotonic() > end:
                logs = [f"{log}:\n{log.read_text(errors='replace')[-2000:]}" for log in self.folder.glob("log/*")]
                raise SlurmError("\n".join([f"waited for {what} in vain", *logs]))
            time.sleep(0.1)


def main() -> int:
    """Run Slurm until it is interrupted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gpus", type=int, default=2, help="made-up GPUs (default: 2)")
    options = parser.parse_args()
    if lacking := missing():
        print(f"slurm: not installed: {', '.join(lacking)}", file=sys.stderr)
        return 1
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    with Slurm(options.folder, options.gpus) as slurm:
        folder = slurm.exports
        print(f'export SLURM_CONF={shlex.quote(folder["SLURM_CONF"])} PATH={shlex.quote(folder["PATH"])}:"$PATH"')
        sys.stdout.flush()
        signal.pause()
    return 0


if __name__ == "__main__":
    sys.exit(main())
