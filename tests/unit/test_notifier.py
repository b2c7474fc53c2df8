"""The notifier's turns: what is kept, sent, tried again, and told after its own end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nowcast_cli.config import Config, SystemPaths, system_paths
from nowcast_cli.config.paths import ensure
from nowcast_cli.notify import notifier as module
from nowcast_cli.notify.channels import ALL_KINDS, Channel
from nowcast_cli.notify.daemon_watch import GRACE, DaemonWatch
from nowcast_cli.notify.mailbox import Notice
from nowcast_cli.notify.notifier import Clock, Notifier
from nowcast_cli.notify.sending import SendError
from nowcast_cli.store.database import Store
from nowcast_cli.store.records import (
    JobPut,
    JobRecord,
    MessageReceived,
    MessageRecord,
    MessageSettled,
)

NOW = 1_795_316_645.0
AT = "2026-11-22T03:04:05.000Z"


def channel(name: str = "operators") -> Channel:
    return Channel(name, "apprise", "json://h", ALL_KINDS, None, 900.0)


class Bench:
    """A store to write to, a notifier that follows it, a clock to move, and what was sent."""

    def __init__(self, folder: Path, *channels: Channel) -> None:
        (folder / "nowcast.yaml").write_text("state directory: var\n")
        config = Config()
        config.load(folder / "nowcast.yaml")
        self.paths: SystemPaths = system_paths(config)
        ensure(self.paths)
        self.store = Store(self.paths.database)
        self.channels = channels or (channel(),)
        self.now = NOW
        self.sent: list[tuple[str, str]] = []
        self.failing: set[str] = set()
        self.failed = 0
        self.on_send: Callable[[], None] = lambda: None
        self.up = {"manager"}
        self.notifier = self.another()

    def another(self) -> Notifier:
        """Give a notifier as it is after the end of the one before."""
        return Notifier(
            self.paths,
            self.channels,
            ["manager", "scheduler"],
            answers=lambda name: name in self.up,
            send=self._send,
            clock=Clock(lambda: self.now, lambda: self.now),
            begin_after=0,
            logger=logging.getLogger("test"),
        )

    def _send(self, channel: Channel, notice: Notice) -> None:
        if channel.name in self.failing:
            self.failed += 1
            raise SendError("it is away")
        self.sent.append((channel.name, notice.title))
        self.on_send()

    def put(self, number: int, source: str = "first", **more: Any) -> None:
        values: dict[str, Any] = {"outcome": "failure", "state": "decided", **more}
        record = MessageRecord(
            number=number, id=f"id{number}", received=values.pop("received", AT), source=source,
            type="failure", body=None, job=values.pop("job", None), chain="c", **values,
        )  # fmt: skip
        self.store.commit([MessageReceived(record)])

    def turns(self, seconds: float, step: float = 0.5) -> None:
        end = self.now + seconds
        while self.now < end:
            self.notifier.turn()
            self.now += step

    @property
    def titles(self) -> list[str]:
        return [title for _, title in self.sent]


def test_what_is_told_is_not_told_by_the_next_one(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.put(1)
    bench.turns(2)
    bench.notifier = bench.another()
    bench.put(2, "second")
    bench.turns(2)
    assert bench.titles == ["first failed", "second failed"]


def test_a_notice_is_kept_before_it_is_sent(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    def killed() -> None:
        raise KeyboardInterrupt

    bench.put(1)
    bench.on_send = killed
    with pytest.raises(KeyboardInterrupt):
        bench.notifier.turn()
    bench.on_send = lambda: None
    bench.notifier = bench.another()
    bench.turns(2)
    assert bench.titles == ["first failed"] * 2, "sent, but not known to be: once more"


def test_what_cannot_be_kept_is_not_sent_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path)
    write = module.write_memory

    def full(path: Path, memory: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_memory", full)
    bench.put(1)
    with pytest.raises(OSError, match="No space"):
        bench.notifier.turn()
    assert bench.sent == []
    monkeypatch.setattr(module, "write_memory", write)
    bench.turns(1)
    assert bench.titles == ["first failed"]


def test_a_channel_that_is_away_is_tried_again_ever_more_rarely_and_holds_up_no_other(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, channel("away"), channel("there"))
    bench.failing = {"away"}
    bench.put(1)
    bench.turns(3600)
    assert bench.sent == [("there", "first failed")]
    assert 10 < bench.failed < 25, "5 s, 10 s, … 5 min"
    bench.failing = set()
    bench.turns(module.LONGEST_RETRY + 1)
    assert bench.sent[1:] == [("away", "first failed")]


def test_what_waits_for_more_than_a_day_is_not_sent(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.failing = {"operators"}
    bench.put(1)
    bench.turns(1)
    bench.now += module.TOO_OLD + 1
    bench.failing = set()
    bench.put(2, "second", received="2026-11-23T03:04:05.000Z")
    bench.turns(2)
    assert bench.titles == ["second failed"]


def test_what_happened_long_before_is_not_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.put(1, received="2026-11-20T00:00:00.000Z")
    bench.turns(2)
    assert bench.sent == []


def job(job_id: str, state: Any, ended: str = AT, **more: Any) -> JobPut:
    return JobPut(
        JobRecord(
            job_id, "third", "workers.third", (), "localhost", "local", state, 1, None, None, "c",
            None, AT, ended=ended, **more,
        )
    )  # fmt: skip


def test_jobs_that_ended_without_a_message_are_told_once_each(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Channel("operators", "apprise", "json://h", ALL_KINDS, None, 0.1))
    bench.store.commit([job("a", "crashed"), job("b", "lost"), job("c", "succeeded")])
    bench.turns(3)
    bench.store.commit([job("d", "timed out")])  # in the same instant as the others
    bench.store.commit([job("e", "crashed", ended="2026-11-22T03:04:05.001Z")])
    bench.notifier = bench.another()
    bench.turns(4)
    assert bench.titles == [
        "third crashed",
        "third was lost: nobody can tell how it ended",
        "third took too long and was ended",
        "third crashed",
    ]


def test_the_message_of_a_lost_job_says_lost(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.store.commit([job("a", "lost", final_message=1)])
    bench.put(1, "third", job="a", outcome="crash")
    bench.turns(2)
    assert bench.titles == ["third was lost: nobody can tell how it ended"]


def test_a_message_is_told_when_it_gets_stuck_and_again_when_it_does_once_more(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, Channel("operators", "apprise", "json://h", ALL_KINDS, None, 0.1))
    bench.put(1, outcome="success", state="received")
    bench.turns(2)
    assert bench.sent == []
    bench.store.commit([MessageSettled(1, "stuck", AT, "KeyError: 'x'")])
    bench.turns(2)
    bench.notifier = bench.another()
    bench.turns(2)
    assert len(bench.sent) == 1
    bench.store.commit([MessageSettled(1, "stuck", "2026-11-22T03:09:05.000Z", "KeyError: 'x'")])
    bench.turns(2)
    assert len(bench.sent) == 2


def test_a_store_that_was_begun_anew_is_told_from_its_begin(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for number in range(1, 6):
        bench.put(number)
    bench.turns(2)
    bench.store.close()
    for file in bench.paths.state.glob("nowcast.db*"):
        file.unlink()
    bench.store = Store(bench.paths.database)
    bench.put(1, "second")
    bench.turns(2)
    assert bench.titles[-1] == "second failed"


def test_late_messages_and_successes_are_no_news(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.put(1, state="late")
    bench.put(2, outcome="success")
    bench.put(3, outcome=None)
    bench.turns(2)
    assert bench.sent == []


def test_more_messages_than_one_look_takes_are_all_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for number in range(1, 1201):
        bench.put(number, outcome="success")
    bench.put(1201, "last")
    bench.turns(3)
    assert bench.titles == ["last failed"]


def test_a_daemon_is_missed_once_it_was_seen_and_told_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.turns(60)
    assert bench.sent == [], "the scheduler was never there"
    bench.up = set()
    bench.turns(GRACE - 4)
    assert bench.sent == []
    bench.turns(10)
    bench.notifier = bench.another()
    bench.turns(60)
    assert [title.partition(":")[0] for title in bench.titles] == ["the manager is down"]


def test_a_daemon_that_comes_back_in_time_is_not_missed() -> None:
    up = True
    watch = DaemonWatch(["manager"], lambda name: up)
    assert watch.look(0) == []
    up = False
    assert watch.look(10) == []
    up = True
    assert watch.look(10 + GRACE) == []
    up = False
    assert watch.look(20 + GRACE) == []
    assert watch.look(20 + 2 * GRACE) == [("manager", GRACE)]
