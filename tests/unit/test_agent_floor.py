"""Whatever comes in whatever order: no job is for two agents that may know of it."""

from __future__ import annotations

from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from nowcast_cli.config.registry import Registry
from nowcast_cli.executors.job_folder import JobRequest
from nowcast_cli.executors.native import Verdict
from nowcast_cli.manager.agent_floor import AgentFloor
from nowcast_cli.manager.agent_lines import Lines
from nowcast_cli.manager.agent_registry import AgentRegistry
from nowcast_cli.messages.agent_messages import Limits, Register, Report
from nowcast_cli.store.records import (
    AgentPut,
    AssignmentDropped,
    AssignmentPut,
)

NAMES = st.sampled_from(["east", "west"])
JOBS = st.integers(0, 2)
LEASE = 60.0


class Rows:
    """What a store would have of the changes that were committed."""

    def __init__(self):
        self.assigned = {}
        self.known = {}

    def commit(self, changes):
        for change in changes:
            match change:
                case AssignmentPut(found):
                    self.assigned[found.job] = found
                case AssignmentDropped(job):
                    del self.assigned[job]
                case AgentPut(agent):
                    self.known[agent.name] = agent

    def open_assignments(self):
        return list(self.assigned.values())

    def agents(self):
        return list(self.known.values())

    def job(self, job_id):
        return None

    def assignment(self, job_id):
        return self.assigned.get(job_id)


class Executor:
    def hint(self, job_id):
        pass


def request(number):
    return JobRequest(
        id=f"job{number}", attempt=1, worker="w", module="w", arguments=("c",),
        folder=str(Path("/nowhere") / f"job{number}"), config_file="c",
        working_directory="/", environment={},
    )  # fmt: skip


class Floor(RuleBasedStateMachine):
    """Jobs come, agents come and go silent, orders leave, managers die at any commit."""

    def __init__(self):
        super().__init__()
        self.rows = Rows()
        self.now = 0.0
        self.told = {}  # by job, the agents that were ever given an order for it
        self.submitted = set()
        self.over = set()
        self.begin_manager()

    def begin_manager(self):
        agents = AgentRegistry(LEASE, self.rows.agents(), self.now)
        lines = Lines(None, lambda *_: None, lambda: self.now)
        registry = Registry({}, "next_workers", {})
        self.floor = AgentFloor(self.rows, registry, agents, lines, lambda: self.now)
        for number in sorted(self.submitted - self.over):
            self.floor.submit(request(number), Executor())

    def commit(self):
        self.rows.commit(self.floor.changes)
        self.floor.changes, self.floor.notes = [], []

    @rule(number=JOBS)
    def submit(self, number):
        if number not in self.submitted:
            self.submitted.add(number)
            self.floor.submit(request(number), Executor())

    @rule(name=NAMES, slots=st.integers(1, 3))
    def register(self, name, slots):
        host = Register(
            name,
            "i",
            "b",
            f"m-{name}",
            "h",
            "1",
            "3",
            "/s",
            8,
            100,
            0.0,
            limits=Limits(slots=slots),
        )
        agent = self.floor.agents.registered(host, self.now, 0.0, "at")
        self.floor.changes.append(AgentPut(agent.record))

    @rule(turns=st.sampled_from([8, 16, 16]))
    def time_passes(self, turns):
        for _ in range(turns):
            self.now += 4.0
            self.floor.agents.listened(self.now)
        for agent in self.floor.agents.expired(self.now):
            self.floor.went_offline(agent)

    @rule(name=NAMES)
    def order(self, name):
        """Hear of an agent, place and commit, then give it its order."""
        self.now += 0.5
        self.floor.agents.reported(Report(name, "i", 1, 0.0, 100, 0.0), self.now, 0.0)
        self.floor.stir()
        self.floor.place()
        self.commit()
        agent = self.floor.agents.agents.get(name)
        if agent is None or not agent.speaks or agent.offline:
            return
        for job in self.floor.jobs.on(name):
            job.handed = True
            if job.begin and not job.claimed:
                self.told.setdefault(job.request.id, set()).add(name)

    @rule(committed=st.booleans())
    def manager_dies(self, committed):
        if committed:
            self.commit()
        self.begin_manager()

    @rule(number=JOBS, name=NAMES)
    def assign(self, number, name):
        job = self.floor.jobs.get(f"job{number}")
        if number in self.submitted and (job is None or not job.handed) and number not in self.over:
            self.floor.choose(f"job{number}", name)

    @precondition(lambda self: self.told)
    @rule(data=st.data())
    def job_ends(self, data):
        job_id = data.draw(st.sampled_from(sorted(self.told)))
        job = self.floor.jobs.get(job_id)
        if job is not None and job.agent in self.told[job_id] and not job.over:
            job.over, job.verdict = True, Verdict("lost", "it went")
            self.floor.free(job)
            self.over.add(int(job_id[3:]))
            self.rows.assigned.pop(job_id, None)

    @invariant()
    def no_job_is_told_to_two_agents(self):
        assert all(len(agents) == 1 for agents in self.told.values())

    @invariant()
    def each_job_is_in_one_place(self):
        jobs = self.floor.jobs
        queued = [job for queue in jobs.queues.values() for job in queue]
        there = [job for taken in jobs.taken.values() for job in taken]
        assert len(queued) == jobs.waiting
        assert len(set(queued + there)) == len(queued) + len(there)
        open_jobs = {f"job{number}" for number in self.submitted - self.over}
        assert open_jobs == set(queued + there)
        for queue in jobs.queues.values():
            assert list(queue) == sorted(queue)


TestFloor = Floor.TestCase
TestFloor.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)


def test_a_job_of_which_an_earlier_manager_may_have_told_stays_with_its_agent():
    system = Floor()
    system.register("east", 2)
    system.submit(0)
    system.order("east")
    system.manager_dies(committed=True)
    system.register("west", 2)
    system.time_passes(16)
    system.order("west")
    assert system.told == {"job0": {"east"}}


def test_a_job_of_which_no_agent_was_told_goes_to_another():
    system = Floor()
    system.register("east", 2)
    system.submit(0)
    system.floor.place()
    system.register("west", 2)
    system.time_passes(16)
    system.order("west")
    assert system.told == {"job0": {"west"}}
