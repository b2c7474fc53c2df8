"""What rsync is called with, and what its failures mean."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nowcast_cli.config.remote_hosts import RemoteHost
from nowcast_cli.executors import rsync
from nowcast_cli.executors.rsync import bytes_in, failure, pull, push

EAST = RemoteHost("east", None, "python", "nowcast.yaml", "~/.cache/nowcast", (), False)
CONTROL = Path("/run/nowcast/s1")

words = st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), min_size=1)


@settings(max_examples=20, deadline=None)
@given(st.lists(words, min_size=1, max_size=5))
def test_rsync_itself_reads_the_words_of_ssh_as_they_were_meant(given_words: list[str]) -> None:
    """It splits them by rules of its own; a stand-in for ssh says what it was given."""
    tell = [sys.executable, "-S", "-c", "import sys; sys.stderr.write(repr(sys.argv[1:]))"]
    told = subprocess.run(
        ["rsync", f"--rsh={rsync._quoted([*tell, *given_words])}", "east:.", "/nowhere/"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert told.stderr.startswith(repr(given_words)[:-1])


@pytest.mark.parametrize(
    ("name", "source"), [("east", "east:."), ("me@east", "me@east:."), ("::1", "[::1]:.")]
)
def test_the_host_is_named_so_that_rsync_takes_it_for_one(name: str, source: str) -> None:
    host = RemoteHost(name, None, "python", "nowcast.yaml", "~", ())
    assert pull(host, CONTROL, "/jobs/1", Path("/here"), again=False)[-2:] == [source, "/here/"]
    assert push(host, CONTROL, Path("/out"), "/jobs/1", again=False)[-2:] == ["/out/", source]


def test_what_holds_the_same_is_not_taken_for_the_same_by_its_time_alone() -> None:
    once, again = (push(EAST, CONTROL, Path("/out"), "/x", again=each) for each in (False, True))
    assert set(again) - set(once) == {"--ignore-times"}


@pytest.mark.parametrize(
    ("printed", "count"),
    [
        (b"\r          32768   0%    0.00kB/s    0:00:00  ", 32768),
        (b"\r  1000  7%  1MB/s 0:00:13 \r   2000  14%   1MB/s    0:00:12  ", 2000),
        (b"\r     80000000 100%   90MB/s    0:00:00 (xfr#1, to-chk=0/2)\n", 80_000_000),
        (b"Welcome!\n", None),
    ],
)
def test_how_far_it_has_come_is_read_from_what_it_prints(printed: bytes, count: int | None) -> None:
    assert bytes_in(printed) == count


FULL = """\
rsync: [receiver] write failed on "/home/me/jobs/a": No space left on device (28)
rsync error: error in file IO (code 11) at receiver.c(381) [receiver=3.2.7]
"""
CUT = """\
client_loop: send disconnect: Broken pipe
rsync: [sender] write error: Broken pipe (32)
rsync error: unexplained error (code 255) at io.c(848) [sender=3.2.7]
"""
REFUSED = """\
ssh: connect to host east port 22: Connection refused
rsync: connection unexpectedly closed (0 bytes received so far) [sender]
rsync error: unexplained error (code 255) at io.c(232) [sender=3.2.7]
"""
CLOSED = "rsync: connection unexpectedly closed (0 bytes received so far) [sender]\n"
UNREADABLE = """\
rsync: [sender] send_files failed to open "/data/tide.nc": Permission denied (13)
rsync error: some files/attrs were not transferred (see previous errors) (code 23)
"""
SILENT = "[sender] io timeout after 60 seconds -- exiting\nrsync error: timeout (code 30)\n"


@pytest.mark.parametrize(
    ("code", "stderr", "kind", "words"),
    [
        (11, FULL, "full", '[receiver] write failed on "/home/me/jobs/a": No space left on dev'),
        (255, CUT, "away", "host east cannot be reached by ssh: client_loop: send disconnect"),
        (255, REFUSED, "away", "host east cannot be reached by ssh: ssh: connect to host east"),
        (12, CLOSED, "away", "host east cannot be reached by ssh: connection unexpectedly closed"),
        (30, SILENT, "away", "host east was silent for 60 seconds"),
        (23, UNREADABLE, "source", '[sender] send_files failed to open "/data/tide.nc": Permiss'),
        (1, "", "else", "rsync ended with code 1"),
    ],
)
def test_a_failure_is_told_in_a_sentence(code: int, stderr: str, kind: str, words: str) -> None:
    found = failure(EAST, code, stderr)
    assert found.kind == kind
    assert found.sentence.startswith(words)
