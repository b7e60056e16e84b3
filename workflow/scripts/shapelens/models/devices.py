"""Which device computes, and how: torch is imported only inside the functions, after a job has its device."""

import ctypes
import logging
import os
import platform
from typing import TYPE_CHECKING, Any

from shapelens.machine import leases

if TYPE_CHECKING:
    import torch

logger = logging.getLogger("shapelens")


M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
MALLOC = {M_MMAP_THRESHOLD: 32 * 2**20, M_TRIM_THRESHOLD: 2**30, M_TOP_PAD: 64 * 2**20}
"""Options of glibc's malloc (mallopt(3)), in bytes; 32 MiB is the most that M_MMAP_THRESHOLD takes."""


def pick_device(gpu: int) -> "torch.device":
    """Return CUDA's current device if the job may use a GPU (``gpu`` > 0) and there is one, else the CPU.

    A GPU that was leased and that torch cannot use is given back, so that jobs on the CPU do not wait for each other.
    """
    import torch

    if gpu < 1:
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda")
    if lease := leases.give_back():
        logger.warning("torch sees no CUDA device: the CPU computes, and the lease is given back: %s", lease)
    return torch.device("cpu")


def configure(threads: int) -> None:
    """Set torch up for a job: ``threads`` CPU threads, denormals flushed to zero, deterministic algorithms.

    Call it before the first computation: CUDA's matrix library reads its workspace setting once. The same seed then
    gives the same bits on the same device with the same number of threads.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    keep_freed_memory()
    import torch

    torch.set_num_threads(max(1, threads))
    torch.set_flush_denormal(True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    # The same switch as use_deterministic_algorithms, which also imports the compiler: four CPU seconds per job.
    torch.set_deterministic_debug_mode("warn")
    # Filling new memory guards against reading it unset, which nothing here does, and costs bandwidth.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees, to use it again: it saves a quarter of a CPU attack's time.

    By default glibc gives blocks of a megabyte back to the system and gets them anew, page by page and zeroed, at each
    pass through a network. What is kept is bounded by the peak that was in use. Returns False where libc is another.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(mallopt(option, value) for option, value in MALLOC.items())


def native_bf16(device: "torch.device") -> bool:
    """Say whether the device multiplies bfloat16 in hardware; emulated it is slower than float32."""
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


LIMITS = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR")
"""Environment variables by which torch and its libraries use fewer instructions than there are."""


def instruction_set(device: "torch.device") -> str:
    """Return which instructions compute, such as ``AVX512, AVX512-BF16`` or ``sm_90``: other ones round otherwise."""
    import torch

    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        return f"sm_{major}{minor}"
    found = [torch.backends.cpu.get_cpu_capability()]
    found += ["AVX512-BF16"] if torch.cpu._is_avx512_bf16_supported() else []
    found += ["AMX"] if torch.cpu._is_amx_tile_supported() else []
    found += [f"{name}={os.environ[name]}" for name in LIMITS if name in os.environ]
    return ", ".join(found)


def describe(device: "torch.device") -> dict[str, Any]:
    """Return what run.json says of the device: its name, lease and instructions, the threads, versions, native bf16."""
    import torch

    cuda = device.type == "cuda"
    lease = leases.held() if cuda else None
    return {
        "device": torch.cuda.get_device_name(device) if cuda else _cpu_name(),
        "type": device.type,
        "lease": str(lease) if lease else None,
        "threads": torch.get_num_threads(),
        "instruction_set": instruction_set(device),
        "torch": str(torch.__version__),
        "cuda": torch.version.cuda if cuda else None,
        "python": platform.python_version(),
        "native_bf16": native_bf16(device),
    }


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
