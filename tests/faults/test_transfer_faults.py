"""Files of jobs on their way to another host and back, while all kinds of things go wrong.

A file is over there, or here, whole and the same; else it is said why not. What was cut off goes
on from where it was.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from apart_host import Carrier
from executor_helpers import children_of
from helpers import wait_until
from nowcast_cli.executors import file_transfer
from nowcast_cli.executors.file_transfer import Way, fetch, send
from nowcast_cli.executors.job_folder import JobRequest
from nowcast_cli.executors.transfer_note import read_note

pytestmark = pytest.mark.ssh

MEGABYTE = 1_000_000


def write(path: Path, size: int) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = os.urandom(size)
    path.write_bytes(content)
    return content


def begin_to_send(carrier: Carrier, size: int) -> tuple[JobRequest, bytes]:
    """Begin to send ``forcing.nc``; returns when a part of it is on its way."""
    content = write(carrier.here / "forcing.nc", size)
    job = carrier.job()
    inputs = {"forcing.nc": carrier.here / "forcing.nc"}
    carrier.move(job, lambda way: send(way, job, inputs))
    wait_until(lambda: has_come(job, size // 5), timeout=30, what="a part of the file")
    return job, content


def begin_to_fetch(carrier: Carrier, size: int) -> tuple[JobRequest, bytes]:
    """Begin to fetch ``forecast.nc``; returns when a part of it is on its way."""
    job = carrier.job()
    content = write(carrier.there(job) / "scratch" / "forecast.nc", size)
    carrier.move(job, lambda way: fetch(way, job, ["forecast.nc"]))
    wait_until(lambda: has_come(job, size // 5), timeout=30, what="a part of the file")
    return job, content


def has_come(job: JobRequest, count: int) -> bool:
    note = read_note(Path(job.folder))
    return note is not None and note.came >= count


def sent(carrier: Carrier, job: JobRequest) -> Path:
    return carrier.there(job) / "incoming" / "forcing.nc"


def fetched(job: JobRequest) -> Path:
    return Path(job.folder, "scratch", "forecast.nc")


def partial(file: Path) -> Callable[[], bool]:
    part = file.parent / ".partial" / file.name
    return lambda: part.exists() and part.stat().st_size > 0


def test_what_is_cut_off_on_the_way_there_goes_on_from_where_it_was(carrier, slow_line):
    line = slow_line(5_000)
    job, content = begin_to_send(carrier, 10 * MEGABYTE)
    carrier.apart.sshd.stop()
    wait_until(partial(sent(carrier, job)), what="the part that has come to be kept")
    assert not sent(carrier, job).exists()
    wait_until(carrier.transfers.trouble, what="the trouble to be told")
    assert "host east cannot be reached by ssh" in carrier.transfers.trouble()
    carrier.apart.sshd.start()
    assert carrier.wait(job) is None
    assert sent(carrier, job).read_bytes() == content
    assert line.moved() < 9 * MEGABYTE
    assert carrier.transfers.trouble() is None


def test_what_is_cut_off_on_the_way_back_goes_on_from_where_it_was(carrier, slow_line):
    slow_line(5_000)
    job, content = begin_to_fetch(carrier, 10 * MEGABYTE)
    carrier.apart.sshd.cut()
    wait_until(partial(fetched(job)), what="the part that has come to be kept")
    assert not fetched(job).exists()
    assert carrier.wait(job) is None
    assert fetched(job).read_bytes() == content


def test_a_line_that_is_silent_is_given_up_and_taken_up_again(make_carrier, slow_line):
    slow_line(5_000)
    carrier = make_carrier()
    options = {**carrier.apart.sshd.options, "ServerAliveInterval": 1, "ServerAliveCountMax": 1}
    carrier.transfers.use(carrier.host(**{"ssh options": options}))
    job, content = begin_to_send(carrier, 10 * MEGABYTE)
    for connection in children_of(carrier.apart.sshd.pid):
        os.kill(connection, signal.SIGSTOP)
    wait_until(carrier.transfers.trouble, timeout=20, what="the trouble to be told")
    assert carrier.wait(job) is None
    assert sent(carrier, job).read_bytes() == content
    carrier.apart.sshd.cut()


def test_a_disk_over_there_that_is_too_small_is_found_before_anything_is_sent(make_carrier):
    carrier = make_carrier(disk="8m")
    write(carrier.here / "forcing.nc", 20 * MEGABYTE)
    job = carrier.job()
    carrier.move(job, lambda way: send(way, job, {"forcing.nc": carrier.here / "forcing.nc"}))
    said = carrier.wait(job)
    assert "on host east has 8." in said
    assert "and the inputs take 20 MB more: make room there (ssh east du -sh" in said
    assert not list((carrier.there(job) / "incoming").rglob("*forcing*"))


def test_a_disk_over_there_that_fills_meanwhile_is_named(make_carrier, monkeypatch):
    monkeypatch.setattr(file_transfer, "_check_room_there", lambda *_: None)
    carrier = make_carrier(disk="8m")
    write(carrier.here / "forcing.nc", 20 * MEGABYTE)
    job = carrier.job()
    carrier.move(job, lambda way: send(way, job, {"forcing.nc": carrier.here / "forcing.nc"}))
    said = carrier.wait(job)
    assert f"the disk of {carrier.apart.home}/jobs" in said
    assert "on host east is full" in said
    assert "No space left on device" in said
    assert not sent(carrier, job).exists()


@pytest.mark.parametrize("looks_first", [True, False])
def test_outputs_wait_until_there_is_room_here(make_carrier, small_here, monkeypatch, looks_first):
    if not looks_first:
        monkeypatch.setattr(file_transfer, "_check_room_here", lambda *_: None)
    monkeypatch.setattr("nowcast_cli.executors.transfers._LONGEST_PAUSE", 1.0)
    carrier = make_carrier()
    job = carrier.job()
    (carrier.here / "filler").write_bytes(b"x" * 15 * MEGABYTE)
    content = write(carrier.there(job) / "scratch" / "forecast.nc", 8 * MEGABYTE)
    carrier.move(job, lambda way: fetch(way, job, ["forecast.nc"]))
    wait_until(carrier.transfers.trouble, what="the trouble to be told")
    said = carrier.transfers.trouble()
    assert f"the disk of {job.folder}/scratch on this machine" in said
    assert "make room here" in said
    assert not fetched(job).exists()
    (carrier.here / "filler").unlink()
    assert carrier.wait(job) is None
    assert fetched(job).read_bytes() == content


@pytest.fixture
def small_here(tmp_path):
    """Give the machine of the test itself a disk of 20 MB for its jobs."""
    here = tmp_path / "here"
    here.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", here], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    yield here
    subprocess.run(["umount", "--lazy", here], check=True)


def at_each(monkeypatch, what: str, act: Callable[[int], None]) -> None:
    """Do something each time just before an order of this kind is given; told how often before."""
    ask, times = Way.ask, []

    def instead(way, asked, job, **more):
        if asked == what:
            act(len(times))
            times.append(asked)
        return ask(way, asked, job, **more)

    monkeypatch.setattr(Way, "ask", instead)


def test_a_file_that_changes_while_it_is_sent_is_sent_again(carrier, monkeypatch):
    source = carrier.here / "forcing.nc"
    write(source, MEGABYTE)
    job = carrier.job()
    # After the look at it here, and after it was sent.
    at_each(monkeypatch, "examine", lambda times: None if times else source.write_bytes(b"new"))
    read = file_transfer.digests_of
    monkeypatch.setattr(
        file_transfer, "digests_of", lambda *args: (read(*args), append_once(source))[0]
    )
    carrier.move(job, lambda way: send(way, job, {"forcing.nc": source}))
    assert carrier.wait(job) is None
    assert sent(carrier, job).read_bytes() == source.read_bytes()


def append_once(path: Path) -> None:
    if path.stat().st_size == MEGABYTE:
        with path.open("ab") as file:
            file.write(b"more")


def test_a_file_that_does_not_keep_still_is_named(carrier):
    source = carrier.here / "forcing.nc"
    write(source, MEGABYTE)
    over = threading.Event()

    def append() -> None:
        while not over.wait(0.005):
            with source.open("ab") as file:
                file.write(b"more")

    writer = threading.Thread(target=append)
    writer.start()
    try:
        job = carrier.job()
        carrier.move(job, lambda way: send(way, job, {"forcing.nc": source}))
        said = carrier.wait(job)
    finally:
        over.set()
        writer.join()
    assert said.startswith("the input forcing.nc changed each time while it was sent to host east")


def truncate(path: Path) -> None:
    """Cut a file short, with the time that it had."""
    times = path.stat()
    os.truncate(path, 1000)
    with path.open("r+b") as file:
        file.seek(500)
        file.write(b"\0" * 4)
    os.truncate(path, times.st_size)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_a_file_that_is_damaged_over_there_is_sent_again(carrier, monkeypatch):
    content = write(carrier.here / "forcing.nc", MEGABYTE)
    job = carrier.job()
    at_each(monkeypatch, "examine", lambda times: times or truncate(sent(carrier, job)))
    carrier.move(job, lambda way: send(way, job, {"forcing.nc": carrier.here / "forcing.nc"}))
    assert carrier.wait(job) is None
    assert sent(carrier, job).read_bytes() == content


def test_a_file_that_is_damaged_over_there_again_and_again_is_named(carrier, monkeypatch):
    write(carrier.here / "forcing.nc", MEGABYTE)
    job = carrier.job()
    at_each(monkeypatch, "examine", lambda _: truncate(sent(carrier, job)))
    carrier.move(job, lambda way: send(way, job, {"forcing.nc": carrier.here / "forcing.nc"}))
    assert carrier.wait(job) == (
        "the input forcing.nc is not on host east what it is here, though it was sent 3 times: "
        "its disk may be damaged, or something there writes to it"
    )


def test_an_output_that_is_still_written_to_is_not_taken_for_whole(carrier):
    job = carrier.job()
    output = carrier.there(job) / "scratch" / "forecast.nc"
    write(output, MEGABYTE)
    over = threading.Event()

    def append() -> None:
        while not over.wait(0.005):
            with output.open("ab") as file:
                file.write(b"more")

    writer = threading.Thread(target=append)
    writer.start()
    try:
        carrier.move(job, lambda way: fetch(way, job, ["forecast.nc"]))
        said = carrier.wait(job)
    finally:
        over.set()
        writer.join()
    assert "forecast.nc in " in said
    assert "could not be fetched as it is, in 3 tries: something still writes there" in said


def test_a_host_without_rsync_is_told_and_mended_by_a_reload(carrier):
    none = carrier.apart.folder / "envvars.sh"
    none.write_text("PATH=/nowhere\n")
    write(carrier.here / "forcing.nc", 1000)
    carrier.transfers.use(carrier.host(envvars=str(none)))
    job = carrier.job()
    carrier.move(job, lambda way: send(way, job, {"forcing.nc": carrier.here / "forcing.nc"}))
    wait_until(carrier.transfers.trouble, what="the trouble to be told")
    assert carrier.transfers.trouble() == (
        "host east has no rsync, which brings files of jobs to east and back: "
        "install the package rsync there"
    )
    carrier.transfers.use(carrier.host())
    assert carrier.wait(job) is None


def test_a_transfer_that_is_stopped_leaves_no_rsync(carrier, slow_line):
    slow_line(5_000)
    job, _ = begin_to_send(carrier, 10 * MEGABYTE)
    carrier.transfers.stop(job.id)
    wait_until(lambda: not rsyncs_of(os.getpid()), what="rsync to end")
    assert job.id not in carrier.ended
    wait_until(partial(sent(carrier, job)), what="the part that has come to be kept")


def rsyncs_of(process: int) -> list[int]:
    found = []
    for child in children_of(process):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{child}/comm").read_text().startswith("rsync"):
                found.append(child)
    return found
