"""What ``nowcast doctor`` and ``status`` say of keys and of open ports."""

from __future__ import annotations

import pytest
import yaml

from nowcast_cli.cli.context import System
from nowcast_cli.cli.output import Output
from nowcast_cli.cli.plant import make_first_keys
from nowcast_cli.cli.status_report import as_json, gather
from nowcast_cli.config import Config, system_paths
from nowcast_cli.config.check import check
from nowcast_cli.doctor.finding import Subject
from nowcast_cli.doctor.keys import keys
from nowcast_cli.security.key import key_file
from nowcast_cli.security.key_ring import KeyRing


class Place:
    """A configuration, its keys, and what is found."""

    def __init__(self, folder) -> None:
        self.file = folder / "nowcast.yaml"
        self.settings = {
            "state directory": "var",
            "security": "curve",
            "zmq": {"host": "localhost", "ports": {"workers": 5555, "manager": 5556}},
            "message registry": {"workers": {}},
        }
        self.ring = KeyRing(folder / "var" / "keys")

    @property
    def config(self):
        self.file.write_text(yaml.safe_dump(self.settings))
        config = Config()
        config.load(self.file)
        return config

    def found(self):
        config = self.config
        findings = keys(Subject(config, system_paths(config), {}))
        return [(each.level, each.what, each.remedy) for each in findings]

    def the_only(self):
        (finding,) = self.found()
        return finding


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path)
    place.ring.init()
    return place


def test_good_keys_need_no_word(place):
    assert place.found() == []


def test_what_others_can_read_is_an_error(place):
    file = key_file(place.ring.folder, "worker")
    file.chmod(0o644)
    level, what, remedy = place.found()[0]
    assert (level, what) == ("error", f"others on this machine can read {file}")
    assert remedy.startswith(f"chmod 600 {file}")


def test_a_key_that_is_missing_damaged_or_of_another_list(place):
    key_file(place.ring.folder, "worker").unlink()
    assert place.the_only()[2] == "nowcast key init"
    place.ring.init()
    key_file(place.ring.folder, "worker").write_text("?")
    assert "is damaged" in place.the_only()[1]
    text = key_file(place.ring.folder, "operator").read_text()
    key_file(place.ring.folder, "worker").write_text(text)
    assert "is not the one on the list" in place.the_only()[1]


def test_a_revoked_key_of_this_machine(place):
    place.ring.revoke("worker")
    assert place.the_only() == (
        "warning",
        "the key worker was revoked",
        "nowcast key rotate worker",
    )


def test_a_host_without_a_key(place):
    place.settings["run"] = {"enabled hosts": {"east": None}}
    assert place.the_only()[2] == "nowcast key add --role worker --host east"
    place.ring.add("east", "worker", "east")
    assert place.found() == []


def test_ports_of_logs_without_keys_are_told(place):
    place.settings["zmq"]["ports"]["logging"] = {"workers": [5560]}
    assert "neither encrypted nor guarded" in place.the_only()[1]


def test_a_system_that_has_never_had_keys_needs_no_more_than_a_start(tmp_path):
    level, _, remedy = Place(tmp_path).the_only()
    assert (level, remedy) == ("note", "nowcast start, or nowcast key init")


def test_a_configuration_without_security_is_told_of_it(place):
    del place.settings["security"]
    assert place.the_only()[0] == "note"


@pytest.mark.parametrize(
    ("security", "host", "said", "errors"),
    [
        (None, "localhost", False, 0),
        (None, "east.example.org", True, 0),
        ("none", "localhost", False, 0),
        ("none", "east.example.org", False, 1),
        ("curve", "east.example.org", False, 0),
    ],
)
def test_open_ports_are_told_by_status_and_validate(place, security, host, said, errors):
    place.settings["zmq"]["host"] = host
    place.settings["security"] = security
    config = place.config
    report = gather(System(config, system_paths(config)))
    assert bool(as_json(report)["warnings"]) is said
    assert report.verdict == "stopped"
    problems = [p for p in check(place.file) if "open" in p.message]
    assert [p.severity for p in problems] == ["warning"] * said + ["error"] * errors


def test_a_word_that_is_none_of_them_is_an_error(place):
    place.settings["security"] = "curves"
    _ = place.config
    (problem,) = [p for p in check(place.file) if p.path == "security"]
    assert problem.message == "must be 'curve' or 'none', not 'curves'"
    assert place.found()[0][0] == "error"


def test_a_clone_gets_its_keys_with_the_first_start_and_hears_of_hosts_without(tmp_path, capsys):
    place = Place(tmp_path)
    place.settings["run"] = {"enabled hosts": {"east": None}}
    config = place.config
    system = System(config, system_paths(config))
    make_first_keys(system, Output())
    said = capsys.readouterr().err
    assert f"made the keys of this system in {place.ring.folder}" in said
    assert "nowcast key add --role worker --host east" in said
    key_file(place.ring.folder, "worker").unlink()  # an accident, which is not covered up
    make_first_keys(system, Output())
    assert not key_file(place.ring.folder, "worker").exists()
