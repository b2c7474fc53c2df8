"""What an agent makes of its command line, a configuration, and its key."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nowcast_cli.agent.place import id_of, take_place
from nowcast_cli.agent.running import RunningJobs
from nowcast_cli.agent.settings import Given, Master, agent_settings, default_state, read_master
from nowcast_cli.daemon.lock import AlreadyRuns
from nowcast_cli.errors import NowcastError, UsageError
from nowcast_cli.identifiers import new_id
from nowcast_cli.process_identity import identity_of
from nowcast_cli.runner import Claim
from nowcast_cli.security.key import Key, KeyTrouble, write_key

PAIR = "a" * 40
CONFIG = {"zmq": {"host": "tide", "ports": {"workers": 5554, "manager": 5555}}}


@pytest.fixture
def key(tmp_path, monkeypatch):
    monkeypatch.delenv("NOWCAST_KEY", raising=False)
    file = tmp_path / "east.key"
    write_key(file, Key("east", "agent", PAIR, PAIR, PAIR))
    return file


def test_an_agent_is_called_as_its_key(key):
    settings = agent_settings(Given(master="tide:5554", key=key), None, None)
    assert (settings.name, settings.master) == ("east", Master("tide", 5554))
    assert settings.key.path == key
    assert settings.config_file is None
    assert settings.python == sys.executable


def test_the_variable_names_a_key_too(key, monkeypatch):
    monkeypatch.setenv("NOWCAST_KEY", str(key))
    assert agent_settings(Given(master="tide:5554"), None, None).name == "east"


def test_another_name_than_that_of_the_key_is_refused(key):
    with pytest.raises(UsageError, match="is that of the agent east, not of west"):
        agent_settings(Given(master="tide:1", name="west", key=key), None, None)


def test_a_key_of_another_role_is_refused(key):
    write_key(key, Key("east", "operator", PAIR, PAIR, PAIR))
    with pytest.raises(UsageError, match="is the key of an operator, and not of an agent"):
        agent_settings(Given(master="tide:1", key=key), None, None)


def test_a_configuration_says_where_and_as_what(key, tmp_path):
    config = {**CONFIG, "python": "/env/python", "limits": {"message size": "1 MB"}}
    settings = agent_settings(Given(key=key), config, tmp_path / "nowcast.yaml")
    assert settings.master == Master("tide", 5554)
    assert settings.python == "/env/python"
    assert settings.config_file == tmp_path / "nowcast.yaml"
    assert settings.message_limits.message_size == 1_000_000
    elsewhere = agent_settings(Given(master="lagoon:7", key=key), config, tmp_path / "nowcast.yaml")
    assert elsewhere.master == Master("lagoon", 7)


def test_without_keys_it_is_called_as_its_host(monkeypatch):
    monkeypatch.delenv("NOWCAST_KEY", raising=False)
    settings = agent_settings(Given(), CONFIG, Path("/deployment/nowcast.yaml"))
    assert settings.name == os.uname().nodename.partition(".")[0]
    assert settings.key is None


def test_a_system_with_keys_says_which_is_missing(monkeypatch, tmp_path):
    from nowcast_cli.config import Config

    monkeypatch.delenv("NOWCAST_KEY", raising=False)
    file = tmp_path / "nowcast.yaml"
    file.write_text(json.dumps({**CONFIG, "security": "curve", "checklist file": "c.yaml"}))
    config = Config()
    config.load(file)
    with pytest.raises(KeyTrouble, match=r"there is no key .*/keys/west\.key"):
        agent_settings(Given(name="west"), config, file)


@pytest.mark.parametrize("text", ["tide", "tide:", "tide:0", "tide:70000", ":5554", "a b:1"])
def test_a_master_that_is_none_is_refused(text):
    with pytest.raises(UsageError, match="give the host and the port of the message broker"):
        read_master(text)


def test_a_tag_that_is_none_is_refused(key):
    with pytest.raises(UsageError, match="'a b' cannot be a tag"):
        agent_settings(Given(master="tide:1", key=key, tags=("a b",)), None, None)


def test_agents_of_several_systems_and_names_have_folders_of_their_own(key):
    master = Master("tide.example.org", 5554)
    place = default_state("east", master, {"XDG_STATE_HOME": "/s"})
    assert place == Path("/s/nowcast/agents/east@tide.example.org-5554")
    state = agent_settings(Given(master="tide:1", key=key), None, None).state
    assert state.is_absolute()
    assert state.parts[-3:] == ("nowcast", "agents", "east@tide-1")


def test_one_agent_has_a_place(tmp_path):
    with (
        take_place(tmp_path / "state", "east"),
        pytest.raises(
            AlreadyRuns, match=f"east runs on this host already, as process {os.getpid()}"
        ),
        take_place(tmp_path / "state", "east"),
    ):
        pass
    with take_place(tmp_path / "state", "east"):
        pass


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NowcastError, match="cannot be written"), take_place(tmp_path / "file", "e"):
        pass


def test_a_state_directory_keeps_its_id(tmp_path):
    assert id_of(tmp_path) == id_of(tmp_path)


def claim_of(pid):
    return json.dumps(Claim(identity_of(pid), None, "2026-11-22T00:00:00Z").to_json())


def test_jobs_that_run_are_found_by_their_folders(tmp_path):
    runs, ended, gone, unclaimed = (new_id() for _ in range(4))
    running = RunningJobs(tmp_path)
    assert running.ids() == ()
    process = subprocess.Popen(["sleep", "60"])
    for job in (runs, ended, gone, unclaimed):
        folder = tmp_path / "jobs/2026-11-22" / f"{job}-model"
        folder.mkdir(parents=True)
        if job != unclaimed:
            (folder / "pid").write_text(claim_of(process.pid if job == runs else os.getpid()))
    (tmp_path / f"jobs/2026-11-22/{ended}-model/exit").write_text("{}")
    (tmp_path / "jobs/2026-11-22/no-job").mkdir()
    (tmp_path / f"jobs/2026-11-22/{gone}-model/pid").write_text("torn")
    assert running.ids() == (runs,)
    assert running.ids() == (runs,)
    (tmp_path / f"jobs/2026-11-22/{unclaimed}-model/pid").write_text(claim_of(process.pid))
    assert running.ids() == tuple(sorted((runs, unclaimed)))
    process.kill()
    process.wait()
    assert running.ids() == ()
