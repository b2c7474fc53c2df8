"""The small parts of a daemon: health socket, signals, lock; sockets and signals are real."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from helpers import wait_until
from nowcast_cli.config import Config, SystemPaths, system_paths
from nowcast_cli.config.paths import ensure
from nowcast_cli.daemon.health import HealthSocket, ask_health
from nowcast_cli.daemon.lock import hold, read_pid_file
from nowcast_cli.daemon.main import explain, run_daemon
from nowcast_cli.daemon.signals import Signals
from nowcast_cli.errors import NowcastError


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "nowcast.yaml"
    path.write_text("checklist file: nowcast_checklist.yaml\nstate directory: v\n")
    return path


@pytest.fixture
def paths(config_file: Path) -> SystemPaths:
    config = Config()
    config.load(config_file)
    paths = system_paths(config)
    ensure(paths)
    return paths


class TestHealth:
    def test_whoever_asks_is_told_the_status(self, tmp_path: Path) -> None:
        health = HealthSocket(tmp_path / "a.sock")
        answers: list[object] = []
        askers = [
            threading.Thread(target=lambda: answers.append(ask_health(tmp_path / "a.sock", 5)))
            for _ in range(3)
        ]
        for asker in askers:
            asker.start()

        def answered() -> bool:
            if select.select([health], [], [], 0)[0]:
                health.answer({"state": "ready"})
            return len(answers) == 3

        wait_until(answered, what="three answers")
        assert answers == [{"state": "ready"}] * 3
        health.close()
        assert not (tmp_path / "a.sock").exists()

    def test_nobody_behind_the_socket_is_none_also_when_its_file_is_left(
        self, tmp_path: Path
    ) -> None:
        left = socket.socket(socket.AF_UNIX)
        left.bind(str(tmp_path / "a.sock"))
        left.close()
        assert ask_health(tmp_path / "a.sock") is None
        assert ask_health(tmp_path / "never.sock") is None
        HealthSocket(tmp_path / "a.sock").close()  # and it is in nobody's way

    def test_a_daemon_that_does_not_answer_in_time_is_none(self, tmp_path: Path) -> None:
        health = HealthSocket(tmp_path / "a.sock")
        assert ask_health(tmp_path / "a.sock", 0.05) is None
        health.close()

    def test_askers_who_have_gone_keep_nobody_waiting(self, tmp_path: Path) -> None:
        health = HealthSocket(tmp_path / "a.sock")
        for _ in range(5):
            gone = socket.socket(socket.AF_UNIX)
            gone.connect(str(tmp_path / "a.sock"))
            gone.close()
        health.answer({"state": "ready"})
        assert not select.select([health], [], [], 0)[0]
        health.close()

    def test_asking_imports_neither_zmq_nor_filelock_nor_yaml(self) -> None:
        code = (
            "import sys, nowcast_cli.daemon.health;"
            "print(sorted({'zmq', 'filelock', 'yaml'} & set(sys.modules)))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.stdout.strip() == "[]"


class TestSignals:
    def test_signals_arrive_on_the_descriptor_in_order(self) -> None:
        with Signals(signal.SIGUSR1, signal.SIGUSR2) as signals:
            assert signals.read() == []
            os.kill(os.getpid(), signal.SIGUSR2)
            assert select.select([signals], [], [], 5)[0]
            os.kill(os.getpid(), signal.SIGUSR1)
            wait_until(lambda: signal.SIGUSR1 not in signal.sigpending())
            assert signals.read() == [signal.SIGUSR2, signal.SIGUSR1]

    def test_the_former_handlers_come_back(self) -> None:
        before = signal.getsignal(signal.SIGUSR1)
        with Signals(signal.SIGUSR1):
            assert signal.getsignal(signal.SIGUSR1) != before
        assert signal.getsignal(signal.SIGUSR1) == before


class TestLock:
    def test_a_second_daemon_of_a_name_is_told_who_runs(self, paths: SystemPaths) -> None:
        with hold(paths, "manager"):
            assert read_pid_file(paths.run / "manager.pid") is not None
            with pytest.raises(NowcastError) as caught:
                hold(paths, "manager")
            with hold(paths, "message_broker"):
                pass
        assert f"the manager of this system already runs as process {os.getpid()} (since 20" in (
            caught.value.what
        )
        assert caught.value.exit_code == 1
        assert caught.value.hint

    def test_a_name_is_free_after_its_daemon(self, paths: SystemPaths) -> None:
        hold(paths, "manager").release()
        assert read_pid_file(paths.run / "manager.pid") is None
        hold(paths, "manager").release()

    def test_a_pid_file_that_is_left_or_torn_locks_nobody_out(self, paths: SystemPaths) -> None:
        (paths.run / "manager.pid").write_text('{"pid": 1, "star')
        assert read_pid_file(paths.run / "manager.pid") is None
        hold(paths, "manager").release()

    def test_a_pid_file_that_cannot_be_removed_keeps_no_name(self, paths: SystemPaths) -> None:
        lock = hold(paths, "manager")
        lock.pid_file.unlink()
        lock.pid_file.mkdir()
        lock.release()
        lock.pid_file.rmdir()
        hold(paths, "manager").release()

    def test_a_pid_that_cannot_be_written_is_an_error_and_frees_the_name(
        self, paths: SystemPaths
    ) -> None:
        in_the_way = paths.run / "manager.pid"
        in_the_way.mkdir()
        with pytest.raises(NowcastError, match=r"cannot be written in") as caught:
            hold(paths, "manager")
        assert caught.value.hint
        in_the_way.rmdir()
        hold(paths, "manager").release()


class TestMain:
    def test_the_context_holds_what_a_daemon_needs(self, config_file: Path) -> None:
        seen = {}

        def main(context) -> int:  # type: ignore[no-untyped-def]
            seen["status"] = context.status(more=1)
            seen["paths"] = context.paths
            return 7

        assert run_daemon("some_daemon", main, [str(config_file)]) == 7
        assert seen["status"]["daemon"] == "some_daemon"
        assert seen["status"]["pid"] == os.getpid()
        assert seen["status"]["state"] == "ready"
        assert seen["status"]["more"] == 1
        log = (seen["paths"].logs / "nowcast.log").read_text()
        assert f"[some_daemon] running in process {os.getpid()}" in log
        assert f"[some_daemon] read config from {config_file}" in log
        assert "[some_daemon] shutting down" in log
        assert not list(seen["paths"].run.glob("*.sock"))
        assert not list(seen["paths"].run.glob("*.pid"))

    def test_an_expected_error_is_printed_with_its_remedy_and_gives_its_exit_code(
        self, config_file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def main(context) -> int:  # type: ignore[no-untyped-def]
            raise NowcastError("it rains", cause="clouds", hint="take an umbrella")

        assert run_daemon("some_daemon", main, [str(config_file)]) == 1
        assert capsys.readouterr().err == (
            "error: it rains\ncaused by: clouds\nhint: take an umbrella\n"
        )
        log = (config_file.parent / "v/logs/nowcast.log").read_text()
        assert "CRITICAL [some_daemon] error: it rains; caused by: clouds" in log

    def test_a_missing_configuration_is_an_error_with_exit_code_2(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run_daemon("some_daemon", lambda context: 0, [str(tmp_path / "no.yaml")]) == 2
        assert "no.yaml" in capsys.readouterr().err

    def test_a_bug_is_logged_with_its_traceback_and_raised(self, config_file: Path) -> None:
        def main(context) -> int:  # type: ignore[no-untyped-def]
            return 1 // 0

        with pytest.raises(ZeroDivisionError):
            run_daemon("some_daemon", main, [str(config_file)])
        assert "ZeroDivisionError" in (config_file.parent / "v/logs/nowcast.log").read_text()

    def test_an_error_without_cause_and_hint_is_one_line(self) -> None:
        assert explain(NowcastError("it rains")) == "error: it rains"
