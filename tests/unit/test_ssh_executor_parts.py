"""What is decided about other hosts before anything is sent to them."""

from __future__ import annotations

import ast
import base64
import json
import os
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from nowcast_cli.config.executors import Executors, ExecutorSettings, Place
from nowcast_cli.config.remote_hosts import RemoteHost, remote_hosts
from nowcast_cli.errors import ConfigError
from nowcast_cli.executors import shipped
from nowcast_cli.executors.mirror import News, have, take_in
from nowcast_cli.executors.pace import Pace
from nowcast_cli.executors.remote_executor import Surroundings, Target
from nowcast_cli.executors.ssh_command import control_path, exchange_command, failure
from nowcast_cli.logs.job_output import FollowedJob
from nowcast_cli.manager.remote_jobs import RemoteJobs
from nowcast_cli.process_identity import ProcessIdentity
from nowcast_cli.runner import Claim

EAST = RemoteHost(
    name="east",
    envvars="~/envvars.sh",
    python="/env/bin/python",
    config_file="/there/nowcast.yaml",
    state_directory="~/.cache/nowcast",
    ssh_options=(("ConnectTimeout", "3"),),
)
NOTHING_NEW = {
    "stdout": None,
    "stderr": None,
    "records": None,
    "at": {"stdout": 0, "stderr": 0, "records": 0},
    "outbox": {},
    "pid": None,
    "exit": None,
    "gone": False,
    "more": False,
    "age": None,
    "left": None,
}


def test_hosts_are_read_in_the_form_of_nemo_nowcast() -> None:
    config = {
        "python": "/here/python",
        "run": {
            "enabled hosts": {
                "localhost": {"python": "/not/used"},
                "east": {
                    "envvars": "~/envvars.sh",
                    "python": "/env/bin/python",
                    "config file": "/there/nowcast.yaml",
                    "ssh options": {"Port": 2222, "Compression": True},
                    "users": "allen,doug",
                },
                "shared": None,
            }
        },
    }
    hosts = remote_hosts(config, "/here/nowcast.yaml")
    assert list(hosts) == ["east", "shared"]
    assert hosts["east"].ssh_options == (("Port", "2222"), ("Compression", "yes"))
    assert hosts["shared"] == RemoteHost(
        "shared", None, "/here/python", "/here/nowcast.yaml", "~/.cache/nowcast", ()
    )


@pytest.mark.parametrize("hosts", [["east"], {"east": "/env/bin/python"}])
def test_hosts_of_a_wrong_form_are_refused(hosts: object) -> None:
    with pytest.raises(ConfigError, match=r"run\.enabled hosts"):
        remote_hosts({"python": "p", "run": {"enabled hosts": hosts}}, "nowcast.yaml")


def test_a_users_own_options_come_first_for_ssh_takes_the_first() -> None:
    command = exchange_command(EAST, Path("/run/s"), "abc")
    assert command[:4] == ["ssh", "-T", "-o", "ConnectTimeout=3"]
    assert command.index("ConnectTimeout=3") < command.index("ConnectTimeout=10")
    assert command[-3:-1] == ["--", "east"]


def test_the_socket_of_the_connection_fits_with_what_ssh_adds() -> None:
    assert len(str(control_path(EAST, Path("/" + "r" * 79)))) + 17 <= 107


def test_paths_are_filled_in_by_the_other_shell_and_never_run(tmp_path: Path) -> None:
    (tmp_path / "it's here").mkdir()
    python = tmp_path / "it's here" / "python"
    python.write_text("#!/bin/bash\nprintf '%s\\n' \"$@\"\n")
    python.chmod(0o755)
    code = tmp_path / 'a "b" `c` $(d) \\e' / "code" / "abc.pyz"
    code.parent.mkdir(parents=True)
    code.touch()
    (tmp_path / "envvars.sh").write_text('BASE="$HOME/it\'s here"; read line; echo noise\n')
    host = RemoteHost("east", "~/envvars.sh", "$BASE/python", "x", str(code.parent.parent), ())
    script = exchange_command(host, tmp_path, "abc")[-1]
    ended = subprocess.run(
        ["sh", "-c", script], env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        input="order", capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ended.stdout.splitlines() == ["-I", "-S", str(code)]


@pytest.mark.parametrize(
    ("code", "stderr", "said"),
    [
        (255, "", "host east cannot be reached by ssh: the connection has ended"),
        (255, "ssh: connect to host east port 22: Connection timed out\n",
         "host east cannot be reached by ssh: ssh: connect to host east port 22: "
         "Connection timed out"),
        (255, "No key!\nHost key verification failed.\nbye\n",
         "host east cannot be reached by ssh: Host key verification failed. (its key is not the "
         "known one, or not known: `ssh east` by hand shows it)"),
        (94, "", "host east has no file ~/envvars.sh (envvars) that can be read"),
        (127, "bash: line 1: /env/bin/python: No such file or directory\n",
         "/env/bin/python cannot be run on host east: bash: line 1: /env/bin/python: No such "
         "file or directory"),
        (1, "Traceback\nMemoryError\n",
         "host east does not carry out what it is asked: MemoryError"),
        (0, "Welcome!\n", "the answer of host east was cut off"),
    ],
)  # fmt: skip
def test_a_failed_call_is_told_in_a_sentence(code: int, stderr: str, said: str) -> None:
    assert failure(EAST, code, stderr) == said


def test_a_quiet_host_is_asked_less_often_and_one_with_news_soon() -> None:
    pace = Pace()
    pauses = []
    for _ in range(30):
        pace.went_well(News.NOTHING)
        pauses.append(pace.pause)
    assert pauses[:4] == [0.25, 0.5, 1.0, 2.0]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 10.0
    pace.went_well(News.OUTPUT)
    assert pace.pause == 2.0
    pace.went_well(News.STEP)
    assert pace.pause == 0.25


def test_a_host_that_is_away_is_asked_at_least_twice_a_minute() -> None:
    pace = Pace()
    pauses = []
    for _ in range(20):
        pace.failed()
        pauses.append(pace.pause)
    assert pauses[0] == 1.0
    assert pauses[-1] == 30.0


def test_what_is_shipped_is_the_same_each_time_and_fits_python_3_9() -> None:
    assert shipped.archive.__wrapped__() == shipped.archive()
    for module in shipped.MODULES:
        text = files("nowcast_cli").joinpath(module.replace(".", "/") + ".py").read_text()
        ast.parse(text, feature_version=(3, 9))


def test_a_mirror_goes_on_where_it_was_cut(tmp_path: Path) -> None:
    assert have(tmp_path / "none") == {
        "stdout": 0, "stderr": 0, "records": 0, "outbox": [],
    }  # fmt: skip
    assert take_in(tmp_path, NOTHING_NEW | {"stdout": ""}) is News.NOTHING
    assert take_in(tmp_path, NOTHING_NEW | {"stdout": "aGln"}) is News.OUTPUT
    letter = {"outbox": {"1.yaml": "a: b"}}
    assert take_in(tmp_path, NOTHING_NEW | {"stdout": "aA==", "at": {"stdout": 3}} | letter) is (
        News.STEP
    )
    assert take_in(tmp_path, NOTHING_NEW | {"pid": "{}"}) is News.STEP
    assert (tmp_path / "stdout").read_text() == "high"
    found = have(tmp_path)
    assert (found["stdout"], found["stderr"], found["outbox"]) == (4, 0, ["1.yaml"])
    assert take_in(tmp_path, NOTHING_NEW | {"pid": "{}"}) is News.NOTHING


def test_records_that_came_another_way_too_stand_there_once(tmp_path: Path) -> None:
    (tmp_path / "records").write_bytes(b"one\ntwo\n")
    late = {"records": base64.b64encode(b"two\nthree\n").decode(), "at": {"records": 4}}
    assert take_in(tmp_path, NOTHING_NEW | late) is News.OUTPUT
    assert (tmp_path / "records").read_bytes() == b"one\ntwo\nthree\n"


def test_a_mirror_writes_nothing_outside_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    take_in(folder, NOTHING_NEW | {"outbox": {"../../evil.yaml": "a: b"}})
    assert [path.name for path in tmp_path.rglob("*.yaml")] == ["evil.yaml"]
    assert (folder / "outbox" / "evil.yaml").exists()


def test_the_log_waits_a_day_for_a_silent_job_of_another_host(tmp_path: Path) -> None:
    from_elsewhere = Claim(ProcessIdentity(1, 1, "another boot"), None, "2026-11-22T00:00:00Z")
    take_in(tmp_path, NOTHING_NEW | {"stdout": "", "pid": json.dumps(from_elsewhere.to_json())})
    job = FollowedJob("id", "first", tmp_path)
    last = (tmp_path / "stdout").stat().st_mtime
    assert not job.is_over(last + 20 * 3600)
    assert job.is_over(last + 25 * 3600)


def test_jobs_of_a_host_go_on_when_a_reload_takes_it_away() -> None:
    executors, place = Executors(hosts=("east",)), Place("ssh", "east")
    jobs = RemoteJobs(executors, {"east": EAST}, {"ssh": Silent}, None)  # type: ignore[arg-type,dict-item]
    east = jobs.on(place)
    jobs.use(Executors(), {})
    assert jobs.on(place) is east
    jobs.close()


def test_an_executor_does_not_become_one_of_another_kind(caplog: pytest.LogCaptureFixture) -> None:
    before, after = (
        Executors(declared={"cluster": ExecutorSettings("cluster", kind)})
        for kind in ("slurm", "sge")
    )
    place = before.place_named("cluster")
    jobs = RemoteJobs(before, {}, {"slurm": Silent}, None)  # type: ignore[arg-type,dict-item]
    cluster = jobs.on(place)
    assert isinstance(cluster, Silent)
    jobs.use(after, {})
    assert jobs.on(place) is cluster
    assert cluster.used == []
    assert "executor cluster stays of the kind slurm until nowcast restart" in caplog.text
    jobs.use(before, {})
    assert [target.settings.kind for target in cluster.used] == ["slurm"]
    jobs.close()


def test_trouble_names_the_executor_where_the_host_does_not() -> None:
    cluster = ExecutorSettings("cluster", "slurm")
    executors = Executors(declared={"cluster": cluster}, hosts=("east",))
    makers = {"slurm": Silent, "ssh": Silent}
    jobs = RemoteJobs(executors, {"east": EAST}, makers, None)  # type: ignore[arg-type]
    for name in ("cluster", "east"):
        jobs.on(executors.place_named(name))
    assert jobs.trouble() is None
    for name in ("cluster", "east"):
        jobs.on(executors.place_named(name)).wrong = f"no word of {name}"  # type: ignore[attr-defined]
    assert jobs.trouble() == "executor cluster: no word of cluster; no word of east"
    jobs.close()


class Silent:
    """An executor of which nothing is heard."""

    wrong: str | None = None

    def trouble(self) -> str | None:
        return self.wrong

    def __init__(self, target: Target, around: Surroundings) -> None:
        self.reading, self.writing = os.pipe()
        self.used: list[Target] = []

    def fileno(self) -> int:
        return self.reading

    def use(self, target: Target) -> None:
        self.used.append(target)

    def close(self) -> None:
        os.close(self.reading)
        os.close(self.writing)
