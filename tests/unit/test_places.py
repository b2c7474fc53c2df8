"""Which daemons a system with a standby has, and by which program supervisord keeps each."""

import contextlib
import json
import os
import subprocess
from pathlib import Path

import pytest

from helpers import wait_until
from nowcast_cli.config.standby import ask_for_standby, forget_standby, wants_standby
from nowcast_cli.process_identity import identity_of, to_json
from nowcast_cli.supervisor.daemons import daemons_of
from nowcast_cli.supervisor.holders import program_of


def names(config, run):
    return [daemon.name for daemon in daemons_of(config, run)]


def test_a_standby_is_asked_for_by_the_setting_or_until_the_system_is_stopped(tmp_path):
    with_it = ["message_broker", "manager", "standby"]
    assert names({"standby": True}, None) == with_it
    assert names({"standby": False}, tmp_path) == with_it[:2]
    ask_for_standby(tmp_path)
    assert names({}, tmp_path) == with_it
    assert names({}, None) == with_it[:2]
    forget_standby(tmp_path)
    forget_standby(tmp_path)
    assert not wants_standby({}, tmp_path)


@pytest.mark.parametrize(
    ("manager_is", "standby_is", "of_manager", "of_standby"),
    [
        ("manager", "standby", "manager", "standby"),
        ("standby", "manager", "standby", "manager"),
        ("standby", None, "standby", "manager"),
        (None, "manager", "standby", "manager"),
        ("manager", None, "manager", "standby"),
        (None, None, "manager", "standby"),
        ("somebody else's", "by hand", "manager", "standby"),
    ],
)
def test_a_program_is_found_by_who_leads(tmp_path, manager_is, standby_is, of_manager, of_standby):
    with contextlib.ExitStack() as stack:
        for name, program in (("manager", manager_is), ("standby", standby_is)):
            if program is None:
                continue
            environment = os.environ | {"SUPERVISOR_PROCESS_NAME": program}
            process = subprocess.Popen(["sleep", "60"], env=environment)
            stack.callback(process.wait)
            stack.callback(process.kill)
            environ = Path(f"/proc/{process.pid}/environ")
            wait_until(lambda environ=environ: environ.read_bytes(), what="its environment")
            identity = to_json(identity_of(process.pid))
            (tmp_path / f"{name}.pid").write_text(json.dumps(identity))
        assert program_of("manager", tmp_path) == of_manager
        assert program_of("standby", tmp_path) == of_standby
        assert program_of("message_broker", tmp_path) == "message_broker"
