"""Where a command could not begin: a file that is missing there may well be here."""

import json
import socket
import subprocess
import sys

import pytest

BEGIN = """
import json, socket, sys
from nowcast_cli.executors.command_child import become_command
become_command(json.loads(sys.argv[1]), socket.socket(fileno=int(sys.argv[2])), {})
"""


@pytest.mark.parametrize(
    ("executor", "place"), [("agents", f", on {socket.gethostname()}"), ("local", "")]
)
def test_a_host_is_named_where_it_is_another(tmp_path, executor, place):
    (tmp_path / "scratch").mkdir()
    missing = str(tmp_path / "big.nc")
    step = {"words": ["true"], "environment": {}, "messages": [], "directory": None,
            "link": {}, "copy": {"big.nc": missing}}  # fmt: skip
    job = {"folder": str(tmp_path), "config_file": str(tmp_path / "nowcast.yaml"),
           "command": step, "executor": executor}  # fmt: skip
    here, there = socket.socketpair()
    with here, there:
        subprocess.run(
            [sys.executable, "-c", BEGIN, json.dumps(job), str(there.fileno())],
            pass_fds=[there.fileno()], timeout=60, check=False,
        )  # fmt: skip
        said = here.recv(4096).decode()
    assert said.endswith(f"No such file or directory: {missing}{place}")
