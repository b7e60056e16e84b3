"""Snakemake's own notes on what results were made from, held to the records that lie beside the results.

Snakemake decides what is stale from notes in ``.snakemake/``. Those are lost, or another folder's, where results are
copied, shared or put back without them; so they are made to say what the records say whenever a workflow starts, and
Snakemake goes on deciding alone.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snakemake.persistence import RECORD_FORMAT_VERSION, MetadataRecord, PersistenceBase
from snakemake.persistence.db import DbPersistence
from snakemake.persistence.file import FilePersistence

from shapelens.artefacts.files import sha256
from shapelens.records.made import Made, is_result, read_record, write_records
from shapelens.records.verify import ARRAYS, set_aside

UNKNOWN = "nothing is recorded of what it was made from"
CHANGED = "it was changed after it was made"
"""What is noted of a result, instead of its parameters: Snakemake prints it as the reason why it is made again."""


@dataclass
class Compared:
    """Results of which Snakemake had other notes, those that are not what their records say, and those without one."""

    corrected: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return what a user needs to know of it; nothing where nothing was found."""
        said = []
        if self.unknown:
            said.append(
                f"{_named(self.unknown)}: {UNKNOWN}, so it is made again where it is needed. If you know that it is "
                "what this config asks for, let it be taken as it is: the same command with --touch\n"
            )
        if self.changed:
            said.append(
                f"{_named(self.changed)}: {CHANGED}, or cut off, or is another run's. It is made again where it is "
                "needed; what is there now is kept beside it as NAME.damaged-1\n"
            )
        if self.corrected:
            said.append(
                f"{_named(self.corrected)}: .snakemake/ did not say what it was made from, or said otherwise; what its "
                "record beside it says counts\n"
            )
        return said


def notes_of(workflow: Any) -> PersistenceBase:
    """Return the notes that Snakemake will read: it opens its own only after the rules are read."""
    settings = workflow.workflow_settings
    if settings.persistence_backend.name == "DB":
        url = settings.persistence_backend_db_url
        return DbPersistence(nolock=True, **({"db_url": url} if url else {}))
    return FilePersistence(nolock=True)


def compare(results: Iterable[str], notes: PersistenceBase) -> Compared:
    """Let Snakemake's notes on those results that exist say what their records say.

    A result counts as made from something else, too, where one of its inputs has been made anew or replaced since, and
    where it is no longer what its record says; arrays are not read for that, but by the jobs that use them.
    """
    found, records = Compared(), {path: _record(path) for path in results if Path(path).is_file()}
    # Half-made by a run that was killed, or being made now: Snakemake knows, and makes them again by itself.
    unfinished = notes._filter_incomplete_keys(records)
    for path, made in records.items():
        if made is None and path in unfinished:
            continue
        note = _note_on(path, notes)
        if made is None:
            if note is None or note.params != [UNKNOWN]:
                notes._write_record(path, MetadataRecord(params=[UNKNOWN], record_format_version=RECORD_FORMAT_VERSION))
            found.unknown.append(path)
            continue
        changed = Path(path).suffix not in ARRAYS and sha256(path) != made.sha256[path]
        wanted = [CHANGED] if changed else [f"made from another {other}" for other in _replaced(made, records)]
        wanted = wanted or _params(made)
        if note is None or not _says(note, made, wanted):
            notes._write_record(path, _note(path, made, wanted))
            if not changed:
                found.corrected.append(path)
        if changed:
            found.changed.append(path)
    return found


def keep(changed: Iterable[str], jobs: Iterable[Any]) -> None:
    """Set those changed results aside that some jobs are about to make again: Snakemake would delete them."""
    coming = {str(path) for job in jobs for path in job.output}
    for path in changed:
        if path in coming:
            set_aside(Path(path), [path])


def accept(jobs: Iterable[Any]) -> None:
    """Record the results of jobs as made from what the config says now: after ``--touch``, which runs no job."""
    for job in jobs:
        paths = [str(path) for path in job.output if is_result(path)]
        if not paths or not all(Path(path).is_file() for path in [*paths, *filter(is_result, job.input)]):
            continue
        written = max(Path(path).stat().st_mtime for path in paths)
        write_records(_Touched(job), written, written)


class _Touched:
    """A job of Snakemake's graph with the names that a script's ``snakemake`` has."""

    def __init__(self, job: Any) -> None:
        self.rule = job.rule.name
        self.input, self.output, self.params, self.log = job.input, job.output, job.params, job.log


def _note_on(path: str, notes: PersistenceBase) -> MetadataRecord | None:
    """Return what Snakemake noted of a result; None where that is nothing that it could use."""
    try:
        return notes._read_record(path)
    except (ValueError, TypeError, AttributeError):
        return None


def _record(path: str) -> Made | None:
    """Return the record of a result; one that cannot be read, or is another's, says nothing."""
    try:
        made = read_record(path)
    except ValueError:
        return None
    return made if made is not None and path in made.outputs else None


def _replaced(made: Made, records: dict[str, Made | None]) -> list[str]:
    """Return the inputs of a result whose own records name other bytes than those that it was made from."""
    return [
        path
        for path in made.inputs
        if path in made.sha256 and (own := records.get(path)) is not None and own.sha256[path] != made.sha256[path]
    ]


def _says(note: MetadataRecord, made: Made, params: Sequence[str]) -> bool:
    """Tell whether Snakemake's note says what the record says, in all that decides what is stale."""
    sums = note.input_checksums or {}
    return (
        note.params == params
        and note.input == sorted(made.inputs)
        and all(_checksum(made, path) in (None, value) for path, value in sums.items())
        and note.record_format_version == RECORD_FORMAT_VERSION
    )


def _note(path: str, made: Made, params: list[str]) -> MetadataRecord:
    """Return what Snakemake would have noted."""
    return MetadataRecord(
        rule=made.rule,
        input=sorted(made.inputs),
        log=sorted(made.log),
        params=params,
        record_format_version=RECORD_FORMAT_VERSION,
        # Groups the files of a job in the report; Snakemake's own number differs from run to run.
        job_hash=int(hashlib.sha256("\0".join(made.outputs).encode()).hexdigest()[:15], 16),
        starttime=made.started,
        endtime=Path(path).stat().st_mtime,
        incomplete=False,
        input_checksums={path: value for path in made.inputs if (value := _checksum(made, path)) is not None},
    )


def _params(made: Made) -> list[str]:
    """Return a job's parameters as Snakemake notes and compares them."""
    return sorted(made.params.values())


def _checksum(made: Made, path: str) -> str | None:
    return f"sha256:{made.sha256[path]}" if path in made.sha256 else None


def _named(paths: list[str]) -> str:
    """Return one path, or the number of them with the first ones."""
    if len(paths) == 1:
        return paths[0]
    return f"{len(paths)} results ({', '.join(paths[:3])}{', …' if len(paths) > 3 else ''})"
