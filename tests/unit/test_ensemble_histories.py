"""Generated histories with ensembles: one combined message each, whatever becomes of the members.

A model beside the manager counts how members end, by what the steps did to them.
"""

import tempfile
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_histories import TYPES, World, choices, of_jobs

from nowcast_cli.config.ensembles import EnsembleSettings, members_of
from nowcast_cli.config.registry import registry_of
from nowcast_cli.identifiers import new_id
from nowcast_cli.manager.recovery import payload_of
from nowcast_cli.manager.transitions import Decision, Launch
from nowcast_cli.manager.turn import Turn
from nowcast_cli.messages.message import Message
from nowcast_cli.store.records import EnsemblePut

REGISTRY = registry_of(
    {
        "message registry": {
            "workers": {
                "a": {"checklist key": "A", **TYPES},
                "b": {
                    "checklist key": "B",
                    **TYPES,
                    "retry": {"tries": 2, "on": ["crash", "lost"]},
                },
                # Without a crash message, and so without any that is derived.
                "c": {"success": "", "failure": "", "progress": "", "clear checklist": ""},
            }
        }
    }
)

workers = st.sampled_from(["a", "b", "c"])
sizes = st.integers(1, 5)
wishes = st.builds(
    lambda size, at_most, ending: EnsembleSettings(
        members_of(range(1, size + 1)),
        at_most,
        min(ending, size) if isinstance(ending, int) else ending,
    ),
    sizes,
    st.none() | st.integers(1, 3),
    st.sampled_from(["all", "any", 1, 2, 3, None]),
)
ensemble_steps = st.one_of(
    st.tuples(st.just("launch ensemble"), workers, wishes),
    st.tuples(
        st.just("decide ensemble"),
        st.lists(st.tuples(workers, wishes), max_size=2),
        st.frozensets(workers, max_size=2),
    ),
    st.tuples(st.just("tell"), choices, st.sampled_from(["success", "progress"])),
    st.tuples(
        st.just("finish"),
        choices,
        st.sampled_from(["success", "success", "failure", "end", "lose"]),
    ),
    st.tuples(st.just("finish"), choices, st.just("success")),
    st.tuples(st.just("cancel"), choices),
    st.tuples(st.just("cancel ensemble"), choices),
    st.tuples(st.just("rerun ensemble"), choices, st.booleans()),
    st.tuples(st.just("rerun"), choices),
    st.tuples(st.just("overrun"), choices),
    st.tuples(st.just("stay"), choices),
    st.tuples(st.just("new manager")),
    st.tuples(st.just("hold"), st.none() | workers),
    st.tuples(st.just("release"), st.none() | workers),
)
steps = st.one_of(ensemble_steps, ensemble_steps, ensemble_steps, of_jobs)


class Ensembles(World):
    """A manager without its edges, and what must hold of its ensembles."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, REGISTRY)
        self.ensembles: list[str] = []
        self.cancelled_by_hand: set[str] = set()

    def _known(self):
        """Take note of ensembles that the last step has made."""
        for ensemble_id in self.state.ensembles:
            if ensemble_id not in self.ensembles:
                self.ensembles.append(ensemble_id)
        for job in self._all_jobs():
            if job.ensemble is not None and job.ensemble not in self.ensembles:
                self.ensembles.append(job.ensemble)
        return [self.store.ensemble(each) for each in self.ensembles]

    def _ensemble(self, choice):
        known = self._known()
        return known[choice % len(known)] if known else None

    # --- the steps

    def launch_ensemble(self, turn, worker, wish) -> None:
        payload = {
            "module": f"workers.{worker}",
            "arguments": ["--member", "{member}"],
            "members": [row[0] for row in wish.members.rows],
            "at most": wish.at_most,
            "ends when": wish.ending,
        }
        self._send(turn, Message("nowcast", "launch", payload, id=new_id()))

    def decide_ensemble(self, turn, launches, barrier) -> None:
        if undecided := self._undecided():
            wanted = tuple(Launch(f"workers.{name}", ensemble=wish) for name, wish in launches)
            self.intake.decision(turn, undecided[0], Decision(wanted, barrier))

    def tell(self, turn, choice, kind) -> None:
        """A member that runs says something that is worth to be kept, maybe for the last time."""
        job = self._launched(choice)
        if job is not None:
            outcome = None if kind == "progress" else kind
            payload = {"of": job.id}
            message = Message(job.worker, kind, payload, id=new_id(), job=job.id, outcome=outcome)
            self._send(turn, message)

    def recount(self, turn) -> None:
        self.intake.recount(turn)

    def all_succeed(self, turn) -> None:
        for job in list(turn.state.jobs.values()):
            message = Message(
                job.worker, "success", None, id=new_id(), job=job.id, outcome="success"
            )
            self._send(turn, message)

    def say(self, turn, message) -> None:
        self._send(turn, message)

    def cancel_ensemble(self, turn, choice) -> None:
        ensemble = self._ensemble(choice)
        if ensemble is not None:
            if ensemble.unfinished:
                self.cancelled_by_hand.add(ensemble.id)
            self._send(turn, Message("nowcast", "cancel", {"job": ensemble.id}, id=new_id()))
            assert ensemble.id not in turn.state.ensembles

    def rerun_ensemble(self, turn, choice, failed) -> None:
        ensemble = self._ensemble(choice)
        if ensemble is not None:
            payload = {"job": ensemble.id, "failed": failed}
            self._send(turn, Message("nowcast", "rerun", payload, id=new_id()))

    # --- what must hold

    def check(self) -> None:
        super().check()
        members = defaultdict(list)
        for job in self._all_jobs():
            if job.ensemble is not None:
                members[job.ensemble].append(job)
        turn = Turn(self.state)
        self.intake.recount(turn)
        assert turn.changes == [], "a manager that begins finds them counted"
        messages = self._messages()
        for ensemble in self._known():
            self._check_ensemble(ensemble, members[ensemble.id], messages)
        for job in self._all_jobs():
            if job.member is not None and job.final_message is not None:
                told = self.store.message_by_number(job.final_message)
                assert told.state == "decided", "the end of a member asks nobody what follows"
                assert told.number not in self.asked
                said = payload_of(told)
                assert said is None or [*said] == [job.member.label]

    def _messages(self):
        found = (self.store.message_by_number(n) for n in range(1, self.state.last_message + 1))
        return [message for message in found if message is not None]

    def _last(self, ensemble, members):
        """Give the last job of each member by its place, also of those that did not run again."""
        last = {}
        if ensemble.predecessor is not None:
            before = self.store.ensemble(ensemble.predecessor)
            jobs = [job for job in self._all_jobs() if job.ensemble == before.id]
            last = self._last(before, jobs)
        for job in sorted(members, key=lambda job: job.id):
            last[job.member.index] = job
        return last

    def _check_ensemble(self, ensemble, members, messages) -> None:
        last = self._last(ensemble, members)
        assert sorted(last) == list(range(ensemble.size)), "each member has a job"
        states = Counter(
            "open" if job.unfinished
            else job.state if job.state in ("succeeded", "failed", "cancelled")
            else "crashed"
            for job in last.values()
        )  # fmt: skip
        told = [each for each in messages if each.id == f"ensemble-{ensemble.id}"]
        running = [job for job in members if job.state in ("submitting", "running")]
        if ensemble.at_most is not None:
            assert len(running) <= ensemble.at_most
        assert (ensemble.id in self.state.ensembles) == ensemble.unfinished
        counts = {
            "succeeded": ensemble.succeeded,
            "failed": ensemble.failed,
            "crashed": ensemble.crashed,
            "cancelled": ensemble.cancelled,
            "open": ensemble.left,
        }
        assert states == Counter({state: n for state, n in counts.items() if n})
        expected = self._expected(ensemble, states)
        if ensemble.unfinished:
            assert expected is None, "it is open while it could end in another way"
            assert told == []
            return
        assert not states["open"], "nothing of it goes on after its end"
        assert ensemble.state == expected
        has_message = expected in ("succeeded", "failed") or (
            expected == "crashed" and ensemble.worker != "c"
        )
        assert len(told) == has_message, "one message tells of all members"
        if not told:
            return
        (message,) = told
        assert (message.job, message.chain) == (None, ensemble.chain)
        assert message.number == ensemble.final_message
        assert message.number in self.asked
        outcome = {"succeeded": "success", "failed": "failure", "crashed": "crash"}[expected]
        assert message.outcome == outcome
        payload = payload_of(message)
        labels = defaultdict(list)
        for _, job in sorted(last.items()):
            labels[job.state].append(job.member.label)
            if job.state == "succeeded":
                said = payload_of(self.store.message_by_number(job.final_message))
                assert payload[job.member.label] == (said and said[job.member.label])
        bad = [*labels["failed"], *labels["crashed"], *labels["timed out"], *labels["lost"]]
        assert sorted(payload["failed"]) == sorted(bad)
        assert payload["cancelled"] == labels["cancelled"]
        assert len(payload) == 2 + len(labels["succeeded"])

    def _expected(self, ensemble, states):
        if ensemble.id in self.cancelled_by_hand:
            return "cancelled"
        least, left = ensemble.at_least, states["open"]
        # Those that were cancelled at its end were open before it.
        if least is not None and states["succeeded"] >= least:
            return "succeeded"
        if least is None and left:
            return None
        if least is not None and states["succeeded"] + left >= least:
            return None
        if states["succeeded"] == ensemble.size:
            return "succeeded"
        if states["failed"]:
            return "failed"
        return "crashed" if states["succeeded"] or states["crashed"] else "cancelled"


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(history=st.lists(steps, min_size=8, max_size=35))
def test_an_ensemble_ends_once_by_its_rule_and_says_so_in_one_message(history):
    with tempfile.TemporaryDirectory() as folder:
        world = Ensembles(Path(folder))
        for step in history:
            world.play(step)
            world.check()
        world.store.close()


@pytest.mark.parametrize(
    ("ending", "ends", "state", "failed", "cancelled"),
    [
        ("all", ["success"] * 3, "succeeded", [], []),
        ("all", ["success", "failure", "success"], "failed", [2], []),
        ("all", ["end", "success", "success"], "crashed", [1], []),
        ("any", ["failure", "success"], "succeeded", [1], [3]),
        ("any", ["end", "lose", "end"], "crashed", [1, 2, 3], []),
        (2, ["success", "success"], "succeeded", [], [3]),
        (2, ["failure", "failure"], "failed", [1, 2], [3]),
        (3, ["success", "end"], "crashed", [2], [3]),
    ],
)
def test_how_an_ensemble_ends(tmp_path, ending, ends, state, failed, cancelled):
    world = Ensembles(tmp_path)
    world.play(("launch ensemble", "a", EnsembleSettings(members_of("1..3"), None, ending)))
    world.check()
    for number, how in enumerate(ends):
        if number:
            assert world.state.ensembles, "it has not ended before"
        world.play(("finish", 0, how))
        world.check()
    (ensemble,) = world._known()
    assert ensemble.state == state
    message = world.store.message_by_number(ensemble.final_message)
    assert payload_of(message)["failed"] == failed
    assert payload_of(message)["cancelled"] == cancelled
    assert world.state.checklist["A"]["failed"] == failed
    world.store.close()


def test_an_ensemble_passes_a_barrier_as_one_worker(tmp_path):
    world = Ensembles(tmp_path)
    world.play(("message", "a", "success", None))
    wish = EnsembleSettings(members_of("1..2"))
    world.play(("decide ensemble", [("a", wish), ("b", EnsembleSettings())], frozenset("ab")))
    for job in list(world.state.jobs.values()):
        if job.worker == "b":
            message = Message("b", "success", 1, id=new_id(), job=job.id, outcome="success")
            world.play(("say", message))
    world.play(("decide ensemble", [("c", wish)], frozenset()))
    assert {job.state for job in world.state.jobs.values() if job.worker == "c"} == {"held"}
    for number in range(2):
        assert world.state.barriers, "the members alone do not pass it"
        job = next(j for j in world.state.jobs.values() if j.worker == "a" and j.unfinished)
        message = Message("a", "success", number, id=new_id(), job=job.id, outcome="success")
        world.play(("say", message))
        world.check()
    assert world.state.barriers, "nor does it before what follows from it is decided"
    world.play(("decide ensemble", [], frozenset()))
    assert world.state.barriers == ()
    assert {job.state for job in world.state.jobs.values() if job.worker == "c"} == {"submitting"}
    assert world.state.checklist["A"] == {1: 0, 2: 1, "failed": [], "cancelled": []}
    world.store.close()


def test_ensembles_that_end_in_one_turn_each_ask_what_follows(tmp_path):
    world = Ensembles(tmp_path)
    for ending in ("all", "any"):
        world.play(("launch ensemble", "a", EnsembleSettings(members_of("1..2"), None, ending)))
    world.play(("all succeed",))
    world.check()
    undecided = world._undecided()
    assert [each.id for each in undecided] == [f"ensemble-{each.id}" for each in world._known()]
    world.store.close()


def test_members_that_a_restored_store_knows_nothing_of_count_as_lost(tmp_path):
    world = Ensembles(tmp_path)
    world.play(("launch ensemble", "a", EnsembleSettings(members_of("1..2"))))
    (known,) = world._known()
    more = replace(known, size=3)  # the third one has left no folder
    world.store.commit([EnsemblePut(more)])
    world.state = replace(world.state, ensembles={known.id: more})
    for how in ("success", "success"):
        world.play(("finish", 0, how))
    assert world.state.ensembles[known.id].left == 1
    world.play(("recount",))
    ended = world.store.ensemble(known.id)
    assert (ended.state, ended.succeeded, ended.crashed) == ("crashed", 2, 1)
    assert len(world._undecided()) == 1
    world.play(("recount",))
    assert world.store.ensemble(known.id) == ended
    world.store.close()


def test_only_the_failed_members_run_again_and_the_others_are_told_with_them(tmp_path):
    world = Ensembles(tmp_path)
    world.play(("launch ensemble", "a", EnsembleSettings(members_of("1..3"))))
    for how in ("success", "end", "success"):
        world.play(("finish", 0, how))
    world.play(("rerun ensemble", 0, True))
    world.check()
    first, second = world._known()
    assert (first.state, second.left, second.succeeded) == ("crashed", 1, 2)
    again = [job for job in world.state.jobs.values() if job.ensemble == second.id]
    assert [(job.member.label, job.attempt) for job in again] == [(2, 2)]
    assert again[0].arguments == ("--member", "2")
    message = Message("a", "success", "done", id=new_id(), job=again[0].id, outcome="success")
    world.play(("say", message))
    world.check()
    told = payload_of(world.store.message_by_number(world.store.ensemble(second.id).final_message))
    assert told == {1: None, 2: "done", 3: None, "failed": [], "cancelled": []}
    world.store.close()


@pytest.mark.parametrize(
    ("kind", "size", "begun"),
    [("slurm", 5, 5), ("sge", 5, 5), ("pbs", 5, 2), ("local", 5, 2), ("slurm", 1001, 2)],
)
def test_what_one_job_array_holds_is_given_to_it_at_once(tmp_path, kind, size, begun):
    world = Ensembles(tmp_path)
    world.registry = registry_of(
        {
            "executors": {"default": kind},
            "message registry": {
                "workers": {"a": {**TYPES, "retry": {"tries": 2, "on": ["crash"]}}}
            },
        }
    )
    world.intake.use(world.registry)
    world.admission.use(world.registry)
    world.play(("launch ensemble", "a", EnsembleSettings(members_of(f"1..{size}"), 2)))
    states = Counter(job.state for job in world.state.jobs.values())
    assert states == Counter({"submitting": begun, "waiting": size - begun})
    # What is tried again is no element of it: it waits until fewer than may run at once are left.
    world.play(("finish", 0, "end"))
    states = Counter(job.state for job in world.state.jobs.values())
    assert states["submitting"] == (begun - 1 if begun > 2 else 2)
    assert states["waiting"] == (1 if begun > 2 else size - 2)
    world.store.close()
