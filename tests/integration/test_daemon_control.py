"""Start, stop and restart of daemons, under a real supervisord."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from helpers import wait_until
from nowcast_cli.daemon.health import ask_health
from nowcast_cli.errors import NotFound, NotRunning
from nowcast_cli.process_identity import identity_of, is_alive
from nowcast_cli.supervisor.control import restart, restart_one, start, stop, stop_one
from nowcast_cli.supervisor.daemons import Daemon
from nowcast_cli.supervisor.observe import observe, supervisor_socket
from nowcast_cli.supervisor.plant import DaemonError, Plant
from nowcast_cli.supervisor.rpc import Supervisord
from supervised import DAEMONS, STAND_IN, Supervised


@pytest.fixture
def system(tmp_path: Path) -> Iterator[Supervised]:
    supervised = Supervised(tmp_path / "a system")
    yield supervised
    supervised.clean_up()


def state_of(system: Supervised, name: str) -> str:
    return next(d.state for d in observe(system.paths, DAEMONS).daemons if d.name == name)


def test_start_returns_when_every_daemon_is_ready(system: Supervised) -> None:
    assert start(system.plant) == ["first", "second"]
    assert observe(system.paths, DAEMONS).is_well
    assert system.told == ["waiting for the first", "waiting for the second"]


def test_daemons_know_their_configuration_and_run_in_the_deployment(system: Supervised) -> None:
    start(system.plant)
    health = ask_health(system.paths.run / "first.sock")
    assert health is not None
    assert health["yaml"] == str(system.folder / "nowcast.yaml")
    assert Path(f"/proc/{health['pid']}/cwd").readlink() == system.folder


def test_start_twice_leaves_what_runs_as_it_is(system: Supervised) -> None:
    start(system.plant)
    before = system.process("first")
    assert start(system.plant) == []
    assert system.process("first") == before


def test_two_starts_at_once_start_one_system(system: Supervised) -> None:
    threads = [Thread(target=start, args=(system.plant,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert system.history() == ["start first", "start second"]


def test_stop_ends_the_daemons_in_reverse_order_and_supervisord_too(system: Supervised) -> None:
    start(system.plant)
    supervisord = identity_of(system.supervisord())
    assert supervisord is not None
    assert stop(system.plant) == ["second", "first"]
    assert system.history() == ["start first", "start second", "stop second", "stop first"]
    assert not is_alive(supervisord)
    assert not observe(system.paths, DAEMONS).runs


def test_stopping_what_is_stopped_does_nothing(system: Supervised) -> None:
    assert stop(system.plant) == []


def test_a_daemon_that_fails_is_named_with_its_last_lines_and_nothing_stays(
    system: Supervised,
) -> None:
    system.behave("second", "fails")
    with pytest.raises(DaemonError) as caught:
        start(system.plant)
    assert caught.value.what == "the second did not start"
    assert caught.value.log[-1] == "error: no luck today"
    assert len(caught.value.log) == 20
    state = observe(system.paths, DAEMONS)
    assert (state.supervisor, state.runs) == ("stopped", False)


def test_the_lines_of_an_earlier_failure_are_not_shown_again(system: Supervised) -> None:
    (system.paths.logs).mkdir(parents=True)
    (system.paths.logs / "second.out").write_text("error: of yesterday\n")
    system.behave("second", "fails")
    with pytest.raises(DaemonError) as caught:
        start(system.plant)
    assert "error: of yesterday" not in caught.value.log


def test_a_failed_start_leaves_the_daemons_that_ran_before(system: Supervised) -> None:
    start(system.plant)
    stop_one(system.plant, DAEMONS[1])
    system.behave("second", "fails")
    with pytest.raises(DaemonError):
        start(system.plant)
    assert state_of(system, "first") == "ready"


def test_a_daemon_that_lives_but_is_not_ready_in_time_fails_the_start(system: Supervised) -> None:
    system.behave("first", "never ready")
    hurried = Plant(system.paths, DAEMONS, system.told.append, ready_time=1.0)
    with pytest.raises(DaemonError) as caught:
        start(hurried)
    assert "was not ready in 1 s" in (caught.value.cause or "")
    assert not system.lives("first")


def test_an_interrupted_start_leaves_nothing(system: Supervised) -> None:
    system.behave("first", "never ready")

    def interrupt() -> None:
        wait_until(lambda: system.lives("first"), what="the daemon to have begun")
        os.kill(os.getpid(), signal.SIGINT)

    thread = Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        start(system.plant)
    thread.join()
    assert not system.lives("first")
    assert observe(system.paths, DAEMONS).supervisor == "stopped"


def test_a_deployment_with_a_very_long_path_starts_too(tmp_path: Path) -> None:
    supervised = Supervised(tmp_path / "long" / ("x" * 100) / ("y" * 100))
    try:
        start(supervised.plant)
        assert observe(supervised.paths, DAEMONS).is_well
    finally:
        supervised.clean_up()


def test_a_supervisord_that_does_not_answer_is_told_from_one_that_is_gone(
    system: Supervised,
) -> None:
    start(system.plant)
    os.kill(system.supervisord(), signal.SIGSTOP)
    try:
        with pytest.raises(NotRunning, match="does not answer it") as caught:
            Supervisord(supervisor_socket(system.paths.run), timeout=0.3).processes()
        assert "supervisord.pid" in (caught.value.hint or "")
    finally:
        os.kill(system.supervisord(), signal.SIGCONT)


def test_a_running_supervisord_takes_in_a_daemon_that_is_new(system: Supervised) -> None:
    start(system.plant)
    before = system.process("first")
    third = Daemon("third", "third_stand_in")
    (system.folder / "third_stand_in.py").write_text(STAND_IN.format(name="third"))
    grown = Plant(system.paths, (*DAEMONS, third), system.told.append)
    assert start(grown) == ["third"]
    assert start(grown) == []
    assert observe(system.paths, grown.daemons).is_well
    assert system.process("first") == before
    assert stop(grown) == ["third", "second", "first"]


def test_a_killed_daemon_comes_back_and_is_counted(system: Supervised) -> None:
    start(system.plant)
    before = system.process("first")
    os.kill(before.pid, signal.SIGKILL)
    wait_until(
        lambda: system.process("first") != before and state_of(system, "first") == "ready",
        what="the daemon to be ready again",
    )
    first, second = observe(system.paths, DAEMONS).daemons
    assert (first.restarts, second.restarts) == (1, 0)


def test_start_does_not_wait_out_the_delay_of_a_daemon_that_keeps_dying(system: Supervised) -> None:
    start(system.plant)
    system.behave("first", "fails")
    os.kill(system.process("first").pid, signal.SIGKILL)
    wait_until(lambda: state_of(system, "first") == "restarting", what="the daemon to have died")
    system.behave("first", "well")
    start(system.plant)
    assert observe(system.paths, DAEMONS).is_well


def test_restart_of_one_leaves_the_other(system: Supervised) -> None:
    start(system.plant)
    first, second = system.process("first"), system.process("second")
    restart_one(system.plant, system.plant.named("second"))
    assert system.process("first") == first
    assert system.process("second") != second
    assert observe(system.paths, DAEMONS).is_well


def test_restart_of_one_says_when_nothing_runs(system: Supervised) -> None:
    with pytest.raises(NotRunning):
        restart_one(system.plant, DAEMONS[0])


def test_restart_of_all_is_a_stop_and_a_start(system: Supervised) -> None:
    start(system.plant)
    before = system.supervisord()
    assert restart(system.plant) == ["first", "second"]
    assert system.supervisord() != before
    assert observe(system.paths, DAEMONS).is_well


def test_one_daemon_can_be_stopped_and_start_completes_the_system(system: Supervised) -> None:
    start(system.plant)
    assert stop_one(system.plant, DAEMONS[0])
    assert not stop_one(system.plant, DAEMONS[0])
    assert (state_of(system, "first"), state_of(system, "second")) == ("stopped", "ready")
    assert start(system.plant) == ["first"]


def test_a_deaf_daemon_is_killed_after_its_grace(
    system: Supervised, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nowcast_cli.supervisor.supervisord_conf.STOP_GRACE", 1)
    system.behave("first", "deaf")
    start(system.plant)
    begin = time.monotonic()
    stop(system.plant)
    assert time.monotonic() - begin > 1
    assert not system.lives("first")
    assert "stop first" not in system.history()


def test_a_daemon_without_a_name_of_ours_is_not_found(system: Supervised) -> None:
    with pytest.raises(NotFound, match="there is no daemon 'third'") as caught:
        system.plant.named("third")
    assert caught.value.hint == "the daemons are first, second"


def test_supervisord_stays_small(system: Supervised) -> None:
    start(system.plant)
    for line in Path(f"/proc/{system.supervisord()}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            assert int(line.split()[1]) < 25_000
            return
    raise AssertionError("the kernel told no VmRSS")
