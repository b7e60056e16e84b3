"""The device of a job."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from shapelens import devices


def test_a_gpu_is_used_only_if_asked_for_and_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for there in (False, True):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert devices.pick_device(0).type == "cpu"
        assert devices.pick_device(1).type == ("cuda" if there else "cpu")


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
        "import sys; from shapelens.devices import configure; configure(1)\n"
        "import torch; from shapelens.models.architectures import build; from shapelens.training.optimiser import Sgd\n"
        "import shapelens.training.run\n"
        "net = build('resnet-small', 2, 2); net(torch.rand(2, 3, 8, 8)).sum().backward()\n"
        "Sgd(net, 0.9, True, 0.1).step(0.1)\n"
        "print([name for name in ('torch._dynamo', 'torch._inductor', 'shapelens.attacks.pgd') if name in sys.modules])"
    )
    path = str(Path(devices.__file__).parents[1])
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert found.stdout.strip() == "[]", found.stderr
