"""The run as a Workflow Run RO-Crate: what went in, what came out with sha256, and with which software.

Written by the rules of RO-Crate 1.1 (https://w3id.org/ro/crate/1.1), Workflow RO-Crate 1.0 and Workflow Run Crate 0.5
(https://w3id.org/ro/wfrun/workflow/0.5). ``tools/verify.py`` checks a tree against it.
"""

import hashlib
import logging
import os
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from shapelens import __version__
from shapelens.artefacts.files import sha256

logger = logging.getLogger("shapelens")

Entity = dict[str, Any]

CRATE = "ro-crate-metadata.json"
WORKFLOW = "Snakefile"
CONFIG = "config.json"
OF_THE_RUN = (CONFIG, "provenance.json", "report.html", "report.zip", WORKFLOW)
"""Files at the top of the results that belong to every run."""
WORK = ("logs", "benchmarks")
"""Folders that say how a run went; at the top, and in each study's folder. The crate leaves them out."""

ROOT = "./"
SPECIFICATION = "https://w3id.org/ro/crate/1.1"
CONTEXT = [f"{SPECIFICATION}/context", "https://w3id.org/ro/terms/workflow-run/context"]
WORKFLOW_CRATE = ("https://w3id.org/workflowhub/workflow-ro-crate/1.0", "Workflow RO-Crate", "1.0")
PROFILES = (
    ("https://w3id.org/ro/wfrun/process/0.5", "Process Run Crate", "0.5"),
    ("https://w3id.org/ro/wfrun/workflow/0.5", "Workflow Run Crate", "0.5"),
    WORKFLOW_CRATE,
)
SNAKEMAKE = "https://w3id.org/workflowhub/workflow-ro-crate#snakemake"
MIT = "https://spdx.org/licenses/MIT"
NO_LICENCE = "#licence"

# Of the files that the workflow writes.
MEDIA_TYPES = {
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".md": "text/markdown",
    ".npy": "application/x-npy",
    ".npz": "application/zip",
    ".parquet": "application/vnd.apache.parquet",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".safetensors": "application/octet-stream",
    ".tex": "application/x-tex",
    ".zip": "application/zip",
}


def files_of_the_run(results: Path, asked: Collection[str]) -> list[str]:
    """Return the files below the results that belong to a run, as paths relative to them; warn of others.

    ``asked``: those of the studies, as such paths. Files of other studies are no matter of this run; a file in one of
    its own studies' folders that is not asked for, as an earlier config left it, is named in the log.
    """
    studies = sorted({path.partition("/")[0] for path in asked})
    inside = sorted(path for study in studies for path in _inside(results, study))
    left = [path for path in inside if path not in asked]
    if left:
        logger.warning(
            "%d files in the studies' folders are no part of this run, as an earlier config leaves them; %s does not "
            "name them: %s",
            len(left),
            CRATE,
            ", ".join(left[:5]) + (" …" if len(left) > 5 else ""),
        )
    return [name for name in OF_THE_RUN if (results / name).is_file()] + [path for path in inside if path not in left]


def _inside(results: Path, study: str) -> Iterator[str]:
    """Yield the files of a study's folder but its logs and times, and what a job is still writing.

    Links to folders are followed, each folder once: they may lead back to one above.
    """
    seen = set()
    for folder, folders, files in os.walk(results / study, followlinks=True):
        inside, stat = Path(folder).relative_to(results), Path(folder).stat()
        if inside.parts[1:2] in {(work,) for work in WORK} or (stat.st_dev, stat.st_ino) in seen:
            folders.clear()
            continue
        seen.add((stat.st_dev, stat.st_ino))
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from ((inside / name).as_posix() for name in files if not name.startswith("."))


def crate(
    results: Path, files: Sequence[str], record: Mapping[str, Any], recorded: Mapping[str, str], now: datetime
) -> Entity:
    """Return the crate of a run as JSON-LD.

    Args:
        results: the folder that becomes the crate's root.
        files: paths below it; ``Snakefile`` and ``config.json`` must be among them.
        record: what ``provenance.run_record`` returned: packages, commit, platform, and the record of each artefact.
        recorded: path → sha256 of the run's files that records name; those that this job does not see, as under a
            storage provider, are described by that.
        now: when the crate is written.
    """
    described = [_file(results, path) for path in files]
    described += [_absent(path, known) for path, known in recorded.items() if path not in files]
    sources = sources_of(record["artefacts"])
    software = [_software(name, version) for name, version in record["packages"].items()]
    hashes = "\n".join(f"{entity['sha256']} {entity['@id']}" for entity in described)
    action = f"urn:uuid:{uuid.UUID(bytes=hashlib.sha256(hashes.encode()).digest()[:16], version=4)}"
    studies = sorted({path.partition("/")[0] for path in files if "/" in path})
    made = [entity for entity in described if entity["@id"] not in {WORKFLOW, CONFIG}]
    in_crate = [*described, *(source for source in sources if "File" in source["@type"])]
    root: Entity = {
        "@id": ROOT,
        "@type": "Dataset",
        "name": f"Results of Shapelens: {', '.join(studies)}",
        "description": "What trained image classifiers look at, shape or texture: models, measurements, tables, "
        "figures and claims of one run of the Shapelens workflow, with the config that it was run with.",
        "datePublished": now.astimezone(UTC).isoformat(timespec="seconds"),
        "license": _to(NO_LICENCE),
        "conformsTo": [_to(profile) for profile, *_ in PROFILES],
        "hasPart": [_to(entity) for entity in in_crate],
        "mainEntity": _to(WORKFLOW),
        "mentions": _to(action),
    }
    run: Entity = {
        "@id": action,
        "@type": "CreateAction",
        "name": f"Run of Shapelens on {', '.join(studies)}",
        "description": _how(record),
        "instrument": _to(WORKFLOW),
        "object": [_to(entity) for entity in ({"@id": CONFIG}, *sources)],
        "result": [_to(entity) for entity in made],
        "endTime": max(entity["dateModified"] for entity in made if "dateModified" in entity),
    }
    described[files.index(WORKFLOW)] |= _workflow(record, software)
    graph = [_descriptor(), root, *_profiles(), _no_licence(), _mit(), _language(record), run]
    return {"@context": CONTEXT, "@graph": [*graph, *software, *sources, *described]}


def _to(entity: Entity | str) -> Entity:
    return {"@id": entity if isinstance(entity, str) else entity["@id"]}


def _descriptor() -> Entity:
    conforms = [_to(SPECIFICATION), _to(WORKFLOW_CRATE[0])]
    return {"@id": CRATE, "@type": "CreativeWork", "about": _to(ROOT), "conformsTo": conforms}


def _profiles() -> list[Entity]:
    return [{"@id": at, "@type": "CreativeWork", "name": name, "version": version} for at, name, version in PROFILES]


def _no_licence() -> Entity:
    return {
        "@id": NO_LICENCE,
        "@type": "CreativeWork",
        "name": "No licence is stated",
        "description": "Whoever made these results has stated no licence for them yet. The workflow's own is MIT.",
    }


def _mit() -> Entity:
    return {"@id": MIT, "@type": "CreativeWork", "name": "MIT License", "identifier": MIT}


def _language(record: Mapping[str, Any]) -> Entity:
    language = {
        "@id": SNAKEMAKE,
        "@type": "ComputerLanguage",
        "name": "Snakemake",
        "url": "https://snakemake.github.io",
    }
    version = record["packages"].get("snakemake")
    return {**language, "identifier": _to("https://doi.org/10.1093/bioinformatics/bts480")} | (
        {"version": version} if version else {}
    )


def _file(results: Path, path: str) -> Entity:
    """Describe a file of the crate; its name is written as a URI."""
    stat = (results / path).stat()
    return {
        "@id": quote(path),
        "@type": "File",
        "name": path,
        "contentSize": str(stat.st_size),
        "encodingFormat": MEDIA_TYPES.get(Path(path).suffix, "text/plain"),
        "dateModified": datetime.fromtimestamp(stat.st_mtime, UTC).isoformat(timespec="seconds"),
        "sha256": sha256(results / path),
    }


def _absent(path: str, known: str) -> Entity:
    """Describe a file that another job made and this one does not see."""
    media = MEDIA_TYPES.get(Path(path).suffix, "text/plain")
    return {"@id": quote(path), "@type": "File", "name": path, "encodingFormat": media, "sha256": known}


def hashes_in(artefacts: Mapping[str, Any], asked: Collection[str]) -> dict[str, str]:
    """Return path → sha256 of the arrays, rows and weights of a run that the records beside them name."""
    found: dict[str, str] = {}
    for path, record in artefacts.items():
        folder = path.rpartition("/")[0]
        if path not in asked or not isinstance(record, dict):
            continue
        splits = record.get("splits")
        named = {"": record, **(splits if isinstance(splits, dict) else {})}
        for split, entry in named.items():
            hashes = entry.get("sha256") if isinstance(entry, dict) else None
            if isinstance(hashes, dict):
                found |= {"/".join(filter(None, (folder, split, name))): known for name, known in hashes.items()}
        if "weights_sha256" in record:
            found[f"{folder}/model.safetensors"] = record["weights_sha256"]
        if isinstance(snapshots := record.get("snapshots"), dict) and "sha256" in snapshots:
            found[f"{folder}/snapshots.safetensors"] = snapshots["sha256"]
    return found


def _workflow(record: Mapping[str, Any], software: Collection[Entity]) -> Entity:
    """Return what the workflow's file is besides a file."""
    return {
        "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
        "name": "Shapelens",
        "version": __version__,
        "description": "The workflow's main file, from which the rules of its checkout are included. " + _how(record),
        "programmingLanguage": _to(SNAKEMAKE),
        "license": _to(MIT),
        "softwareRequirements": [_to(entity) for entity in software],
    }


def _software(name: str, version: str) -> Entity:
    """Describe Python or an installed package."""
    at = "https://www.python.org/" if name == "python" else f"pkg:pypi/{name}@{version}"
    return {"@id": at, "@type": "SoftwareApplication", "name": name, "softwareVersion": version}


def _how(record: Mapping[str, Any]) -> str:
    """Return commit and platform in words."""
    git = record["git"]
    commit = f"Commit {git['commit']}{', with changes of its own' if git['changed'] else ''}" if git else "No commit"
    return f"{commit}; {record['platform']}, {record['processor_count']} processors."


def sources_of(artefacts: Mapping[str, Any]) -> list[Entity]:
    """Return what came from outside, as the records of datasets, own test sets, styles and models name it.

    An official file is a part of the crate by its address. What the user brought is named and, where it is one file,
    has its sha256; of a folder, index.csv in the tree names what was read.
    """
    found: dict[str, Entity] = {}
    for path, record in artefacts.items():
        source = record.get("source") if isinstance(record, dict) else None
        if isinstance(source, dict) and source.get("kind") in {"official", "archive", "folder"}:
            folder = path.rpartition("/")[0]
            entity = _source(folder, source)
            found.setdefault(entity["@id"], entity)
        finished = record.get("spec", {}).get("finished") if isinstance(record, dict) else None
        if isinstance(finished, dict) and path.endswith("/spec.json"):
            found.setdefault(f"#{quote(path)}", _finished(path, finished))
    return list(found.values())


def _source(folder: str, source: Mapping[str, Any]) -> Entity:
    known = {"sha256": source["sha256"]} if "sha256" in source else {}
    if source["kind"] == "official":
        return {"@id": source["url"], "@type": "File", "name": source["title"], **known}
    about = f"The {source['kind']} that {folder}/ was read from; it is no part of this tree"
    return {
        "@id": f"#{quote(folder)}-source",
        "@type": "CreativeWork",
        "name": source["name"],
        "description": about,
        **known,
    }


def _finished(path: str, finished: Mapping[str, Any]) -> Entity:
    about = f"Weights from elsewhere, converted into {path.rpartition('/')[0]}/model.safetensors"
    return {
        "@id": f"#{quote(path)}",
        "@type": "CreativeWork",
        "name": Path(finished["weights"]).name,
        "description": about,
    }
