"""Products in the manager: what a registration makes, what is late, what may go."""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import pytest
import yaml

from nowcast_cli.cli.late_products import late_products
from nowcast_cli.manager.products import Products
from nowcast_cli.manager.requests import RequestError
from nowcast_cli.manager.state import State
from nowcast_cli.manager.turn import Turn
from nowcast_cli.store.database import Store
from nowcast_cli.store.event_records import EventPut
from nowcast_cli.store.product_records import InstancePut
from nowcast_cli.store.reader import Reader

MONDAY, TUESDAY = "2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z"
CONFIG = """
products:
  any:
  two: {files: 2, expected: {by: "05:30 UTC"}}
  hourly: {files: {variables: [u, v], hours: 0..2}, expected: {after: 4h, cycles: ["00", "12"]}}
"""


class World:
    """A desk with a store and a clock that stands."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.now = datetime.fromisoformat("2026-11-23T01:00:00+00:00")
        self.desk = Products(store.products, yaml.safe_load(CONFIG), self.clock)
        self.events: list[EventPut] = []
        self.changes: list[Any] = []
        self.tick()

    def clock(self) -> str:
        return self.now.strftime("%Y-%m-%dT%H:%M:%S.000Z")

    def commit(self, turn: Turn) -> None:
        self.changes = turn.changes
        self.store.commit(turn.changes)
        self.events = [change for change in turn.changes if isinstance(change, EventPut)]
        self.desk.act()

    def tick(self, **later: float) -> list[str]:
        self.now += timedelta(**later)
        turn = Turn(State())
        turn.add(self.desk.step(turn.state))
        self.commit(turn)
        return self.topics()

    def ask(self, kind: str, payload: Any) -> Any:
        turn = Turn(State())
        step = self.desk.orders[kind](turn, payload)
        turn.add(step)
        self.commit(turn)
        assert step.reply is not None
        return step.reply.payload

    def register(self, product: str, *files: dict[str, Any], reference: str = MONDAY) -> Any:
        return self.ask(
            "register product",
            {"product": product, "reference_time": reference, "files": list(files)},
        )

    def topics(self) -> list[str]:
        return [event.topic.partition("~")[2] for event in self.events]

    def latest(self, product: str, complete: bool = False) -> Any:
        return self.store.products.latest(product, complete)


@pytest.fixture
def world(tmp_path) -> Iterator[World]:
    with closing(Store(tmp_path / "nowcast.db")) as store:
        yield World(store)


def a_file(name: str, content: int = 1, folder: str = "/results", **more: Any) -> dict[str, Any]:
    url = f"file://{folder}/{name}"
    return {"url": url, "format": "csv", "size": 10, "sha256": f"{content:064x}", **more}


def test_an_instance_is_complete_with_what_is_expected_of_it(world):
    told = world.register("two", a_file("a.csv"))
    assert world.topics() == ["two~registered"]
    assert told["instances"][0]["is_complete"] is False
    assert world.latest("two", complete=True) is None

    told = world.register("two", a_file("b.csv", 2))
    assert world.topics() == ["two~registered", "two~complete"]
    assert (told["instances"][0]["version"], told["instances"][0]["files"]) == (1, 2)
    instance = world.latest("two", complete=True)
    assert (instance.files, instance.size, instance.complete) == (2, 20, world.clock())
    assert [each.begun for each in world.changes if isinstance(each, InstancePut)] == [False]
    assert [each.completed for each in world.changes if isinstance(each, InstancePut)] == [True]


def test_events_say_all_that_they_are_about(world):
    world.register("two", a_file("a.csv", begin=MONDAY, variables=["u"]), a_file("b.csv", 2))

    first, _, complete = world.events
    assert first.payload["reference_time"] == MONDAY
    assert first.payload["file"]["sha256"] == f"{1:064x}"
    assert first.payload["file"]["url"] == "file:///results/a.csv"
    assert first.payload["file"]["variables"] == ["u"]
    assert (complete.payload["files"], complete.payload["size"]) == (2, 20)


def test_a_file_that_is_registered_again_has_no_effect(world):
    world.register("two", a_file("a.csv"))
    before = world.latest("two")

    told = world.register("two", a_file("a.csv"))

    assert (world.events, told["files"][0]["new"]) == ([], False)
    assert world.latest("two") == before


def test_requests_of_one_turn_know_of_each_other(world):
    turn = Turn(State())
    for name in ("a.csv", "b.csv", "a.csv"):
        payload = {
            "product": "two",
            "reference_time": MONDAY,
            "files": [a_file(name, ord(name[0]))],
        }
        turn.add(world.desk.orders["register product"](turn, payload))
    world.commit(turn)

    assert world.topics() == ["two~registered", "two~registered", "two~complete"]
    assert len(world.store.products.history("two")) == 1


def test_variables_and_hours_are_covered_by_the_times_of_files(world):
    def hours(first: int, last: int) -> dict[str, str]:
        return {"begin": f"2026-11-23T{first:02}:00:00Z", "end": f"2026-11-23T{last:02}:00:00Z"}

    world.register("hourly", a_file("u.nc", 1, variables=["u"], **hours(0, 2)))
    assert world.latest("hourly").missing == {"parts": [["v", None, "0..2"]]}
    world.register("hourly", a_file("v1.nc", 2, variables=["v", "w"], **hours(0, 1)))
    assert world.latest("hourly").missing == {"parts": [["v", None, "2"]]}
    world.register("hourly", a_file("v2.nc", 3, variables=["v"], **hours(2, 2)))
    assert world.latest("hourly", complete=True).files == 3


def test_another_content_in_the_place_of_a_file_begins_a_version(world):
    world.register("two", a_file("a.csv", 1), a_file("b.csv", 2))
    world.register("two", a_file("a.csv", 3))

    new, old = world.store.products.versions("two", MONDAY)
    assert (new.version, new.files, new.complete) == (2, 1, None)
    assert (old.version, old.files, old.complete) == (1, 1, None)
    assert world.topics() == ["two~deleted", "two~registered"]
    assert world.events[0].payload["replaced"] is True

    told = world.register("two", a_file("b.csv", 2))  # made again, and the same
    new, old = world.store.products.versions("two", MONDAY)
    assert (told["files"][0]["new"], new.files, new.complete is not None) == (False, 2, True)
    assert (old.files, old.deleted is not None) == (0, True)
    assert world.topics() == ["two~complete"]


def test_where_any_file_will_do_a_version_takes_over_the_rest(world):
    world.register("any", a_file("a.csv", 1), a_file("b.csv", 2))
    assert world.topics()[-1] == "any~complete"
    world.register("any", a_file("a.csv", 3))

    new, old = world.store.products.versions("any", MONDAY)
    assert (new.files, new.size, new.complete is not None) == (2, 20, True)
    assert (old.files, old.deleted is not None) == (0, True)
    assert {each.data.name for each in world.store.products.files(new.id)} == {"a.csv", "b.csv"}


def test_a_copy_elsewhere_counts_once(world):
    world.register("two", a_file("a.csv", 1))
    world.register("two", a_file("a.csv", 1, folder="/elsewhere"))

    instance = world.latest("two")
    assert (instance.files, instance.size, instance.complete) == (1, 20, None)


def test_a_partial_file_does_not_count_until_it_is_whole(world):
    world.register("two", a_file("a.csv", 1), a_file("b.csv", 2, partial=True))
    assert (world.latest("two").files, world.latest("two").complete) == (1, None)
    world.register("two", a_file("b.csv", 3))

    assert (world.latest("two").version, world.latest("two", complete=True).files) == (1, 2)


def test_files_of_several_reference_times_come_in_one_request(world):
    told = world.register("any", a_file("a.csv"), a_file("b.csv", 2, reference_time=TUESDAY))

    assert [each["reference_time"] for each in told["instances"]] == [MONDAY, TUESDAY]
    assert world.latest("any").reference == TUESDAY


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({}, "names a product"),
        (
            {"product": "tow", "reference_time": MONDAY, "files": [a_file("a")]},
            "did you mean 'two'",
        ),
        ({"product": "two", "files": []}, "not empty"),
        ({"product": "two", "files": [a_file("a")]}, "has no reference time"),
        ({"product": "two", "reference_time": "soon", "files": [a_file("a")]}, "must be a time"),
        (
            {"product": "two", "reference_time": MONDAY, "files": [a_file("a", size=-1)]},
            "size must be",
        ),
        (
            {"product": "two", "reference_time": MONDAY, "files": [a_file("a", sha256="x")]},
            "64 hexadecimal digits",
        ),
        (
            {"product": "two", "reference_time": MONDAY, "files": [a_file("a"), a_file("a", 2)]},
            "named twice",
        ),
    ],
)
def test_what_cannot_be_registered_is_refused_in_a_sentence(world, payload, words):
    with pytest.raises(RequestError, match=words):
        world.ask("register product", payload)
    assert world.store.products.history("two") == []


def test_a_file_of_another_instance_is_refused(world):
    world.register("two", a_file("a.csv"))
    with pytest.raises(RequestError, match=f"registered already, as two of {MONDAY}"):
        world.register("any", a_file("a.csv"))


def test_what_is_not_complete_by_the_clock_is_late_once(world):
    world.register("two", a_file("a.csv", 1))
    assert world.tick(hours=4) == ["hourly~late"]  # 05:00: 4 h after Monday's 00
    assert world.tick(hours=1) == ["two~late"]
    assert world.events[0].payload["due"] == "2026-11-23T05:30:00Z"
    assert world.events[0].payload["files"] == 1
    assert world.tick(minutes=5) == []
    assert world.store.products.product("two").late == (MONDAY,)

    world.register("two", a_file("b.csv", 2))
    assert world.latest("two").late == "2026-11-23T05:30:00Z"
    assert world.store.products.product("two").late == ()


def test_what_is_late_is_told_in_a_sentence(world):
    config = yaml.safe_load(CONFIG)
    world.register("two", a_file("a.csv", 1))
    world.tick(hours=5)
    with Reader(world.store.path) as reader:
        assert [each.what for each in late_products(reader, config)] == [
            "product two of 2026-11-23 00:00Z is late: it lacks 1 of 2 files",
            "product hourly of 2026-11-23 00:00Z is late: there is none",
        ]
        assert late_products(reader, {}) == ()


def test_what_is_complete_in_time_is_not_late(world):
    world.register("two", a_file("a.csv", 1), a_file("b.csv", 2))
    assert "two~late" not in world.tick(hours=6)


def test_a_system_that_stood_still_tells_of_the_last_ones(world):
    topics = world.tick(days=30)
    assert (topics.count("two~late"), topics.count("hourly~late")) == (10, 10)


def test_a_manager_that_begins_again_tells_nothing_twice(world):
    world.tick(hours=5)
    again = World(world.store)
    again.now = world.now
    assert again.tick() == []


def test_expiring_keeps_what_has_to_stay(world):
    world.register("any", a_file("a.csv", 1))
    world.register("any", a_file("b.csv", 2), reference=TUESDAY)
    new, old = world.store.products.history("any")

    told = world.ask("expire products", {"instances": {new.id: "old", old.id: "old"}})

    assert told["kept"] == {new.id: "it is the latest complete one"}
    assert [each["url"] for each in told["files"]] == ["file:///results/a.csv"]
    assert world.topics() == ["any~expired"]
    assert world.events[0].payload["gone"][0]["url"] == "file:///results/a.csv"
    assert [each.id for each in world.store.products.leftovers()] == [told["files"][0]["id"]]
    world.ask("product files removed", {"files": [told["files"][0]["id"]]})
    assert world.store.products.leftovers() == []


def test_a_file_expires_when_there_is_a_copy_of_it(world):
    until = {"expires": "2026-11-23T00:30:00Z"}
    world.register("two", a_file("a.csv", 1, **until), a_file("b.csv", 2, **until))
    world.register("two", a_file("a.csv", 1, folder="/archive"))
    over = world.store.products.expired("2026-11-23T01:00:00Z")
    assert [each.file.url for each in over] == ["file:///results/a.csv", "file:///results/b.csv"]

    world.ask("expire copies", {"files": [each.file.id for each in over]})

    (gone,) = world.store.products.leftovers()
    assert gone.url == "file:///results/a.csv"
    assert (world.topics(), world.latest("two", complete=True).size) == (["two~deleted"], 20)


def test_what_is_pinned_stays_until_it_is_not(world):
    for day, reference in enumerate((MONDAY, TUESDAY)):
        world.register("any", a_file(f"{day}.csv", day), reference=reference)
    old = world.store.products.history("any")[1]
    world.ask("pin product", {"instance": old.id})

    assert world.ask("expire products", {"instances": {old.id: "old"}})["kept"] == {
        old.id: "it is pinned"
    }
    with pytest.raises(RequestError, match="not deleted: it is pinned"):
        world.ask("delete product", {"instance": old.id})
    world.ask("pin product", {"instance": old.id, "pinned": False})
    world.ask("delete product", {"instance": old.id})
    assert world.topics() == ["any~deleted"]
    assert len(world.store.products.history("any")) == 1


def test_the_last_one_goes_by_force_alone(world):
    world.register("two", a_file("a.csv"))
    (only,) = world.store.products.history("two")
    with pytest.raises(RequestError, match="the last one that there is"):
        world.ask("delete product", {"instance": only.id})
    world.ask("delete product", {"instance": only.id, "force": True})
    assert world.latest("two") is None

    told = world.register("two", a_file("a.csv"))
    assert told["instances"][0]["version"] == 2


def test_a_file_that_has_gone_makes_an_instance_incomplete(world):
    told = world.register("two", a_file("a.csv", 1), a_file("b.csv", 2))
    world.ask("product files removed", {"files": [told["files"][0]["id"]]})

    assert (world.latest("two").files, world.latest("two").complete) == (1, None)
    assert world.topics() == ["two~deleted"]
