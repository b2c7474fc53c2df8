"""Looking after many jobs: each in its turn, so that a thousand do not take all of the manager."""

from itertools import count
from types import SimpleNamespace

import pytest

from nowcast_cli.config.paths import SystemPaths
from nowcast_cli.config.registry import registry_of
from nowcast_cli.identifiers import new_id
from nowcast_cli.manager.job_watch import REPEATED_AT_ONCE, JobWatch
from nowcast_cli.manager.slowness import History
from nowcast_cli.store.records import JobRecord

NOW = "2026-11-22T03:04:05.678Z"


class Launcher:
    """Takes requests and starts nothing."""

    def __init__(self):
        self.asked = []

    def submit(self, request):
        self.asked.append(request.id)

    def connect(self):
        return True

    def hints(self):
        return []

    def cancel(self, claim, number):
        return False


@pytest.fixture
def watched(tmp_path):
    paths = SimpleNamespace(
        jobs=tmp_path, config_file=tmp_path / "c", deployment=tmp_path, outbox=tmp_path / "outbox"
    )
    assert {*vars(paths)} <= {*SystemPaths.__dataclass_fields__, *dir(SystemPaths)}
    launcher, clock = Launcher(), count(0, 0.05)
    remote = SimpleNamespace(hints=list)
    registry = registry_of({})
    watch = JobWatch(launcher, remote, paths, registry, lambda: next(clock), no_history)
    return launcher, watch


def no_history(worker):
    return History(0, 0.0)


def jobs(number):
    return [
        JobRecord(new_id(), "w", "workers.w", (), "localhost", "local", "submitting", 1, None, None,
                  "c", None, NOW)
        for _ in range(number)
    ]  # fmt: skip


def test_a_few_requests_are_all_repeated_at_once(watched):
    launcher, watch = watched
    few = jobs(3)
    for job in few:
        watch.launch(job)
    launcher.asked.clear()
    list(watch.happenings())
    assert launcher.asked == [job.id for job in few]


def test_many_requests_are_repeated_some_at_a_time_and_all_in_turn(watched):
    launcher, watch = watched
    many = jobs(5 * REPEATED_AT_ONCE // 2)
    for job in many:
        watch.launch(job)
    launcher.asked.clear()
    for turn in range(1, 6):
        list(watch.happenings())
        assert len(launcher.asked) == turn * REPEATED_AT_ONCE
    assert launcher.asked == 2 * [job.id for job in many]
