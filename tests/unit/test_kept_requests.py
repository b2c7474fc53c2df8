"""The broker's bookkeeping of requests, over histories of any order."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from nowcast_cli.broker.request_queue import topic_of
from nowcast_cli.broker.requests import KeptRequests, Request
from nowcast_cli.messages.agent_messages import Answer, Look, Pull, Report, over_broker
from nowcast_cli.messages.message import Message

RUN = b"12345678"


def offer_all(requests: KeptRequests[str]) -> list[Request[str]]:
    offered = []
    while (request := requests.next_to_offer()) is not None:
        offered.append(request)
        requests.offered()
    return offered


@pytest.fixture
def requests() -> KeptRequests[str]:
    requests: KeptRequests[str] = KeptRequests(RUN)
    for client, body in ((b"a", "first"), (b"b", "second"), (b"c", "third")):
        requests.keep(client, body)
    return requests


def test_requests_are_offered_once_in_order_of_arrival(requests: KeptRequests[str]) -> None:
    assert [request.body for request in offer_all(requests)] == ["first", "second", "third"]
    assert offer_all(requests) == []


def test_a_request_that_could_not_be_sent_stays_the_next(requests: KeptRequests[str]) -> None:
    assert requests.next_to_offer() == requests.next_to_offer()


def test_a_stamp_holds_the_run_of_the_broker_and_a_number_of_its_own(
    requests: KeptRequests[str],
) -> None:
    stamps = [request.stamp for request in offer_all(requests)]
    assert all(len(stamp) == 16 and stamp.startswith(RUN) for stamp in stamps)
    assert sorted(set(stamps)) == stamps


def test_an_answer_goes_to_its_client_once(requests: KeptRequests[str]) -> None:
    first = offer_all(requests)[0]
    assert requests.answered(first.stamp) == b"a"
    assert requests.answered(first.stamp) is None
    assert requests.answered(b"of another run!!") is None


def test_a_new_manager_is_offered_all_that_has_no_answer_and_nothing_else(
    requests: KeptRequests[str],
) -> None:
    requests.answered(offer_all(requests)[1].stamp)
    requests.offer_all_again()
    assert [request.body for request in offer_all(requests)] == ["first", "third"]


def test_an_answer_that_comes_after_the_hello_saves_the_second_offer(
    requests: KeptRequests[str],
) -> None:
    first = offer_all(requests)[0]
    requests.offer_all_again()
    requests.answered(first.stamp)
    assert [request.body for request in offer_all(requests)] == ["second", "third"]


def test_one_of_a_topic_takes_the_place_of_the_one_before(requests: KeptRequests[str]) -> None:
    requests.keep(b"d", "report 1", b"east")
    before = offer_all(requests)[-1]
    for number in range(2, 500):
        requests.keep(b"d", f"report {number}", b"east")
    requests.keep(b"e", "report", b"west")
    assert (len(requests), requests.backlog) == (5, 2)
    assert requests.size == len("firstsecondthirdreport 499report")
    assert [request.body for request in offer_all(requests)] == ["report 499", "report"]
    assert requests.answered(before.stamp) is None
    requests.offer_all_again()
    assert len(offer_all(requests)) == 5


def test_what_an_agent_says_has_its_kind_and_its_name_as_topic() -> None:
    said = (
        Report("east", "i", 1, 0.0, 0, 0.0),
        Report("west", "i", 1, 0.0, 0, 0.0),
        Pull("east", "i"),
        Answer("east", "i", "1", {"jobs": {}}),
    )
    topics = [topic_of(over_broker(each).encode()) for each in said]
    assert len({*topics, None}) == 5
    assert topics[0] == topic_of(over_broker(Report("east", "j", 2, 1.0, 1, 1.0)).encode())
    assert topic_of(Message("first", "success", "agent", id="1").encode()) is None
    assert topic_of(over_broker(Look()).encode()) is None


class AnyHistory(RuleBasedStateMachine):
    """Requests, answers, hellos, managers that die and clients that go, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: KeptRequests[bytes] = KeptRequests(RUN)
        self.arrived = 0
        self.unanswered: list[bytes] = []
        self.in_hand: list[Request[bytes]] = []  # of the manager that is there
        self.seen_by_others: list[Request[bytes]] = []  # by managers that have died

    @rule(count=st.integers(1, 5))
    def requests_arrive(self, count: int) -> None:
        for _ in range(count):
            body = b"%09d" % self.arrived
            self.requests.keep(b"client %d" % (self.arrived % 3), body)
            self.unanswered.append(body)
            self.arrived += 1

    @rule(count=st.integers(1, 8))
    def manager_takes_some(self, count: int) -> None:
        for _ in range(count):
            request = self.requests.next_to_offer()
            if request is None:
                return
            self.requests.offered()
            self.in_hand.append(request)

    @precondition(lambda self: self.in_hand)
    @rule(data=st.data())
    def manager_answers_any(self, data: st.DataObject) -> None:
        request = self.in_hand.pop(data.draw(st.integers(0, len(self.in_hand) - 1)))
        self._answer(request)

    @precondition(lambda self: self.seen_by_others)
    @rule(data=st.data())
    def an_answer_comes_late_from_a_dead_manager(self, data: st.DataObject) -> None:
        self._answer(data.draw(st.sampled_from(self.seen_by_others)))

    @rule()
    def another_manager_says_hello(self) -> None:
        self.seen_by_others += self.in_hand
        self.in_hand = []
        self.requests.offer_all_again()

    @invariant()
    def each_request_is_kept_until_it_is_answered(self) -> None:
        assert len(self.requests) == len(self.unanswered)
        assert self.requests.size == sum(map(len, self.unanswered))

    @invariant()
    def the_manager_has_seen_them_in_order_and_none_twice(self) -> None:
        bodies = [request.body for request in self.in_hand]
        assert bodies == sorted(set(bodies))

    def teardown(self) -> None:
        self.another_manager_says_hello()
        self.manager_takes_some(self.arrived + 1)
        assert [request.body for request in self.in_hand] == self.unanswered

    def _answer(self, request: Request[bytes]) -> None:
        client = self.requests.answered(request.stamp)
        if request.body in self.unanswered:
            assert client == request.client
            self.unanswered.remove(request.body)
        else:
            assert client is None


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
