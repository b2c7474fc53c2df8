"""Jobs on another host, reached by ssh: a real sshd, a deployment of its own behind it."""

import json

import pytest

from nowcast_cli.executors.job_folder import read_claim

pytestmark = pytest.mark.ssh


def test_a_chain_goes_to_the_other_host_and_back(remote_chain):
    system = remote_chain.system
    chain = system.launch("first", "--payload", "{tide: 3}")
    system.wait_for_chain(chain, timeout=30)
    assert system.ran() == ["first", "third"]
    assert remote_chain.ran() == ["second"]
    with system.reader() as reader:
        (job,) = reader.jobs(worker="second")
    assert (job.host, job.executor, job.state) == ("east", "ssh", "succeeded")


def test_the_folder_here_tells_what_the_folder_there_does(remote):
    system = remote.system
    job = system.launch("first", "--print", "high water", host="east")
    assert system.wait_for_process_end(job, 20).exit["code"] == 0
    here, there = system.job_folder(job), remote.folder(job)
    for name in ("stdout", "stderr", "pid", "exit"):
        assert (here / name).read_bytes() == (there / name).read_bytes()
    assert "high water\n" in (here / "stderr").read_text()
    assert read_claim(here) is not None
    assert json.loads((here / "job.json").read_text())["id"] == job
