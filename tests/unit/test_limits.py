"""The section ``limits``: its defaults, its values, and its mistakes."""

from __future__ import annotations

import pytest

from nowcast_cli.config.check import check
from nowcast_cli.config.limits import DEFAULTS, KEYS, Limits, limits
from nowcast_cli.config.sizes import NotASize, bytes_of
from nowcast_cli.errors import ConfigError


@pytest.mark.parametrize(
    ("written", "size"),
    [("512 kB", 512_000), ("32MB", 32_000_000), ("1.5 GB", 1_500_000_000), (4096, 4096), ("7", 7)],
)
def test_a_size_is_read_as_people_write_it(written, size):
    assert bytes_of(written) == size


@pytest.mark.parametrize("written", ["", "MB", "-3 MB", "0", "3 miles", True, None, [3], "1e3"])
def test_what_is_no_size_is_told_by_an_example(written):
    with pytest.raises(NotASize, match="such as '512 kB'"):
        bytes_of(written)


@pytest.mark.parametrize("config", [{}, {"limits": None}, {"limits": dict.fromkeys(KEYS)}])
def test_what_is_not_written_has_its_default(config):
    assert limits(config) == DEFAULTS


def test_what_is_written_counts():
    section = {"message size": "1 MB", "payload depth": 5, "waiting messages": 7}
    assert limits({"limits": section}) == Limits(
        message_size=1_000_000, payload_depth=5, waiting_messages=7
    )


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ([], None),
        ([1], "limits: must hold"),
        ({"mesage size": "1 MB"}, "limits.mesage size"),
        ({"message size": "much"}, "limits.message size: must be a size"),
        ({"message size": "1 kB"}, "at least '10 kB'"),
        ({"payload depth": 101}, "limits.payload depth: must be at most 100"),
        ({"payload values": 0}, "limits.payload values: must be a whole number"),
        ({"waiting messages": True}, "limits.waiting messages"),
    ],
)
def test_a_mistake_names_its_key(section, said):
    if said is None:
        assert limits({"limits": section}) == DEFAULTS
        return
    with pytest.raises(ConfigError) as raised:
        limits({"limits": section})
    assert said in raised.value.what


def test_validate_tells_where_a_mistake_stands_and_what_was_meant(tmp_path):
    file = tmp_path / "nowcast.yaml"
    file.write_text(
        "zmq: {host: localhost, ports: {workers: 5555, manager: 5556}}\n"
        "message registry: {manager: {}, workers: {}}\n"
        "limits:\n  message sise: 3 MB\n  payload depth: 200\n"
    )
    found = {(problem.line, problem.path): problem.message for problem in check(file)}
    assert "did you mean 'message size'" in found[4, "limits.message sise"]
    assert "at most 100" in found[5, "limits.payload depth"]
