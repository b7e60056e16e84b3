"""Fetching official archives: each is complete and checked, or not there at all."""

import fcntl
import hashlib
import logging
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Any

from shapelens.artefacts.files import rebuild, write_text
from shapelens.artefacts.writing import refusal
from shapelens.errors import UserError

logger = logging.getLogger("shapelens")

CHUNK = 2**20
AGENT = "shapelens"
# Busy servers and networks that ask for a login also send one, with status 200.
WEB_PAGE = "the server answered with a web page instead of the file"


class _TransientError(Exception):
    """A fault of the network or the server that may pass."""


def fetch(
    url: str,
    destination: str | Path,
    *,
    md5: str | None = None,
    sha256: str | None = None,
    attempts: int = 4,
    timeout: float = 60,
    pause: Callable[[float], None] = time.sleep,
) -> str:
    """Download a file unless it is there already, and return its sha256 in hex.

    The file gets its name only after its hash was checked. An interrupted download goes on where it stopped, in the
    next attempt or, where a hash is given, in the next call. Where no sha256 is given, that of the first download is
    kept beside the file (``.sha256``), and whatever lies there later must match it as well.

    Args:
        url: https, or http with a hash.
        destination: the file.
        md5: published hash, in hex.
        sha256: published hash, in hex.
        attempts: how often the network is tried.
        timeout: seconds without an answer after which an attempt ends.
        pause: waits between attempts, given seconds.

    Raises:
        UserError: if the address is not allowed, the server refuses, answers with a web page or cannot be reached, or
            the hash differs.
    """
    destination = Path(destination)
    given = {kind: value.lower() for kind, value in (("md5", md5), ("sha256", sha256)) if value is not None}
    record = _record(destination)
    _refuse_address(url, trusted=bool(given) or record.exists())
    with _alone(destination.with_name(f".{destination.name}.lock")):
        expected = _with_recorded(given, destination)
        if destination.exists():
            found = _hashes(destination)
            _compare(destination, found, expected, f"delete {destination} to fetch it again from {url}")
        else:
            part = destination.with_name(f".{destination.name}.part")
            if not expected:
                part.unlink(missing_ok=True)
            found = _Transfer(url, part, expected, timeout).run(attempts, pause)
            part.replace(destination)
        if "sha256" not in expected:
            _record_first(record, destination.name, found["sha256"], has_md5=md5 is not None)
    return found["sha256"]


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Be the only process in the block, waiting for another: a job of a killed Snakemake may fetch the same file."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with open(lock, "w") as file:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(file, fcntl.LOCK_EX)
            if not _is_open(lock, file):
                continue  # the process before removed it when it was done
            try:
                yield
            finally:
                lock.unlink(missing_ok=True)
            return


def _is_open(path: Path, file: IO[str]) -> bool:
    """Tell whether an open file is the one of that name."""
    with suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    return False


def check_fetched(path: str | Path, md5: str | None, sha256: str | None) -> None:
    """Raise UserError unless a fetched file is still what was fetched, by the published hashes and the recorded one."""
    path = Path(path)
    given = {kind: value.lower() for kind, value in (("md5", md5), ("sha256", sha256)) if value is not None}
    if expected := _with_recorded(given, path):
        _compare(path, _hashes(path), expected, f"it was changed or cut off after it was fetched. {rebuild(path)}")


def _record(path: Path) -> Path:
    """Return where the first download's sha256 is kept."""
    return path.with_name(path.name + ".sha256")


def _record_first(record: Path, name: str, sha256: str, *, has_md5: bool) -> None:
    """Keep the sha256 of a first download, and tell the user that it is all the proof there is."""
    write_text(record, f"{sha256}  {name}\n")
    proof = "no hash is published for it, so nothing shows that these are the right bytes"
    if has_md5:
        proof = "its md5 is as published, but no sha256 is, and md5 can be forged"
    logger.warning(
        "%s: %s. The sha256 of this download, %s, is recorded in %s, and later downloads must match it; compare it "
        "with another copy if you can",
        name,
        proof,
        sha256,
        record,
    )


def _with_recorded(given: dict[str, str], path: Path) -> dict[str, str]:
    """Return the published hashes of a file and, where no sha256 is among them, the one that was recorded."""
    record = _record(path)
    return given if "sha256" in given or not record.exists() else {**given, "sha256": _recorded(record)}


def _recorded(record: Path) -> str:
    """Return the hash that the first download left."""
    words = record.read_bytes().decode(errors="replace").split()
    if not words or not re.fullmatch(r"[0-9a-f]{64}", words[0]):
        raise UserError(f"{record} holds no sha256: it was cut off or changed; delete it and the file beside it")
    return words[0]


def _refuse_address(url: str, *, trusted: bool) -> None:
    scheme = url.partition(":")[0].lower()
    if scheme == "https" or (scheme == "http" and trusted):
        return
    if scheme == "http":
        raise UserError(f"{url}: plain http is refused without a known hash; use https or give an md5 or sha256")
    raise UserError(f"{url}: {scheme!r} addresses are not fetched; allowed: https, and http with a known hash")


@dataclass
class _Transfer:
    """A download that goes on where the last attempt stopped."""

    url: str
    part: Path
    expected: dict[str, str]
    timeout: float
    version: str | None = None
    """The server's name for this version of the file."""

    def run(self, attempts: int, pause: Callable[[float], None]) -> dict[str, str]:
        """Download until the file is complete and matches; returns its hashes."""
        left_by_earlier_call = self.part.exists()
        for attempt in range(attempts):
            last = attempt + 1 == attempts
            try:
                self.attempt()
            except _TransientError as error:
                if last:
                    raise UserError(
                        f"{self.url} could not be fetched in {attempts} attempts: {error}. Try again later, or "
                        "download it by hand and set dataset.path to the file"
                    ) from error
                logger.info("%s: %s; trying again", self.url, error)
                pause(2.0**attempt)
                continue
            found = _hashes(self.part)
            if any(found[kind] != value for kind, value in self.expected.items()):
                self.part.unlink()
                # The part that an earlier call left may be of another version of the file.
                if left_by_earlier_call and not last:
                    left_by_earlier_call = False
                    continue
                _compare(self.url, found, self.expected, "the file was changed or damaged on its way; nothing was kept")
            return found
        raise ValueError(f"attempts must be at least 1, not {attempts}")

    def attempt(self) -> None:
        """Fetch what is missing; raises _TransientError for faults that may pass."""
        start = self.part.stat().st_size if self.part.exists() else 0
        if start and not self.expected and self.version is None:
            start = 0  # without a hash or a version nobody would notice that the two parts do not belong together
        request = urllib.request.Request(self.url, headers={"User-Agent": AGENT, "Accept-Encoding": "identity"})
        if start:
            request.add_header("Range", f"bytes={start}-")
            if self.version:
                request.add_header("If-Range", self.version)
        try:
            with _open(request, self.timeout, trusted=bool(self.expected)) as answer:
                if answer.headers.get_content_type() == "text/html":
                    raise _TransientError(WEB_PAGE)
                tag = answer.headers.get("ETag")
                # Weak ETags do not promise equal bytes.
                self.version = None if tag is None or tag.startswith("W/") else tag
                begin, total = _extent(answer.status, answer.headers)
                if begin not in {0, start}:
                    raise _TransientError(f"the server sent bytes from {begin}, not from {start}")
                _copy(self.url, answer, self.part, begin, total)
        except urllib.error.HTTPError as error:
            if error.code == 416:
                self.part.unlink(missing_ok=True)
                raise _TransientError("the server has no such part of the file") from error
            if error.code in {408, 425, 429} or error.code >= 500:
                raise _TransientError(f"the server answered {error.code} {error.reason}") from error
            raise UserError(
                f"{self.url}: the server answered {error.code} {error.reason}; download the file by hand and set "
                "dataset.path to it"
            ) from error
        except (OSError, HTTPException) as error:
            if text := refusal(error, self.part):
                raise UserError(text) from error
            raise _TransientError(str(error) or type(error).__name__) from error


def _extent(status: int, headers: HTTPMessage) -> tuple[int, int | None]:
    """Return where the answer begins, and the size of the whole file if it is stated."""
    if status == 206:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("Content-Range", "").strip())
        if match is None:
            raise _TransientError("the server sent a part of the file without saying which")
        return int(match[1]), None if match[2] == "*" else int(match[2])
    length = headers.get("Content-Length")
    return 0, int(length) if length and length.isdigit() else None


def _copy(url: str, answer: IO[bytes], part: Path, begin: int, total: int | None) -> None:
    with open(part, "ab") as file:
        file.truncate(begin)
        done, told = begin, time.monotonic()
        while chunk := answer.read(CHUNK):
            if done == 0 and chunk.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
                file.truncate(0)
                raise _TransientError(WEB_PAGE)
            file.write(chunk)
            done += len(chunk)
            if time.monotonic() - told > 10:
                told = time.monotonic()
                logger.info("%s: %d of %s MB", url, done // 10**6, "?" if total is None else total // 10**6)
    if total is not None and done < total:
        raise _TransientError(f"the connection ended after {done:,} of {total:,} bytes")
    if total is not None and done > total:
        part.unlink()
        raise _TransientError(f"{done:,} bytes came where {total:,} were announced")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirections only to addresses that would be allowed at first."""

    def __init__(self, trusted: bool) -> None:
        self.trusted = trusted

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        _refuse_address(newurl, trusted=self.trusted)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(request: urllib.request.Request, timeout: float, trusted: bool) -> Any:
    return urllib.request.build_opener(_Redirects(trusted)).open(request, timeout=timeout)


def _hashes(path: Path) -> dict[str, str]:
    md5, sha = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            md5.update(chunk)
            sha.update(chunk)
    return {"md5": md5.hexdigest(), "sha256": sha.hexdigest()}


def _compare(what: str | Path, found: dict[str, str], expected: dict[str, str], remedy: str) -> None:
    for kind, value in expected.items():
        if found[kind] != value:
            raise UserError(f"{what}: its {kind} is {found[kind]}, but {value} was expected; {remedy}")
