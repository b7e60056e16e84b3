"""The JSON schema and the reference page are in step with the code, and the schema accepts what the config accepts."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "make_reference.py"


def test_schema_and_page_are_in_step_with_the_code():
    done = subprocess.run([sys.executable, str(TOOL), "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_key_is_described():
    schema = json.loads((ROOT / "workflow" / "schemas" / "config.schema.json").read_text())
    for name, definition in {"Study": schema, **schema["$defs"]}.items():
        for key, prop in definition.get("properties", {}).items():
            if "const" not in prop and key != "kind":
                assert prop.get("description"), f"{name}.{key} has no docstring"
