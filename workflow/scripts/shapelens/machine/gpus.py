"""Which GPUs this process may use, found without torch: what the driver lists, within CUDA_VISIBLE_DEVICES."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc/driver/nvidia/gpus")
DEV = Path("/dev")
_GPU = re.compile(r"GPU \d+: (.*) \(UUID: (GPU-[^)]+)\)")
_MIG = re.compile(r"\s+(MIG .*?)\s+Device\s+\d+: \(UUID: (MIG-[^)]+)\)")


@dataclass(frozen=True)
class Gpu:
    """A device, or a part of one (MIG)."""

    visible: str
    """What CUDA_VISIBLE_DEVICES takes for it: its UUID where that is known, else its number."""
    key: str
    """A name that all processes of this host have for it, whatever they call it in CUDA_VISIBLE_DEVICES."""
    label: str
    """What people read."""
    parts: tuple["Gpu", ...] = ()
    """Its MIG parts, if it is cut into some: then CUDA computes on those alone."""

    def __str__(self) -> str:
        return self.label if self.label.endswith(self.key) else f"{self.label}, {self.key}"


def visible_gpus(environment: Mapping[str, str] = os.environ, listed: Sequence[Gpu] | None = None) -> list[Gpu]:
    """Return the devices that CUDA would show a process, each once.

    Without CUDA_VISIBLE_DEVICES that is every device of the driver (``listed``). Numbers count as ``nvidia-smi`` does,
    and UUIDs may be abbreviated; as in CUDA, the first entry that names no device hides those behind it. Where the
    driver's list cannot be read, what the variable names is taken at its word.
    """
    listed = driver_gpus() if listed is None else listed
    given = environment.get("CUDA_VISIBLE_DEVICES")
    if given is None:
        return [part for gpu in listed for part in gpu.parts or (gpu,)]
    found: dict[str, Gpu] = {}
    for entry in given.split(","):
        gpu = _named(entry.strip(), listed)
        if gpu is None:
            break
        found.setdefault(gpu.key, gpu)
    return list(found.values())


def _named(entry: str, listed: Sequence[Gpu]) -> Gpu | None:
    """Return the device that one entry of CUDA_VISIBLE_DEVICES names."""
    if entry.isascii() and entry.isdigit():
        if not listed:
            return Gpu(str(int(entry)), str(int(entry)), f"GPU {int(entry)}")
        return listed[int(entry)] if int(entry) < len(listed) else None
    if not entry.startswith(("GPU-", "MIG-")):
        return None
    if not listed:
        return Gpu(entry, entry, entry)
    everything = [one for gpu in listed for one in (gpu, *gpu.parts)]
    matching = [one for one in everything if one.key.lower().startswith(entry.lower())]
    return matching[0] if len(matching) == 1 else None


def driver_gpus() -> list[Gpu]:
    """Return the devices that the driver shows in this place (host, container, cgroup), in the order of the bus."""
    return parse_listing(_nvidia_smi()) or read_proc() or read_dev()


def parse_listing(text: str) -> list[Gpu]:
    """Read what ``nvidia-smi -L`` prints."""
    found: list[Gpu] = []
    for line in text.splitlines():
        if match := _GPU.match(line):
            name, uuid = match.groups()
            found.append(Gpu(uuid, uuid, f"GPU {len(found)} ({name})"))
        elif found and (match := _MIG.match(line)):
            name, uuid = match.groups()
            whole = found[-1]
            part = Gpu(uuid, uuid, f"GPU {len(found) - 1} ({name})")
            found[-1] = Gpu(whole.visible, whole.key, whole.label, (*whole.parts, part))
    return found


def _nvidia_smi() -> str:
    if shutil.which("nvidia-smi") is None:
        return ""
    try:
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


def read_proc(proc: Path = PROC, dev: Path = DEV) -> list[Gpu]:
    """Read the driver's folder in /proc, less the devices that this process may not open: it shows the whole host's."""
    found: list[Gpu] = []
    for file in sorted(proc.glob("*/information")):
        try:
            lines = (line.partition(":") for line in file.read_text(encoding="utf-8", errors="replace").splitlines())
        except OSError:
            continue
        facts = {key.strip(): value.strip() for key, _, value in lines}
        minor, uuid = facts.get("Device Minor", ""), facts.get("GPU UUID", "")
        if not _opens(dev / f"nvidia{minor}"):
            continue
        number = len(found)
        # The driver shows question marks in place of a UUID that it has not read yet.
        name = uuid if uuid.startswith("GPU-") and "?" not in uuid else ""
        key = name or f"nvidia{minor}"
        found.append(Gpu(name or str(number), key, f"GPU {number} ({facts.get('Model') or key})"))
    return found


def read_dev(dev: Path = DEV) -> list[Gpu]:
    """Return a device for every node that this process may open; CUDA numbers those that it may open from 0."""
    nodes = [node for node in dev.glob("nvidia[0-9]*") if node.name.removeprefix("nvidia").isdigit() and _opens(node)]
    nodes.sort(key=lambda node: int(node.name.removeprefix("nvidia")))
    return [Gpu(str(number), node.name, f"GPU {number} ({node})") for number, node in enumerate(nodes)]


def _opens(node: Path) -> bool:
    """Tell whether a device node may be opened: where a cgroup forbids it, the node is there all the same."""
    try:
        os.close(os.open(node, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK))
    except OSError:
        return False
    return True
