"""Fetching, from a small server on this machine: complete and checked, or nothing."""

import hashlib
import re
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from shapelens.datasets.fetch import fetch
from shapelens.datasets.sources import ALL_SOURCES, SOURCES
from shapelens.datasets.spec import Caltech256, Cifar10, TinyImageNet
from shapelens.errors import UserError

DATA = np.random.default_rng(0).bytes(3 * 2**20)
MD5 = hashlib.md5(DATA).hexdigest()
SHA = hashlib.sha256(DATA).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Behaves as the path says, and notes the ranges that it is asked for."""

    def do_GET(self):
        self.server.asked.append(self.headers.get("Range"))
        if self.server.failures:
            self.server.failures -= 1
            self.send_error(503)
            return
        if self.path == "/none":
            self.send_error(404)
            return
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "ftp://example.org/file")
            self.end_headers()
            return
        data = {"/page": b"\n<!DOCTYPE html><p>Log in", "/other": b"other"}.get(self.path, DATA)
        if self.path == "/busy" and self.server.pages:
            self.server.pages -= 1
            data = b"<html>Please wait"
        begin = int(self.headers["Range"][6:-1]) if self.headers.get("Range") and self.server.ranges else 0
        if begin and begin >= len(data):
            self.send_error(416)
            return
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - begin))
        self.send_header("ETag", '"one"')
        self.end_headers()
        if self.path == "/cut" and self.server.cuts:
            self.server.cuts -= 1
            data = data[: begin + 2**20]
        self.wfile.write(data[begin : begin + 2**20])
        time.sleep(self.server.slow)
        self.wfile.write(data[begin + 2**20 :])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.failures, server.cuts, server.ranges, server.pages = [], 0, 1, True, 2
    server.slow = 0.0
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def get(server, tmp_path):
    def call(path="/file", **options):
        url = f"http://127.0.0.1:{server.server_port}{path}"
        return fetch(url, tmp_path / "data.bin", pause=lambda seconds: None, timeout=5, **options)

    return call


@pytest.mark.parametrize("pin", [{"md5": MD5}, {"sha256": SHA.upper()}, {"md5": MD5, "sha256": SHA}])
def test_a_file_is_fetched_once(get, server, tmp_path, pin):
    assert get(**pin) == SHA
    assert get(**pin) == SHA
    assert len(server.asked) == 1
    assert (tmp_path / "data.bin").read_bytes() == DATA
    kept = {p.name for p in tmp_path.iterdir()}
    assert kept == {"data.bin"} | ({"data.bin.sha256"} if "sha256" not in pin else set())


def test_a_wrong_hash_leaves_nothing(get, tmp_path):
    with pytest.raises(UserError, match=r"its md5 is .* but .* was expected"):
        get("/other", md5=MD5)
    assert not list(tmp_path.iterdir())


def test_a_changed_local_file_is_named_and_kept(get, server, tmp_path):
    (tmp_path / "data.bin").write_bytes(b"mine")
    with pytest.raises(UserError, match=r"delete .*data\.bin to fetch it again"):
        get(md5=MD5)
    assert (tmp_path / "data.bin").read_bytes() == b"mine" and not server.asked


@pytest.mark.parametrize("ranges", [True, False])
def test_an_interrupted_download_goes_on(get, server, tmp_path, ranges):
    server.ranges = ranges
    assert get("/cut", sha256=SHA) == SHA
    assert server.asked == [None, f"bytes={2**20}-"]
    assert (tmp_path / "data.bin").read_bytes() == DATA


def test_a_later_call_goes_on_where_an_earlier_one_gave_up(get, server, tmp_path):
    with pytest.raises(UserError, match=r"in 1 attempts.*ended after 1,048,576 of 3,145,728 bytes"):
        get("/cut", md5=MD5, attempts=1)
    assert not (tmp_path / "data.bin").exists()
    assert get("/cut", md5=MD5) == SHA
    assert server.asked[-1] == f"bytes={2**20}-"


def test_two_processes_fetch_a_file_once(get, server, tmp_path):
    """A job of a killed Snakemake may still be fetching what the next run wants."""
    server.slow = 0.3
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda _: get(md5=MD5), range(2))) == [SHA, SHA]
    assert server.asked == [None]
    assert (tmp_path / "data.bin").read_bytes() == DATA
    assert {p.name for p in tmp_path.iterdir()} == {"data.bin", "data.bin.sha256"}


@pytest.mark.parametrize("left", [b"x" * 1000, b"x" * (4 * 2**20)])
def test_a_rest_of_another_version_is_dropped(get, tmp_path, left):
    (tmp_path / ".data.bin.part").write_bytes(left)
    assert get(md5=MD5) == SHA
    assert (tmp_path / "data.bin").read_bytes() == DATA


def test_faults_that_pass_are_tried_again(get, server):
    server.failures = 3
    assert get(md5=MD5) == SHA
    server.failures = 1
    with pytest.raises(UserError, match="503"):
        fetch(f"http://127.0.0.1:{server.server_port}/x", "/nonexistent/none", md5=MD5, attempts=1)


@pytest.mark.parametrize(("path", "text"), [("/none", "404"), ("/redirect", "'ftp' addresses")])
def test_lasting_faults_are_named_at_once(get, server, tmp_path, path, text):
    with pytest.raises(UserError, match=text):
        get(path, md5=MD5)
    assert len(server.asked) == 1 and not (tmp_path / "data.bin").exists()


def test_a_web_page_is_not_the_file_however_often_it_comes(get, server, tmp_path):
    with pytest.raises(UserError, match=r"in 4 attempts: the server answered with a web page.*download it by hand"):
        get("/page", md5=MD5)
    assert len(server.asked) == 4 and not (tmp_path / "data.bin").exists()
    assert get("/busy", md5=MD5) == SHA
    assert len(server.asked) == 7 and (tmp_path / "data.bin").read_bytes() == DATA


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://127.0.0.1:9/file", "plain http is refused"),
        ("file:///etc/passwd", "not fetched"),
        ("ftp://127.0.0.1/file", "not fetched"),
    ],
)
def test_addresses_without_proof_are_refused(tmp_path, url, text):
    with pytest.raises(UserError, match=text):
        fetch(url, tmp_path / "a")


def test_without_a_published_hash_the_first_one_is_recorded(server, tmp_path, monkeypatch, caplog):
    # The server here speaks http, so the last step is turned from https to it.
    def plain(request, timeout, trusted):
        request.full_url = request.full_url.replace("https:", "http:")
        return urllib.request.urlopen(request, timeout=timeout)

    monkeypatch.setattr("shapelens.datasets.fetch._open", plain)
    url = f"https://127.0.0.1:{server.server_port}"
    file = tmp_path / "data.bin"
    assert fetch(f"{url}/file", file) == SHA
    (warning,) = (record for record in caplog.records if record.levelname == "WARNING")
    assert SHA in warning.getMessage() and "no hash is published" in warning.getMessage()
    assert (tmp_path / "data.bin.sha256").read_text() == f"{SHA}  data.bin\n"
    file.unlink()
    with pytest.raises(UserError, match=f"{SHA} was expected"):
        fetch(f"{url}/other", file)
    assert not file.exists()
    server.cuts = 1
    assert fetch(f"{url}/cut", file, pause=lambda seconds: None) == SHA
    assert file.read_bytes() == DATA
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 1
    (tmp_path / "data.bin.sha256").write_text("")
    with pytest.raises(UserError, match=r"data\.bin\.sha256 holds no sha256: .* delete it"):
        fetch(f"{url}/file", file)


def test_every_dataset_with_an_official_source_has_one_with_a_hash():
    assert set(SOURCES) == {
        Cifar10(kind="cifar10").kind,
        TinyImageNet(kind="tinyimagenet").kind,
        Caltech256(kind="caltech256").kind,
    }
    for source in SOURCES.values():
        assert len(bytes.fromhex(source.md5)) == 16 and source.url.endswith(source.file)
    for source in ALL_SOURCES:
        assert source.sha256 is None or re.fullmatch("[0-9a-f]{64}", source.sha256)
        assert source.sha256 or source.md5


def test_beside_a_published_md5_the_first_sha256_is_recorded(get, tmp_path, caplog):
    """Bytes that were forged to the same md5 would pass without it."""
    record, file = tmp_path / "data.bin.sha256", tmp_path / "data.bin"
    assert get(md5=MD5) == SHA
    (warning,) = (record for record in caplog.records if record.levelname == "WARNING")
    assert "its md5 is as published" in warning.getMessage() and SHA in warning.getMessage()
    assert record.read_text() == f"{SHA}  data.bin\n"
    record.write_text(f"{'0' * 64}  data.bin\n")
    with pytest.raises(UserError, match=f"its sha256 is {SHA}, but {'0' * 64} was expected"):
        get(md5=MD5)
    file.unlink()
    with pytest.raises(UserError, match=f"{'0' * 64} was expected"):
        get(md5=MD5)
    assert not file.exists()
    # A published sha256 stands above a record of first use.
    assert get(md5=MD5, sha256=SHA) == SHA
