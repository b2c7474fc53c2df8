"""Jobs on another host, reached by ssh: a real sshd, a deployment of its own behind it."""

import json
import socket
import subprocess
import sys

import pytest

from helpers import wait_until
from nowcast_cli.executors.job_folder import read_claim
from nowcast_cli.process_identity import is_alive

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


def test_a_job_finds_what_the_other_host_has_for_it(remote):
    remote.there.write("workers/first.py", TELLS_ITS_SURROUNDINGS)
    job = remote.system.launch("first", "--run-date", "two words", host="east")
    remote.system.wait_for_process_end(job, 20)
    told = json.loads((remote.system.job_folder(job) / "stdout").read_text())
    there = remote.folder(job)
    assert told == {
        "argv": [str(remote.there.config_file), "--run-date", "two words"],
        "cwd": str(remote.there.folder),
        "envvars": "set there",
        "job": job,
        "attempt": "1",
        "folder": str(there),
        "scratch": str(there / "scratch"),
        "yaml": str(remote.there.config_file),
        "session": True,
        "stdin": "",
    }


TELLS_ITS_SURROUNDINGS = """
import json, os, sys
print(json.dumps({
    "argv": sys.argv[1:],
    "cwd": os.getcwd(),
    "envvars": os.environ["FROM_ENVVARS"],
    "job": os.environ["NOWCAST_JOB_ID"],
    "attempt": os.environ["NOWCAST_ATTEMPT"],
    "folder": os.environ["NOWCAST_JOB_FOLDER"],
    "scratch": os.environ["NOWCAST_SCRATCH"],
    "yaml": os.environ["NOWCAST_YAML"],
    "session": os.getsid(0) == os.getpid() == int(os.environ["NOWCAST_JOB_PID"]),
    "stdin": sys.stdin.read(),
}))
"""


def test_a_worker_that_ends_without_its_message_has_crashed(remote):
    job = remote.system.launch("first", "--os-exit", "5", "--print", "no tide", host="east")
    ended = remote.system.wait_for_job(job, "crashed", timeout=20)
    assert "exited with code 5" in ended.reason
    assert "no tide" in ended.reason


def test_a_module_that_is_not_there_crashes_with_what_python_says(remote):
    job = remote.system.launch("workers.nowhere", host="east")
    ended = remote.system.wait_for_job(job, "crashed", timeout=20)
    assert "No module named workers.nowhere" in ended.reason


def test_a_deployment_that_is_not_there_is_named_with_its_host(remote):
    nowhere = remote.there.folder / "nowhere"
    hosts = remote.system.settings["run"]["enabled hosts"]
    hosts["east"] = {**hosts["east"], "config file": str(nowhere / "nowcast.yaml")}
    remote.system.write_config()
    assert remote.system.request("reload").type == "ack"
    job = remote.system.launch("first", host="east")
    reason = remote.system.wait_for_job(job, "crashed", timeout=20).reason
    assert reason.startswith(f"there is no folder {nowhere} on {socket.gethostname()}:")


def test_a_worker_of_nemo_nowcasts_own_library_succeeds_by_its_message(remote):
    """It sends neither an id nor its job, and needs nothing of ours on its host."""
    remote.there.write("workers/first.py", PLAIN_WORKER.format(port=remote.system.port))
    job = remote.system.launch("first", host="east")
    ended = remote.system.wait_for_process_end(job, 20)
    assert (ended.state, ended.exit["code"]) == ("succeeded", 0)
    assert remote.system.checklist() == {"first": {"tide": 3}}


PLAIN_WORKER = """
import zmq, yaml
socket = zmq.Context().socket(zmq.REQ)
socket.connect("tcp://localhost:{port}")
socket.send_string(yaml.dump({{"source": "first", "type": "success", "payload": {{"tide": 3}}}}))
socket.recv()
"""


def test_what_could_not_be_told_comes_with_the_folder(remote):
    """The broker is away for longer than the worker waits: its message lies in its outbox."""
    remote.there.settings["messages"] = {"deadline": 0.3}
    remote.there.write_config()
    system = remote.system
    job = system.launch("first", "--until", "high-water", "--payload", "7", host="east")
    wait_until(lambda: remote.has_begun(job), what="the job to begin")
    system.kill("message_broker")
    remote.there.touch("high-water")
    system.wait_for_job(job, "succeeded", timeout=20)
    system.start("message_broker")
    assert system.checklist() == {"first": 7}


def test_a_long_log_comes_whole_and_before_the_end(remote):
    remote.there.write("workers/first.py", "print('x' * 3_500_000, end='')\n")
    job = remote.system.launch("first", host="east")
    remote.system.wait_for_process_end(job, 20)
    assert (remote.system.job_folder(job) / "stdout").read_text() == "x" * 3_500_000


def test_a_job_is_cancelled_with_all_its_processes(remote):
    job = remote.system.launch("first", "--sleep", "600", host="east")
    wait_until(lambda: remote.has_begun(job), what="the job to begin")
    claim = read_claim(remote.folder(job))
    assert remote.system.request("cancel", {"job": job}).type == "ack"
    assert remote.system.wait_for_process_end(job, 20).state == "cancelled"
    assert not is_alive(claim.process)


def test_a_host_that_is_not_enabled_ends_the_job_and_says_so(remote):
    job = remote.system.launch("first", host="west")
    ended = remote.system.wait_for_job(job, "crashed")
    assert ended.reason == "the host 'west' is not among `run: enabled hosts` (east)"


def test_a_host_is_enabled_by_a_reload(remote):
    hosts = remote.system.settings["run"]["enabled hosts"]
    hosts["west"] = hosts["east"]
    remote.system.write_config()
    assert remote.system.request("reload").type == "ack"
    job = remote.system.launch("first", host="west")
    remote.system.wait_for_job(job, "succeeded", timeout=20)


def test_what_is_sent_to_a_host_is_enough_and_is_sent_once(remote):
    for _ in range(2):
        job = remote.system.launch("first", host="east")
        remote.system.wait_for_process_end(job, 20)
    (code,) = (remote.home / "code").iterdir()
    listing = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(code)!r}); "
         "from nowcast_cli.executors import remote_side; print(sorted(m for m in sys.modules if "
         "'nowcast' in m and not sys.modules[m].__file__.startswith(sys.path[0])))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert listing.stdout == "[]\n"


def test_a_walltime_is_the_timeout_of_a_job_there_and_nothing_else_is_asked_of_it(remote):
    resources = {"walltime": "1s", "cpus": 4096, "memory": "900 TB", "gpus": 64, "queue": "none"}
    remote.system.registry["first"]["resources"] = resources
    remote.system.write_config()
    assert remote.system.request("reload").type == "ack"
    job = remote.system.launch("first", "--sleep", "600", host="east")
    assert remote.system.wait_for_job(job, "timed out", timeout=30)
