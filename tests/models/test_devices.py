"""The device of a job."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from shapelens.machine import leases
from shapelens.machine.gpus import Gpu
from shapelens.models import devices


def test_a_gpu_is_used_only_if_asked_for_and_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for there in (False, True):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert devices.pick_device(0).type == "cpu"
        assert devices.pick_device(1).type == ("cuda" if there else "cpu")


@pytest.fixture
def lease(monkeypatch: pytest.MonkeyPatch) -> Iterator[leases.Lease]:
    """A lease of a made-up device, with a pipe's end for its lock."""
    made = leases.Lease((Gpu("1", "1", "GPU 1"),), (2,), 3, os.pipe())
    token = leases._HELD.set(made)
    yield made
    leases._HELD.reset(token)


def test_a_leased_gpu_that_torch_cannot_use_is_given_back(
    lease: leases.Lease, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(devices.logger, "propagate", True)
    assert devices.pick_device(1).type == "cpu"
    assert leases.held() is None and "given back: GPU 1, slot 2 of 3" in caplog.text
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(lease.files[0])


def test_the_record_names_the_lease_of_a_gpu_alone(lease: leases.Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Made up")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(devices, "native_bf16", lambda device: True)
    assert devices.describe(torch.device("cuda"))["lease"] == "GPU 1, slot 2 of 3"
    assert devices.describe(torch.device("cpu"))["lease"] is None
    for file in lease.files:
        os.close(file)


def test_bf16_counts_only_where_it_is_native(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    for avx, amx in ((False, False), (True, False), (False, True)):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda avx=avx: avx)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda amx=amx: amx)
        assert devices.native_bf16(cpu) is (avx or amx)


def test_configure_and_describe() -> None:
    devices.configure(1)
    found = devices.describe(torch.device("cpu"))
    assert found["threads"] == 1 and found["type"] == "cpu" and found["torch"] == torch.__version__
    assert torch.are_deterministic_algorithms_enabled()
    assert found["cuda"] is None


def test_a_job_does_not_import_the_compiler() -> None:
    """It costs four CPU seconds per job; torch's optimiser classes and its best-known switch import it."""
    code = (
        "import sys; from shapelens.models.devices import configure; configure(1)\n"
        "import torch; from shapelens.models.architectures import build; from shapelens.training.optimiser import Sgd\n"
        "import shapelens.training.run\n"
        "net = build('resnet-small', 2, 2); net(torch.rand(2, 3, 8, 8)).sum().backward()\n"
        "Sgd(net, 0.9, True, 0.1).step(0.1)\n"
        "print([name for name in ('torch._dynamo', 'torch._inductor', 'shapelens.attacks.pgd') if name in sys.modules])"
    )
    path = str(Path(devices.__file__).parents[2])
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert found.stdout.strip() == "[]", found.stderr


@pytest.mark.parametrize("kept", [True, False])
def test_freed_memory_is_used_again(kept: bool) -> None:
    program = f"""
import ctypes, resource
from shapelens.models.devices import keep_freed_memory
if not hasattr(ctypes.CDLL(None), "mallopt"):
    raise SystemExit("no glibc")
if {kept}:
    assert keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
def touch_and_free(blocks, size=8 * 2**20):
    taken = [libc.malloc(size) for _ in range(blocks)]
    for block in taken:
        ctypes.memset(block, 1, size)
    for block in taken:
        libc.free(block)
touch_and_free(12)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    touch_and_free(12)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    path = str(Path(devices.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    if "no glibc" in done.stderr:
        pytest.skip("SKIPPED: the C library is not glibc")
    pages = int(done.stdout)
    # 4 rounds of 12 blocks of 8 MiB are 98,304 pages: almost none is fetched again, or without the setting many are.
    assert pages < 1000 if kept else pages > 1000


def test_the_record_names_the_instructions_that_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    for name in devices.LIMITS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    assert devices.describe(cpu)["instruction_set"] == "AVX512, AVX512-BF16"
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert devices.instruction_set(cpu) == "AVX512, AVX512-BF16, AMX, ONEDNN_MAX_CPU_ISA=AVX2"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    assert devices.instruction_set(torch.device("cuda")) == "sm_90"
