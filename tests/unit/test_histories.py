"""Generated histories of a system: what must hold after every step, in memory and in the store.

Each history is played through the manager's intake and transitions into a real store; no process,
no socket, no clock. After each step another store is opened on a copy of the database, as the next
manager would.
"""

import contextlib
import logging
import sqlite3
import tempfile
from collections import Counter
from pathlib import Path

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nowcast_cli.config.registry import registry_of
from nowcast_cli.identifiers import new_id
from nowcast_cli.manager.admission import Admission
from nowcast_cli.manager.boot_clock import Uptime
from nowcast_cli.manager.happenings import Claimed, Ended, Lost, Overran, Stayed
from nowcast_cli.manager.intake import Intake
from nowcast_cli.manager.recovery import recover
from nowcast_cli.manager.retries import counted_anew
from nowcast_cli.manager.state import State
from nowcast_cli.manager.transitions import Decision, Launch
from nowcast_cli.manager.turn import Turn
from nowcast_cli.messages.message import Message
from nowcast_cli.store.database import Store
from nowcast_cli.store.records import JobPut, MessageReceived

WORKERS = ("a", "b", "c")
TYPES = {"success": "", "failure": "", "crash": "", "progress": "", "need": "", "clear": ""}
REGISTRY = registry_of(
    {
        "message registry": {
            "workers": {
                "a": {"checklist key": "A", **TYPES},
                "b": {"checklist key": "A", **TYPES},
                "c": {**TYPES, "clear checklist": ""},
            }
        }
    }
)
_ALL = ["crash", "failure", "lost"]
LIMITED = registry_of(
    {
        "jobs": {"concurrency": 3},
        "message registry": {
            "workers": {
                "a": {
                    "checklist key": "A",
                    **TYPES,
                    "concurrency": 1,
                    "retry": {"tries": 3, "delay": 10, "factor": 2, "on": _ALL},
                },
                "b": {**TYPES, "retry": {"tries": 2}, "idempotent": True, "concurrency": 2},
                # Without a crash message, and so without any that is derived.
                "c": {"success": "", "failure": "", "progress": "", "clear checklist": "",
                      "priority": 5, "retry": {"tries": 2, "on": "crash"}},
            }
        },
    }
)  # fmt: skip
LOGGER = logging.getLogger("test histories")

payloads = (
    st.none()
    | st.integers(0, 3)
    | st.dictionaries(
        st.sampled_from(["x", "y", 1]),
        st.integers(0, 9) | st.lists(st.integers(), max_size=2),
        max_size=2,
    )
    | st.just({f"k{n}": "v" * 300 for n in range(20)})
)
choices = st.integers(0, 5)
workers = st.sampled_from(WORKERS)
steps = st.one_of(
    st.tuples(st.just("message"), workers, st.sampled_from(["success", "progress"]), payloads),
    st.tuples(
        st.just("job message"),
        choices,
        st.sampled_from(["success", "failure", "progress"]),
        payloads,
    ),
    st.tuples(st.just("repeat"), choices),
    st.tuples(
        st.just("clear checklist"),
    ),
    st.tuples(st.just("decide"), st.lists(workers, max_size=3), st.frozensets(workers, max_size=3)),
    st.tuples(
        st.just("stick"),
    ),
    st.tuples(st.just("launch"), workers),
    st.tuples(st.just("claim"), choices),
    st.tuples(st.just("end"), choices),
    st.tuples(st.just("lose"), choices),
    st.tuples(st.just("cancel"), choices),
    st.tuples(st.just("rerun"), choices),
    st.tuples(
        st.just("save"),
    ),
)
# Of jobs that are launched, so that most of it has an effect.
of_jobs = st.one_of(
    st.tuples(st.just("launch"), workers),
    st.tuples(st.just("launch"), st.just("a")),
    st.tuples(st.just("finish"), choices, st.sampled_from(["success", "failure", "end", "lose"])),
    st.tuples(st.just("finish"), choices, st.sampled_from(["failure", "end", "lose"])),
    st.tuples(st.just("decide"), st.lists(workers, max_size=3), st.frozensets(workers, max_size=3)),
    st.tuples(st.just("overrun"), choices),
    st.tuples(st.just("wait"), st.sampled_from([1.0, 10.0, 20.0])),
    st.tuples(st.just("wait"), st.just(20.0)),
)
limits = st.one_of(
    of_jobs,
    of_jobs,
    of_jobs,
    steps,
    st.tuples(st.just("hold"), st.none() | workers),
    st.tuples(st.just("release"), st.none() | workers),
    st.tuples(st.just("stay"), choices),
    st.tuples(st.just("boot")),
    st.tuples(st.just("new manager")),
)


class World:
    """A manager without its edges."""

    def __init__(self, folder: Path, registry=REGISTRY) -> None:
        self.folder = folder
        self.registry = registry
        self.uptime = Uptime("first boot", 1000.0)
        self.admission = Admission(registry, lambda: self.uptime)
        self.store = Store(folder / "nowcast.db")
        self.state = State()
        self.intake = Intake(self.store, registry, {}, LOGGER, lambda: self.uptime)
        self.sent: list[Message] = []
        self.jobs: list[str] = []
        self.ends: Counter[str] = Counter()
        self.asked: set[int] = set()
        self.released: Counter[str] = Counter()

    def play(self, step: tuple) -> None:
        turn = Turn(self.state)
        getattr(self, step[0].replace(" ", "_"))(turn, *step[1:])
        self.intake.conclude(turn)
        turn.add(self.admission.admit(turn.state, turn.changes))
        turn.put_jobs_once()
        before = {job.id: job for job in self._all_jobs()}
        for change in turn.changes:
            if isinstance(change, JobPut):
                self._note(change.job, before.get(change.job.id))
                before[change.job.id] = change.job
        received = [change.message for change in turn.changes if type(change) is MessageReceived]
        to_decide = {message.number for message in received if message.state == "received"}
        assert turn.undecided().keys() == to_decide, "what a turn brought is decided after it"
        self.asked |= {entry.number for entry in turn.entries if entry.decide}
        self.store.commit(turn.changes)
        self.state = turn.state

    def _all_jobs(self):
        return [self.store.job(job_id) for job_id in self.jobs]

    def _note(self, job, before) -> None:
        if before is None:
            self.jobs.append(job.id)
        elif before.unfinished and not job.unfinished:
            self.ends[job.id] += 1
        elif not before.unfinished:
            assert job.state == before.state, "an end is for good"
        if before is not None and before.state == "held" and job.state in ("waiting", "submitting"):
            self.released[job.id] += 1

    def _send(self, turn, message: Message) -> None:
        self.sent.append(message)
        self.intake.message(turn, message, message.id, message.serialize())

    def _job(self, choice: int):
        return self.store.job(self.jobs[choice % len(self.jobs)]) if self.jobs else None

    def _undecided(self):
        return self.store.undecided_messages()

    # --- the steps

    def message(self, turn, worker, kind, payload) -> None:
        outcome = None if kind == "progress" else "success"
        self._send(turn, Message(worker, kind, payload, id=new_id(), outcome=outcome))

    def job_message(self, turn, choice, kind, payload) -> None:
        job = self._job(choice)
        if job is not None:
            outcome = None if kind == "progress" else kind
            message = Message(job.worker, kind, payload, id=new_id(), job=job.id, outcome=outcome)
            self._send(turn, message)

    def repeat(self, turn, choice) -> None:
        if not self.sent:
            return
        message = self.sent[choice % len(self.sent)]
        self.intake.message(turn, message, message.id, message.serialize())
        assert turn.changes == [], "a message sent twice has one effect"
        assert turn.state == self.state

    def clear_checklist(self, turn) -> None:
        self._send(turn, Message("c", "clear checklist", id=new_id()))
        assert turn.state.checklist == {}

    def decide(self, turn, launches, barrier) -> None:
        if undecided := self._undecided():
            decision = Decision(tuple(Launch(f"workers.{name}") for name in launches), barrier)
            self.intake.decision(turn, undecided[0], decision)

    def stick(self, turn) -> None:
        if undecided := self._undecided():
            self.intake.decision(turn, undecided[0], "Traceback\nKeyError: 'tide'")

    def launch(self, turn, worker) -> None:
        self._send(turn, Message("nowcast", "launch", {"module": f"workers.{worker}"}, id=new_id()))

    def claim(self, turn, choice) -> None:
        if (job := self._job(choice)) and job.state == "submitting":
            self.intake.happening(turn, Claimed(job.id, 7, "2026-11-22T03:04:05.000Z"))

    def end(self, turn, choice) -> None:
        if (job := self._job(choice)) and job.state not in ("held", "waiting"):
            self.intake.happening(turn, Ended(job.id, {"code": 1}, "it exited with code 1"))

    def lose(self, turn, choice) -> None:
        if (job := self._job(choice)) and job.state not in ("held", "waiting"):
            self.intake.happening(turn, Lost(job.id, "gone"))

    def cancel(self, turn, choice) -> None:
        if job := self._job(choice):
            self._send(turn, Message("nowcast", "cancel", {"job": job.id}, id=new_id()))

    def rerun(self, turn, choice) -> None:
        if job := self._job(choice):
            self._send(turn, Message("nowcast", "rerun", {"job": job.id}, id=new_id()))

    def save(self, turn) -> None:
        self.store.save_checklist(self.state.last_message)

    def hold(self, turn, worker) -> None:
        self._send(turn, Message("nowcast", "hold", {"worker": worker}, id=new_id()))
        assert worker in turn.state.holds

    def release(self, turn, worker) -> None:
        self._send(turn, Message("nowcast", "release", {"worker": worker}, id=new_id()))
        assert worker not in turn.state.holds

    def _launched(self, choice):
        states = ("submitting", "running")
        jobs = [job for job in self.state.jobs.values() if job.state in states]
        return sorted(jobs, key=lambda job: job.id)[choice % len(jobs)] if jobs else None

    def finish(self, turn, choice, how) -> None:
        """A job ends, by its message or without one; its process may go a little later."""
        job = self._launched(choice)
        if job is None:
            return
        if how == "lose":
            self.intake.happening(turn, Lost(job.id, "gone"))
            return
        if how != "end":
            message = Message(job.worker, how, None, id=new_id(), job=job.id, outcome=how)
            self._send(turn, message)
        if how == "end" or choice % 2:
            self.intake.happening(turn, Ended(job.id, {"code": 1}, "it exited with code 1"))

    def overrun(self, turn, choice) -> None:
        if job := self._launched(choice):
            self.intake.happening(turn, Overran(job.id, 60.0))
            assert turn.state.jobs[job.id].timed_out is not None

    def stay(self, turn, choice) -> None:
        if (job := self._job(choice)) and job.state not in ("held", "waiting"):
            self.intake.happening(turn, Stayed(job.id, "still there: process 7 (sleep)"))

    def wait(self, turn, seconds) -> None:
        self.uptime = Uptime(self.uptime.boot, self.uptime.seconds + seconds)

    def boot(self, turn) -> None:
        self.uptime = Uptime(f"boot of {new_id()}", 5.0)
        self.new_manager(turn)

    def new_manager(self, turn) -> None:
        turn.add(counted_anew(turn.state, self.uptime))
        self.admission = Admission(self.registry, lambda: self.uptime)

    # --- what must hold

    def check(self) -> None:
        self._check_state()
        self._check_places()
        for job in self._all_jobs():
            self._check_attempt(job)

    def _check_places(self) -> None:
        launched = Counter(
            job.worker for job in self.state.jobs.values() if job.state not in ("waiting", "held")
        )
        most = self.registry.concurrency
        assert most is None or launched.total() <= most
        full = {
            name
            for name, entry in self.registry.workers.items()
            if entry.jobs.concurrency is not None and launched[name] >= entry.jobs.concurrency
        }
        assert all(launched[name] == self.registry.jobs_of(name).concurrency for name in full)
        for job in self.state.jobs.values():
            in_the_way = (
                None in self.state.holds
                or job.worker in self.state.holds
                or (most is not None and launched.total() >= most)
                or job.worker in full
                or self.uptime.left(job.delay) > 0
                or (job.predecessor in self.state.jobs)
                or self._is_full(job)
            )
            assert job.state != "waiting" or in_the_way, "a free place is given at once"
        anew = Admission(self.registry, lambda: self.uptime)
        assert anew.admit(self.state, ()).changes == (), "what is followed is what is true"

    def _is_full(self, job) -> bool:
        """Say whether as many members of a job's ensemble have a place as may at once."""
        if job.member is None or job.member.at_most is None:
            return False
        members = [each for each in self.state.jobs.values() if each.ensemble == job.ensemble]
        taken = sum(each.state not in ("waiting", "held") for each in members)
        return taken >= job.member.at_most

    def _check_attempt(self, job) -> None:
        """Only the last attempt asks what follows, and the next one is of the same place."""
        retry = self.registry.jobs_of(job.worker).retry
        assert job.tried <= (1 if retry is None else retry.tries)
        message = None
        if job.final_message is not None:
            message = self.store.message_by_number(job.final_message)
        following = [each for each in self._all_jobs() if each.predecessor == job.id]
        following = [each for each in following if each.tried == job.tried + 1]
        ending = {"failed": "failure", "lost": "lost"}.get(job.state, "crash")
        bad = job.state in ("failed", "crashed", "lost", "timed out")
        tries = bad and retry is not None and ending in retry.on and job.tried < retry.tries
        assert len(following) == tries, "a bad end has one other try, while there is one"
        assert job.timed_out is None or job.state not in ("failed", "crashed", "lost")
        if message is not None and not following and job.ensemble is None:
            assert message.note is None
            assert message.number in self.asked
        for each in following:
            assert job.state in ("failed", "crashed", "lost", "timed out")
            assert (each.chain, each.cause, each.barrier) == (job.chain, job.cause, job.barrier)
            # One that waited and was ended by a message has never begun.
            never_begun = each.state == "waiting" or (each.pid is None and each.exit == {})
            assert never_begun or job.id not in self.state.jobs
            if message is not None:
                assert message.state == "decided"
                assert message.note == f"tried again as job {each.id}"
                assert message.number not in self.asked

    def _copy(self) -> Path:
        copy = self.folder / "copy.db"
        with (
            contextlib.closing(sqlite3.connect(self.folder / "nowcast.db")) as source,
            contextlib.closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
        return copy

    def _check_state(self) -> None:
        next_manager = Store(self._copy())  # in the store itself it would depose this manager
        try:
            recovered = recover(next_manager, self.folder / "no-checklist.yaml", LOGGER)
            assert recovered == self.state
            document = yaml.load(next_manager.text.document(), Loader=yaml.CSafeLoader)
            assert document == self.state.checklist
        finally:
            next_manager.close()
        assert set(self.ends.values()) <= {1}, "every job ends at most once"
        assert set(self.released.values()) <= {1}, "what was held is released once"
        active = {barrier.number for barrier in self.state.barriers}
        held = [job for job in self.state.jobs.values() if job.state == "held"]
        assert {job.barrier for job in held} <= active, "nothing is held by a barrier that is over"
        waited_for = [name for barrier in self.state.barriers for name in barrier.waiting_for]
        assert len(waited_for) == len(set(waited_for)), "no worker is in two barriers"
        assert all(barrier.waiting_for for barrier in self.state.barriers)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    history=st.lists(steps, max_size=25).map(lambda history: (REGISTRY, history))
    | st.lists(limits, min_size=20, max_size=40).map(lambda history: (LIMITED, history))
)
def test_after_every_step_the_store_tells_the_state_and_the_rules_hold(history):
    registry, history = history
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), registry)
        for step in history:
            world.play(step)
            world.check()
        world.store.close()


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_barrier_releases_once_and_only_with_its_last_worker_whatever_the_order(data):
    order = data.draw(st.permutations(WORKERS))
    repeated = data.draw(st.lists(workers, max_size=3))
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        world.play(("message", "a", "success", None))
        world.play(("decide", [], frozenset(WORKERS)))
        for number, worker in enumerate(order, start=1):
            extra = repeated.pop() if repeated else None
            for name in [worker] if extra not in order[: number - 1] else [extra, worker]:
                world.play(("message", name, "success", None))
                world.play(("decide", ["a"], frozenset()))
            # A worker that has ended and comes again is not waited for: it changes nothing.
            held = [job for job in world._all_jobs() if job.state == "held"]
            assert len(held) == (number if number < len(order) else 0)
        assert world.state.barriers == ()
        # What follows from the last one is held and released in one turn, and written once.
        assert list(world.released.values()) == [1] * (len(order) - 1)
        assert {job.state for job in world._all_jobs()} == {"submitting"}
        world.store.close()


def test_what_a_decision_launches_is_not_held_by_the_barrier_that_it_raises():
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        world.play(("message", "a", "success", None))
        world.play(("decide", ["a", "b"], frozenset({"a", "b"})))
        assert [job.state for job in world._all_jobs()] == ["submitting", "submitting"]
        assert world.state.barriers[0].waiting_for == ("a", "b")
        world.store.close()


def test_a_checklist_that_came_by_file_outlives_a_kill_before_it_is_saved(tmp_path):
    (tmp_path / "file.yaml").write_text("weather: ready\n")
    store = Store(tmp_path / "nowcast.db")
    world_state = recover(store, tmp_path / "file.yaml", LOGGER)
    turn = Turn(world_state)
    message = Message("a", "success", 1, id=new_id(), outcome="success")
    Intake(store, REGISTRY, {}, LOGGER).message(turn, message, message.id, message.serialize())
    store.commit(turn.changes)
    store.close()  # nothing else was written

    next_manager = Store(tmp_path / "nowcast.db")
    recovered = recover(next_manager, tmp_path / "none.yaml", LOGGER)
    assert recovered.checklist == {"weather": "ready", "A": 1}
    next_manager.close()


@settings(max_examples=40, deadline=None)
@given(
    kinds=st.lists(st.sampled_from(["success", "failure", "end", "lose"]), min_size=1, max_size=4)
)
def test_the_first_end_of_a_job_wins(kinds):
    ends = {"success": "succeeded", "failure": "failed", "end": "crashed", "lose": "lost"}
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        world.play(("launch", "a"))
        world.play(("claim", 0))
        for kind in kinds:
            world.play((kind, 0) if kind in ("end", "lose") else ("job message", 0, kind, None))
        assert world._job(0).state == ends[kinds[0]]
        finals = [message for message in world._undecided() if message.outcome is not None]
        assert len(finals) == 1
        world.store.close()


def test_a_failure_after_the_timeout_counts_as_a_crash():
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), LIMITED)
        for step in [("launch", "c"), ("overrun", 0), ("finish", 1, "failure")]:
            world.play(step)
            world.check()
        assert [job.state for job in world._all_jobs()] == ["timed out", "submitting"]
        world.store.close()


def test_a_job_that_ends_by_message_and_was_never_launched_takes_no_place():
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), LIMITED)
        for step in [("launch", "a"), ("launch", "a"), ("job message", 1, "success", None)]:
            world.play(step)
            world.check()
        assert [job.state for job in world._all_jobs()] == ["submitting", "succeeded"]
        assert list(world.state.jobs) == world.jobs[:1]
        world.store.close()
