"""Until when an order lets jobs begin, and what is told of it."""

import pytest

from nowcast_cli.agent.carrying import Carrier, Doing
from nowcast_cli.agent.hand import HandTrouble
from nowcast_cli.agent.link import NotHeard
from nowcast_cli.messages.agent_messages import Assignments

LEASE = 60.0
CLAIMED = {
    "pid": "claim", "exit": None, "gone": False, "left": None, "more": False, "age": 1.0,
    "stdout": None, "stderr": None, "records": None, "outbox": {},
}  # fmt: skip


class Hand:
    """Takes note of orders; its answer is that all jobs have begun, or what a test says."""

    def __init__(self):
        self.orders = []
        self.trouble = None

    def carry_out(self, order):
        self.orders.append(order)
        if self.trouble is not None:
            raise HandTrouble(self.trouble)
        return {"jobs": dict.fromkeys(order["look"], CLAIMED), "cleared": [], "trouble": []}


@pytest.fixture
def carried():
    """Give a carrier, its hand, what it has told, and what it has complained of."""
    hand, told, complaints = Hand(), [], []
    doing = Doing(lambda order, part: told.append((order, part)), lambda: LEASE, complaints.append)
    return Carrier(hand, doing, 1_000_000), hand, told, complaints


def order(number, *jobs):
    submit = [{"id": job} for job in jobs]
    look = {job: {} for job in jobs}
    return Assignments(str(number), {"submit": submit, "look": look, "cancel": [], "clear": []})


def turn(carrier):
    carrier.hurry()
    carrier.turn()


def test_an_order_lets_jobs_begin_for_a_lease_after_it_was_asked_for(carried):
    carrier, hand, _, _ = carried
    carrier.take(order(1, "a"), asked=100.0)
    turn(carrier)
    assert hand.orders[-1]["until"] == 160.0
    carrier.confirm("1", 130.0)
    carrier.confirm("1", 120.0)
    turn(carrier)
    assert hand.orders[-1]["until"] == 190.0


def test_an_older_order_that_comes_late_counts_from_when_it_was_asked_for(carried):
    carrier, hand, _, _ = carried
    carrier.take(order(2), asked=500.0)
    carrier.confirm("2", 510.0)
    carrier.take(order(1, "a"), asked=100.0)  # its answer was held up
    carrier.confirm("2", 520.0)
    turn(carrier)
    assert hand.orders[-1]["until"] == 160.0


def test_a_job_is_begun_by_an_order_once_and_told_once(carried):
    carrier, hand, told, _ = carried
    carrier.take(order(1, "a"), asked=0.0)
    for _ in range(3):
        turn(carrier)
    assert [[job["id"] for job in each["submit"]] for each in hand.orders] == [["a"], [], []]
    assert [number for number, _ in told] == ["1"]


def test_what_the_manager_has_not_heard_is_told_again(carried):
    carrier, _, told, _ = carried
    heard = []

    def tell(number, part):
        heard.append(number)
        if len(heard) == 1:
            raise NotHeard("nobody answers")
        told.append((number, part))

    carrier._doing = Doing(tell, lambda: LEASE, str)
    carrier.take(order(1, "a"), asked=0.0)
    for _ in range(3):
        turn(carrier)
    assert (heard, len(told)) == (["1", "1"], 1)


def test_trouble_of_the_hand_is_complained_of_and_it_is_tried_again(carried):
    carrier, hand, told, complaints = carried
    hand.trouble = "the disk is full"
    carrier.take(order(1, "a"), asked=0.0)
    turn(carrier)
    assert (complaints, told) == (["the disk is full"], [])
    hand.trouble = None
    turn(carrier)
    assert [each["submit"] for each in hand.orders] == [[{"id": "a"}], [{"id": "a"}]]
    assert len(told) == 1
