"""What the docs say of Kubernetes, against its own client.

The plugins are installed from their lock into a folder of their own, so that no other test pays for importing them.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest
import yaml

from .conftest import ROOT

PLUGINS = ROOT / ".venv" / "kubernetes"


@pytest.fixture(scope="session")
def plugins():
    """Return the folder of the locked plugins."""
    lock = ROOT / "requirements" / "kubernetes.txt"
    record = PLUGINS / "lock.txt"
    if not record.is_file() or record.read_text() != lock.read_text():
        shutil.rmtree(PLUGINS, ignore_errors=True)
        command = ["uv", "pip", "install", "--quiet", "--python", sys.executable, "--target", str(PLUGINS)]
        done = subprocess.run([*command, "--require-hashes", "-r", str(lock)], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"Snakemake's plugins could not be installed: {done.stderr[-500:]}")
        record.write_text(lock.read_text())
    return PLUGINS


READ = """
import json, sys, types, kubernetes
client = kubernetes.client.ApiClient()
job = client.deserialize(types.SimpleNamespace(data=sys.stdin.read()), "V1Job")
print(json.dumps(client.sanitize_for_serialization(job)))
"""


def test_the_job_of_the_docs_has_no_field_that_kubernetes_does_not_know(plugins):
    text = (ROOT / "docs" / "how-to" / "on-kubernetes.md").read_text()
    job = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
    for body in (job, {**job, "spec": {**job["spec"], "backofLimit": 3}}):
        done = subprocess.run(
            [sys.executable, "-c", READ],
            input=json.dumps(body),
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": str(plugins)},
        )
        assert json.loads(done.stdout) == job  # an unknown field is lost on the way
