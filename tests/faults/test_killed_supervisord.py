"""supervisord killed with -9: the daemons go on, it is told, and start takes over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers import wait_until
from nowcast_cli.daemon.health import ask_health
from nowcast_cli.process_identity import is_alive
from nowcast_cli.supervisor.control import start, stop
from nowcast_cli.supervisor.observe import observe, somebody_listens, supervisor_socket
from supervised import DAEMONS, Supervised


@pytest.fixture
def orphaned(tmp_path: Path) -> Iterator[Supervised]:
    supervised = Supervised(tmp_path / "system")
    start(supervised.plant)
    supervised.kill_supervisord()
    wait_until(
        lambda: not somebody_listens(supervisor_socket(supervised.paths.run)),
        what="supervisord to be gone",
    )
    yield supervised
    supervised.clean_up()


def test_the_daemons_go_on_and_it_is_seen_that_nothing_supervises_them(
    orphaned: Supervised,
) -> None:
    state = observe(orphaned.paths, DAEMONS)
    assert state.supervisor == "gone"
    assert [daemon.state for daemon in state.daemons] == ["ready", "ready"]
    assert not state.is_well


def test_what_the_daemons_print_has_somewhere_to_go(orphaned: Supervised) -> None:
    log = orphaned.paths.logs / "first.out"
    printed = log.stat().st_size
    for _ in range(2):
        assert ask_health(orphaned.paths.run / "first.sock") is not None
    assert log.stat().st_size > printed


def test_start_ends_the_orphans_and_starts_anew(orphaned: Supervised) -> None:
    orphans = [orphaned.process(daemon.name) for daemon in DAEMONS]
    assert start(orphaned.plant) == ["first", "second"]
    assert not any(is_alive(orphan) for orphan in orphans)
    assert observe(orphaned.paths, DAEMONS).is_well
    assert orphaned.history()[2:] == ["stop second", "stop first", "start first", "start second"]


def test_stop_ends_the_orphans(orphaned: Supervised) -> None:
    assert stop(orphaned.plant) == ["second", "first"]
    assert not observe(orphaned.paths, DAEMONS).runs
