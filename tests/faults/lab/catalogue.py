"""Every fault that the lab knows: its kind, its place, what a system needs for it, its rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

KILL, TERM, STOP = "kill -9", "SIGTERM", "SIGSTOP, SIGCONT"
CRASH, FREEZE = "kill -9 at a point", "SIGSTOP at a point"
DISK, READ_ONLY, DESCRIPTORS = "full disk", "read-only folder", "no descriptors left"
PORT, CLOCK, TORN, FOREIGN = "port taken", "clock jumps by 1 h", "torn bytes", "foreign bytes"
GARBAGE, SLOW_READER, REPEATS = "TCP garbage", "slow reader", "repeated request"
FROZEN = "leader frozen"
FLOOD, LARGE, CABLE = "message flood", "20 MB payload", "cable pulled"

DAEMONS = ("manager", "message_broker", "launcher", "decider")
MORE_DAEMONS = ("scheduler", "log_aggregator")
OF_JOBS = ("runner", "worker", "spare runner", "spare worker")

# By room, in the order in which a message and a job pass them.
POINTS: Mapping[str, tuple[str, ...]] = {
    "client": ("before_send", "sent", "answered", "waited_in_vain"),
    "outbox": ("before_put", "put"),
    "broker": (
        "received", "kept", "offered", "heard_the_manager", "before_the_answer", "answered",
    ),
    "message_broker": ("locked",),
    "manager": (
        "locked", "received", "before_commit", "before_acting", "before_an_answer", "answered",
        "before_deciding", "enqueued", "before_launching", "launched", "emptied_an_outbox",
    ),
    "store": ("begun", "written", "committed", "saving_the_checklist", "saved_the_checklist"),
    "files": ("written", "renamed"),
    "decider": ("loaded", "received", "decided", "answered"),
    "launcher": (
        "locked", "warm", "received", "took_the_spare_pair", "forked", "ordered", "reaped",
    ),
    "runner": ("ordered", "prepared", "passed_the_order_on", "before_exit", "after_exit"),
    "step": ("spawned", "claimed", "brought_its_inputs", "let_go"),
    "publish": (
        "noted", "probed", "staged", "prepared", "ready", "unmarked", "renamed", "synced",
        "forgotten",
    ),
    "worker": (
        "forked", "ordered", "before_claim", "linked", "claimed", "told_of_its_claim",
        "opened_its_streams",
    ),
    "prevent": ("written", "linked"),
    "scheduler": ("locked", "before_asking", "asked", "answered"),
    "log_aggregator": ("locked",),
    "standby": ("locked",),
    "aggregator": ("before_offsets", "saved_offsets"),
}  # fmt: skip
# Reached where actions are carried out, or somebody follows events: ``test_action_faults`` kills
# there.
OF_ACTIONS = (
    "action_host.received", "action_host.gave", "action_host.heard", "action_host.told",
    "action_worker.received", "action_worker.carried_out", "action_worker.answered",
    "broker.heard_a_performer", "broker.told_the_manager", "broker.told_a_performer",
    "broker.heard_a_subscription", "broker.published",
    "manager.heard_a_performer", "manager.acknowledged", "manager.gave_orders",
    "manager.before_publishing",
    "service.received", "service.carried_out", "service.told",
    "file_watcher.found", "file_watcher.answered", "file_watcher.remembered",
)  # fmt: skip
# Reached only while a system is set up or moved, or on clusters and by agents, which the lab has
# not: tried by tests of their own.
RARE_POINTS = frozenset(
    {
        "manager.read_the_checklist_file", "manager.set_a_checklist_aside",
        "batch.before_submit", "batch.submitted", "batch.noted", "node.ordered",
        "agent.ordered", "agent.carried_out", "agent.told",
        "serving.ordered", "serving.carried_out",
        "registration.placed", "registration.registered", "products.removed_a_file",
        *OF_ACTIONS,
    }
)  # fmt: skip
# What has to be killed for such a point to be reached soon.
AT_THE_START = frozenset({"locked", "warm", "loaded"})
_OF_COMMANDS = ("step", "publish")
_OF_MORE_DAEMONS = ("scheduler", "log_aggregator", "aggregator")
# A stopped one of these holds up what waits for it until it is continued, and no longer.
_FREEZABLE = ("broker", "manager", "store", "files", "launcher", "runner", "worker", "client")

# Where the leader stands still for longer than its lease: anywhere, and at these points.
FROZEN_AT = (
    "manager",
    "manager.locked",
    "store.begun",
    "store.written",
    "manager.before_an_answer",
)
FULL_PLACES = ("state directory",)
READ_ONLY_PLACES = ("jobs", "logs", "run", "outbox", "state directory")
STARVED = ("manager", "message_broker", "launcher")

# Files that are read when a process of the system starts; see ``faults/torn.py``.
FILES_READ = (
    "manager.pid", "message_broker.pid", "launcher.pid", "manager.lock", "message_broker.lock",
    "launcher.lock", "manager.sock", "message_broker.sock", "launcher.sock", "checklist file",
    "nowcast.db", "nowcast.db-wal", "nowcast.db-shm", "outbox", "outbox of a job", "pid of a job",
    "exit of a job", "job.json of a job", "nowcast.yaml", "next_workers.py",
)  # fmt: skip
FILES_READ_BY_MORE_DAEMONS = ("log_offsets.json", "log spool", "scheduler.pid")


@dataclass(frozen=True)
class Entry:
    """A kind of fault at a place.

    ``needs`` is what the system has to be made with: ``disk``, ``clock``, ``standby``, ``all
    daemons``. ``rate`` is how often it is drawn where that is so, relative to others; 0 for what
    comes only by a flavour of its own.
    """

    kind: str
    place: str
    rate: int
    needs: str | None = None


def _entries() -> list[Entry]:
    found = [Entry(KILL, place, 6) for place in DAEMONS]
    found += [Entry(KILL, "runner", 30), Entry(KILL, "worker", 34)]
    found += [Entry(KILL, place, 4) for place in ("spare runner", "spare worker")]
    found += [Entry(KILL, place, 15, "all daemons") for place in MORE_DAEMONS]
    found += [Entry(TERM, place, 2) for place in ("manager", "message_broker", "launcher")]
    found += [Entry(TERM, "worker", 10)]
    found += [Entry(STOP, place, 8) for place in (*DAEMONS, *OF_JOBS)]
    found += [Entry(STOP, place, 15, "all daemons") for place in MORE_DAEMONS]
    found += [Entry(kind, "standby", 15, "standby") for kind in (KILL, STOP)]
    found += [Entry(FROZEN, place, 8, "standby") for place in FROZEN_AT]
    for room, points in POINTS.items():
        needs = "all daemons" if room in _OF_MORE_DAEMONS else None
        needs = "standby" if room == "standby" else needs
        needs = "commands" if room in _OF_COMMANDS else needs
        rate = {
            "client": 5,
            "runner": 6,
            "worker": 6,
            "outbox": 2,
            "prevent": 1,
            "step": 15,
            "publish": 15,
        }.get(room, 2)
        found += [Entry(CRASH, f"{room}.{point}", rate, needs) for point in points]
        if room in _FREEZABLE:
            found += [Entry(FREEZE, f"{room}.{point}", 2, needs) for point in points]
    found += [Entry(DISK, place, 25, "disk") for place in FULL_PLACES]
    found += [Entry(READ_ONLY, place, 8, "disk") for place in READ_ONLY_PLACES]
    found += [Entry(DESCRIPTORS, place, 5) for place in STARVED]
    found += [Entry(PORT, place, 2) for place in ("workers", "manager")]
    found += [Entry(CLOCK, place, 25, "clock") for place in ("forward", "back")]
    for kind in (TORN, FOREIGN):
        found += [Entry(kind, place, 1) for place in FILES_READ]
        found += [Entry(kind, place, 4, "all daemons") for place in FILES_READ_BY_MORE_DAEMONS]
    found += [Entry(GARBAGE, place, 3) for place in ("workers' port", "manager's port")]
    found += [Entry(GARBAGE, place, 1) for place in ("health socket", "launcher's socket")]
    found += [Entry(SLOW_READER, place, 2) for place in ("workers' port", "launcher's socket")]
    found += [Entry(SLOW_READER, "health socket", 1)]
    found += [Entry(REPEATS, "workers' port", 8)]
    found += [Entry(kind, place, 0) for kind, place in FLAVOURS.values() if kind]
    return found


# What a system of each flavour goes through in the middle of everything else.
FLAVOURS: Mapping[str, tuple[str, str]] = {
    "plain": ("", ""),
    "cable": (CABLE, "between broker and the rest"),
    "flood": (FLOOD, "workers' port"),
    "large": (LARGE, "workers' port"),
}
CATALOGUE: tuple[Entry, ...] = tuple(_entries())
