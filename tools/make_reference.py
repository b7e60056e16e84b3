"""Write the config's JSON schema and reference page from the typed config; ``--check`` only compares."""

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

from shapelens.instruments.registry import CLAIMS  # noqa: E402
from shapelens.study.config import Study  # noqa: E402

SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.json"
PAGE = ROOT / "docs" / "reference" / "config.md"
HEAD = """# The config

A study is one YAML file: `config.yaml` is the default, `--configfile` names another and replaces it whole.
Unknown keys, wrong types and impossible values stop the run before its first job. Numbers may be fractions, such as
`8/255`. Keys of `display` and `compute` never make a result stale; every other key reruns what depends on it and
nothing else.

Several datasets in one run: `studies` maps names to keys that differ from the rest of the file.

```yaml
studies:
  cifar: {dataset: {kind: cifar10}}
  tiny: {dataset: {kind: tinyimagenet}, network: {arch: resnet18, input_size: 224}}
```

This page and `workflow/schemas/config.schema.json` are made from the code by `make reference`.
"""


def schema() -> dict[str, Any]:
    """Return the JSON schema of a config."""
    made = Study.model_json_schema(mode="validation")
    made["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    made["title"] = "Shapelens config"
    made["properties"]["studies"] = {
        "type": "object",
        "description": "Several studies in one run: by name, the keys that differ from the rest of the file.",
        "additionalProperties": {"type": "object"},
        "minProperties": 1,
    }
    _loosen(made)
    # With `studies`, each study may bring its own dataset and models.
    required = made.pop("required")
    made["anyOf"] = [{"required": required}, {"required": ["studies"]}]
    return made


def _loosen(made: dict[str, Any]) -> None:
    """Allow what the config accepts before it is validated: fractions, partial keys of a model, short verdicts."""
    definitions = made["$defs"]
    for definition in definitions.values():
        for prop in definition.get("properties", {}).values():
            # Of lists only those that stand beside one number take fractions.
            items = [one["items"] for one in prop.get("oneOf", []) if isinstance(one.get("items"), dict)]
            for choice in (prop, *prop.get("anyOf", []), *prop.get("oneOf", []), *items):
                if choice.get("type") == "number":
                    choice["type"] = ["number", "string"]
    for key in ("network", "training", "adversary"):
        entry = definitions["TrainedModel"]["properties"][key]
        entry["anyOf"] = [{"type": "object"}, {"type": "null"}]
    made["properties"]["expected"]["additionalProperties"] = {
        "anyOf": [{"enum": ["yes", "no", "undecided"]}, {"$ref": "#/$defs/Expectation"}]
    }
    made["properties"]["expected"]["propertyNames"] = {"enum": list(CLAIMS)}


def page(made: dict[str, Any]) -> str:
    """Return the reference page of a schema."""
    parts = [HEAD, "## Top level\n", _table(made)]
    for name, definition in made["$defs"].items():
        parts.append(f"## {name}\n\n{definition.get('description', '')}\n")
        parts.append(_table(definition))
    return "\n".join(parts).rstrip() + "\n"


def _table(definition: dict[str, Any]) -> str:
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    required = definition.get("required", [])
    for key, prop in definition.get("properties", {}).items():
        default = "required" if key in required else _default(prop)
        rows.append(f"| `{key}` | {_type(prop)} | {default} | {_text(prop.get('description', ''))} |")
    return "\n".join(rows) + "\n"


def _default(prop: dict[str, Any]) -> str:
    if "default" not in prop:
        return "" if "const" not in prop else f"`{prop['const']}`"
    value = prop["default"]
    if isinstance(value, dict):
        return "see its section"
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def _type(prop: dict[str, Any]) -> str:
    if "$ref" in prop:
        return _link(prop["$ref"])
    if "const" in prop:
        return f"`{prop['const']}`"
    if "enum" in prop:
        return " \\| ".join(f"`{value}`" for value in prop["enum"])
    if choices := prop.get("anyOf") or prop.get("oneOf"):
        return " \\| ".join(dict.fromkeys(_type(choice) for choice in choices))
    kind = prop.get("type", "any")
    names = ["fraction" if one == "string" and isinstance(kind, list) else one for one in _list(kind)]
    limits = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = " ".join(f"{sign} {prop[key]:g}" for key, sign in limits.items() if key in prop)
    if kind == "array":
        items = prop.get("items") or (prop.get("prefixItems") or [{}])[0]
        return f"list of {_type(items)}"
    if kind == "object" and isinstance(prop.get("additionalProperties"), dict):
        return f"mapping to {_type(prop['additionalProperties'])}"
    return " or ".join(names) + (f" {bounds}" if bounds else "")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _link(reference: str) -> str:
    name = reference.rsplit("/", 1)[-1]
    return f"[{name}](#{name.lower()})"


def _text(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def main() -> int:
    """Write or compare both files; return the exit status."""
    made = schema()
    wanted = {SCHEMA: json.dumps(made, indent=1, ensure_ascii=False) + "\n", PAGE: page(made)}
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv:
        for path in stale:
            sys.stderr.write(f"{path.relative_to(ROOT)} is out of step with the code: run `make reference`\n")
        return int(bool(stale))
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
