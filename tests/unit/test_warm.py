"""What the launcher does once for its children, and what those do while they wait."""

import logging

import pytest
import yaml

from nowcast_cli.config import Config
from nowcast_cli.executors.warm import first_uses


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "nowcast.yaml"
    content = {
        "checklist file": "checklist.yaml",
        "python": "python",
        "zmq": {"host": "localhost", "ports": {"workers": 1, "manager": 2}},
        "message registry": {"manager": {"ack": "yes"}, "workers": {}},
    }
    file.write_text(yaml.safe_dump(content))
    config = Config()
    config.load(file)
    return config


def test_a_worker_finds_the_process_as_if_nothing_had_been_used(config, capfd):
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    for use in first_uses(config):
        use()
    assert (root.level, list(root.handlers)) == before
    assert capfd.readouterr() == ("", "")
