"""Small disks, for tests that fill them or take away the right to write."""

import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(path: Path, options: str):
    """Mount a tmpfs for the length of a block; skips the test where that is not allowed."""
    if os.geteuid() or shutil.which("mount") is None:
        pytest.skip("a small disk: only root can mount one; run this test as root to see a full disk survived")
    path.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a small disk: none can be mounted here ({done.stderr.strip()})")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
