"""Files of jobs that go to a host without shared storage, and come back: real sshd, real rsync."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from apart_host import Carrier
from nowcast_cli.executors import remote_files
from nowcast_cli.executors.file_transfer import fetch, send
from nowcast_cli.executors.job_folder import JobRequest

pytestmark = pytest.mark.ssh


def send_and_wait(carrier: Carrier, job: JobRequest, inputs: dict[str, Path]) -> str | None:
    carrier.move(job, lambda way: send(way, job, inputs))
    return carrier.wait(job)


def fetch_and_wait(carrier: Carrier, job: JobRequest, names: list[str]) -> str | None:
    carrier.move(job, lambda way: fetch(way, job, names, lambda _: names))
    return carrier.wait(job)


def content_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_host_sees_nothing_of_this_machine(carrier):
    (carrier.here / "tide.nc").write_text("here")
    assert not carrier.apart.at(carrier.here / "tide.nc").exists()


def test_files_folders_and_what_links_lead_to_are_sent_under_their_names(carrier):
    here = carrier.here
    (here / "tide.nc").write_bytes(b"\0tide" * 1000)
    (here / "latest").symlink_to("tide.nc")
    (here / "grid").mkdir()
    (here / "grid" / "mesh 1's.nc").write_bytes(b"mesh")
    (here / "grid" / "deep").mkdir()
    (here / "grid" / "deep" / "empty").touch()
    script = here / "run.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    job = carrier.job()
    inputs = {"input/forcing.nc": here / "latest", "grid": here / "grid", "run.sh": script}
    assert send_and_wait(carrier, job, inputs) is None
    incoming = carrier.there(job) / "incoming"
    assert content_of(incoming) == {
        "input/forcing.nc": b"\0tide" * 1000,
        "grid/mesh 1's.nc": b"mesh",
        "grid/deep/empty": b"",
        "run.sh": b"#!/bin/sh\n",
    }
    assert os.access(incoming / "run.sh", os.X_OK)
    assert not (incoming / "input/forcing.nc").is_symlink()
    remote_files.take_in(carrier.there(job), list(inputs))
    assert set(content_of(carrier.there(job) / "scratch")) >= {"input/forcing.nc", "run.sh"}
    assert not incoming.exists()
    assert not Path(job.folder, "outgoing").exists()


def test_outputs_come_into_the_scratch_folder_here(carrier):
    job = carrier.job()
    scratch = carrier.there(job) / "scratch"
    (scratch / "plots").mkdir(parents=True)
    (scratch / "plots" / "a.png").write_bytes(b"a" * 100_000)
    (scratch / "forecast.nc").write_bytes(os.urandom(3_000_000))
    (scratch / "restart").write_text("not wanted")
    assert fetch_and_wait(carrier, job, ["plots", "forecast.nc"]) is None
    here = content_of(Path(job.folder, "scratch"))
    there = content_of(scratch)
    del there["restart"]
    assert here == there


def test_an_output_that_was_not_made_is_named(carrier):
    job = carrier.job()
    (carrier.there(job) / "scratch").mkdir(parents=True)
    assert fetch_and_wait(carrier, job, ["forecast.nc"]) == (
        f"declared output was not made in {carrier.apart.home}/jobs/"
        f"{'/'.join(Path(job.folder).parts[-2:])}/scratch on host east: forecast.nc"
    )


def test_an_input_that_is_not_there_is_named(carrier):
    missing = carrier.here / "tide.nc"
    assert send_and_wait(carrier, carrier.job(), {"tide.nc": missing}) == (
        f"the input {missing} cannot be sent to host east: No such file or directory"
    )


def test_nothing_is_sent_to_a_job_that_has_begun(carrier):
    job = carrier.job()
    carrier.there(job).mkdir(parents=True)
    (carrier.there(job) / "pid").touch()
    (carrier.here / "tide.nc").write_text("new")
    assert send_and_wait(carrier, job, {"tide.nc": carrier.here / "tide.nc"}) is None
    assert not (carrier.there(job) / "incoming").exists()


def test_hundreds_of_files_take_one_rsync(carrier, tmp_path):
    for number in range(300):
        (carrier.here / f"member{number}.nc").write_bytes(b"%d" % number)
    inputs = {path.name: path for path in carrier.here.glob("member*.nc")}
    job = carrier.job()
    assert send_and_wait(carrier, job, inputs) is None
    assert len(content_of(carrier.there(job) / "incoming")) == 300
