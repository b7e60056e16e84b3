"""Which GPUs a process may use: the driver's list, within CUDA_VISIBLE_DEVICES as CUDA reads it."""

import pytest

from shapelens.machine.gpus import Gpu, driver_gpus, parse_listing, read_dev, read_proc, visible_gpus

LISTING = """GPU 0: NVIDIA H200 (UUID: GPU-aa11)
GPU 1: NVIDIA H200 (UUID: GPU-ab22)
GPU 2: NVIDIA A100-SXM4-40GB (UUID: GPU-cc33)
  MIG 3g.20gb     Device  0: (UUID: MIG-1111)
  MIG 3g.20gb     Device  1: (UUID: MIG-2222)
"""
LISTED = parse_listing(LISTING)


def shown(given: str | None, listed: list[Gpu] = LISTED) -> list[str]:
    environment = {} if given is None else {"CUDA_VISIBLE_DEVICES": given}
    return [gpu.visible for gpu in visible_gpus(environment, listed)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, ["GPU-aa11", "GPU-ab22", "MIG-1111", "MIG-2222"]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("1", ["GPU-ab22"]),
        (" 1 , 0 ", ["GPU-ab22", "GPU-aa11"]),
        ("0,0", ["GPU-aa11"]),
        ("0,GPU-aa11", ["GPU-aa11"]),
        ("0,7,1", ["GPU-aa11"]),
        ("0,-1,1", ["GPU-aa11"]),
        ("GPU-ab22", ["GPU-ab22"]),
        ("GPU-AB", ["GPU-ab22"]),
        ("GPU-a", []),
        ("GPU-zz", []),
        ("MIG-2222", ["MIG-2222"]),
    ],
)
def test_what_cuda_would_show(given: str | None, expected: list[str]) -> None:
    assert shown(given) == expected


def test_without_the_drivers_list_the_variable_is_taken_at_its_word() -> None:
    assert shown(None, []) == []
    assert shown("0,3,x,1", []) == ["0", "3"]
    assert shown("GPU-abc", []) == ["GPU-abc"]


def test_a_device_has_one_key_by_any_name() -> None:
    keys = {visible_gpus({"CUDA_VISIBLE_DEVICES": name}, LISTED)[0].key for name in ("1", "GPU-ab22", "GPU-ab")}
    assert keys == {"GPU-ab22"}
    assert str(LISTED[1]) == "GPU 1 (NVIDIA H200), GPU-ab22"


def test_the_driver_is_asked_without_torch(tmp_path, monkeypatch) -> None:
    smi = tmp_path / "nvidia-smi"
    smi.write_text(f"#!/bin/sh\n[ \"$1\" = -L ] && printf '%s' '{LISTING}'\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert driver_gpus() == LISTED
    smi.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'; exit 9\n")
    monkeypatch.setattr("shapelens.machine.gpus.read_proc", list)
    monkeypatch.setattr("shapelens.machine.gpus.read_dev", list)
    assert driver_gpus() == []


def test_the_folders_of_the_driver_are_read(tmp_path) -> None:
    for bus, minor, uuid in (("0000:65:00.0", 1, "GPU-two"), ("0000:17:00.0", 0, "GPU-????"), ("0000:99:00.0", 2, "")):
        (tmp_path / "gpus" / bus).mkdir(parents=True)
        text = f"Model: \t\t NVIDIA H200\nGPU UUID: \t {uuid}\nDevice Minor: \t {minor}\n"
        (tmp_path / "gpus" / bus / "information").write_text(text)
    for node in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (tmp_path / node).touch()
    # The third belongs to another container: its node is not here.
    found = read_proc(tmp_path / "gpus", tmp_path)
    assert [(gpu.visible, gpu.key) for gpu in found] == [("0", "nvidia0"), ("GPU-two", "GPU-two")]
    assert [gpu.visible for gpu in read_dev(tmp_path)] == ["0", "1"]
    assert read_proc(tmp_path / "none", tmp_path) == read_dev(tmp_path / "none") == []
