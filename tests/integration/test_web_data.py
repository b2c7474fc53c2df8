"""Downloads from a real server that fails in all the ways that servers do."""

import email.utils
import logging
import re
import socket
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from nowcast_cli import WorkerError, get_web_data
from nowcast_cli.worker.web_data import _pauses

CONTENT = bytes(range(256)) * 400


class Server(ThreadingHTTPServer):
    """Serves CONTENT; ``script`` names what goes wrong at each request, then all goes well."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script = []
        self.ranges = []
        self.content = CONTENT
        self.headers = {"ETag": '"v1"'}
        self.over = threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/file.grib2"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.ranges.append(self.headers.get("Range"))
        fault = server.script.pop(0) if server.script else None
        if isinstance(fault, int):
            self.send_error(fault)
            return
        if fault == "silent":
            server.over.wait(20)
            return
        if fault == "changed":
            server.content, server.headers = CONTENT[:1000], {"ETag": '"v2"'}
        start = self._start()
        body = server.content[start:]
        self.send_response(206 if start else 200)
        for name, value in server.headers.items():
            self.send_header(name, value)
        if start:
            size = len(server.content)
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if fault == "cut" else body)

    def _start(self):
        version = self.headers.get("If-Range")
        if version not in self.server.headers.values():
            return 0
        return int(re.fullmatch(r"bytes=(\d+)-", self.headers["Range"])[1])

    def log_message(self, *args):
        """Be quiet."""


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


def fetch(server, filepath=None, **options):
    options = {"wait_retry_max": 0.01, "wait_exponential_max": 0.05, "timeout": 5} | options
    return get_web_data(server.url, "toy", filepath, **options)


def test_without_a_path_the_content_is_returned(server):
    assert fetch(server) == CONTENT


def test_with_a_path_the_content_is_in_the_file(server, tmp_path):
    assert fetch(server, tmp_path / "file.grib2") is None
    assert (tmp_path / "file.grib2").read_bytes() == CONTENT
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.grib2"]


@pytest.mark.parametrize("fault", [404, 500, 503])
def test_an_error_of_the_server_is_tried_again(server, tmp_path, fault):
    server.script = [fault, fault]
    fetch(server, tmp_path / "file.grib2")

    assert (tmp_path / "file.grib2").read_bytes() == CONTENT
    assert len(server.ranges) == 3


@pytest.mark.parametrize("headers", [{"ETag": '"v1"'}, {"Last-Modified": email.utils.formatdate()}])
@pytest.mark.parametrize("to_file", [True, False])
def test_a_download_that_breaks_off_goes_on_where_it_broke_off(server, tmp_path, headers, to_file):
    server.script, server.headers = ["cut", "cut"], headers
    path = tmp_path / "file.grib2"
    content = fetch(server, path if to_file else None)

    assert (path.read_bytes() if to_file else content) == CONTENT
    half = len(CONTENT) // 2
    assert server.ranges == [None, f"bytes={half}-", f"bytes={half + half // 2}-"]


@pytest.mark.parametrize("headers", [{}, {"ETag": 'W/"v1"'}])
def test_a_file_whose_version_cannot_be_told_is_downloaded_anew(server, headers):
    server.script, server.headers = ["cut"], headers

    assert fetch(server) == CONTENT
    assert server.ranges == [None, None]


def test_a_file_that_has_become_another_meanwhile_is_downloaded_anew(server):
    server.script = ["cut", "changed"]

    assert fetch(server) == CONTENT[:1000]


def test_a_range_that_the_server_refuses_is_given_up(server):
    server.script = ["cut", 416]

    assert fetch(server) == CONTENT
    assert server.ranges[-1] is None


def test_an_outage_in_between_loses_nothing_of_what_has_come(server):
    server.script = ["cut", 503]

    assert fetch(server) == CONTENT
    assert server.ranges[-1] == f"bytes={len(CONTENT) // 2}-"


def test_a_silent_server_is_given_up_in_time(server):
    server.script = ["silent"] * 2
    began = time.monotonic()

    with pytest.raises(WorkerError, match="could not be downloaded in 2 attempts"):
        fetch(server, timeout=0.2, wait_exponential_max=0.015)
    assert time.monotonic() - began < 5


def test_giving_up_leaves_the_old_file_and_no_other(server, tmp_path, caplog):
    path = tmp_path / "file.grib2"
    path.write_text("of yesterday")
    server.script = ["cut"] * 100
    caplog.set_level(logging.DEBUG, "toy")

    with pytest.raises(WorkerError, match="in 6 attempts") as caught:
        fetch(server, path)
    assert "it ended after" in caught.value.cause
    assert path.read_text() == "of yesterday"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.grib2"]
    assert "waiting 0.01 seconds until retry 5" in caplog.text
    assert f"giving up; download from {server.url} failed 6 times" in caplog.text


def test_nobody_at_the_address_is_an_error_that_names_it():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        with pytest.raises(WorkerError, match=re.escape(url)):
            get_web_data(url, "toy", wait_exponential_max=0)


def test_a_folder_that_is_not_there_is_told_at_once_and_not_tried_again(server, tmp_path):
    with pytest.raises(WorkerError, match=r"none/file could not be written"):
        fetch(server, tmp_path / "none" / "file")
    assert server.ranges == []


def test_what_is_no_url_is_not_tried_again():
    with pytest.raises(ValueError, match="unknown url type"):
        get_web_data("no-url", "toy")


class Response:
    """What a session of requests gives, over the standard library."""

    def __init__(self, session, answer):
        self._session = session
        self._answer = answer
        self.status_code, self.reason, self.headers = answer.status, answer.reason, answer.headers

    def iter_content(self, chunk_size):
        while chunk := self._answer.read1(chunk_size):
            yield chunk

    def close(self):
        self._session.closed += 1
        self._answer.close()


class Session:
    def __init__(self):
        self.calls = []
        self.closed = 0

    def get(self, url, *, stream, timeout, headers):
        self.calls.append((url, stream, timeout))
        opener = urllib.request.build_opener(PassErrorsOn)
        request = urllib.request.Request(url, headers=headers)
        return Response(self, opener.open(request, timeout=timeout))


class PassErrorsOn(urllib.request.HTTPErrorProcessor):
    def http_response(self, request, response):
        return response


def test_a_session_that_is_given_is_used_resumed_and_closed(server, tmp_path):
    server.script = [503, "cut"]
    session = Session()
    fetch(server, tmp_path / "file.grib2", session=session)

    assert (tmp_path / "file.grib2").read_bytes() == CONTENT
    assert session.calls == [(server.url, True, 5)] * 3
    assert session.closed == 3
    assert server.ranges == [None, None, f"bytes={len(CONTENT) // 2}-"]


def test_the_waits_double_up_to_their_limit_until_an_hour_has_passed():
    pauses = list(_pauses(2, 256, 3600))

    assert pauses[:9] == [2, 4, 8, 16, 32, 64, 128, 256, 256]
    assert 3600 - 256 < sum(pauses) <= 3600


def test_two_processes_do_not_share_a_half_file(server, tmp_path, monkeypatch):
    names = []
    whole = Path.open

    def watched(self, *args, **kwargs):
        names.append(self.name)
        return whole(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", watched)
    for process in (1, 2):
        monkeypatch.setattr("os.getpid", lambda process=process: process)
        fetch(server, tmp_path / "file.grib2")

    assert names == [".file.grib2.1.part", ".file.grib2.2.part"]
