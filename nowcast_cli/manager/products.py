"""Products as the manager has them: those that are declared, what is registered, what is late."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from nowcast_cli.config.config import Config
from nowcast_cli.config.hints import did_you_mean
from nowcast_cli.config.products import ProductSettings, products_of
from nowcast_cli.identifiers import new_id
from nowcast_cli.manager import product_events
from nowcast_cli.manager.clock import now
from nowcast_cli.manager.product_requests import ProductRequests
from nowcast_cli.manager.requests import RequestError
from nowcast_cli.manager.state import Note, Reply, State, Step, warning
from nowcast_cli.manager.turn import Turn
from nowcast_cli.products.drafting import Draft
from nowcast_cli.products.lateness import Due, deadline_of, due_between, next_due
from nowcast_cli.products.registering import Registering, Taken
from nowcast_cli.products.request import BadRegistration, Registration, registration_of
from nowcast_cli.products.said import instance_said
from nowcast_cli.products.times import stored_time, time_of
from nowcast_cli.store.event_records import EventPut
from nowcast_cli.store.product_records import ProductPut, ProductRecord
from nowcast_cli.store.products import Products as Index
from nowcast_cli.store.records import Change

MOST_LATE = 10  # reference times of a product that are told as late; older ones are forgotten
_Answer = tuple[Reply, list[EventPut]]


class Products:
    """The products of one system.

    Parameters
    ----------
    index
        What the store holds.
    clock
        Gives the time as the store keeps it.
    """

    def __init__(self, index: Index, config: Config, clock: Callable[[], str] = now) -> None:
        self._clock = clock
        self._draft = Draft(index)
        self._known = {record.name: record for record in index.products()}
        self._requests = ProductRequests(self._draft, clock)
        self.use(config)

    def use(self, config: Config) -> None:
        """Go on with a configuration that was reloaded."""
        self._declared: Mapping[str, ProductSettings] = products_of(config)
        self._is_new = True
        self._next: datetime | None = None

    @property
    def orders(self) -> Mapping[str, Callable[[Turn, Any], Step]]:
        """Give what carries out the requests about products, by their kind."""
        requests = self._requests
        answers: Mapping[str, Callable[[Any], _Answer]] = {
            "register product": self._register,
            "pin product": requests.pin,
            "expire products": requests.expire,
            "expire copies": requests.expire_copies,
            "delete product": requests.delete,
            "product files removed": requests.removed,
        }
        return {kind: self._order(answer) for kind, answer in answers.items()}

    def _order(self, answer: Callable[[Any], _Answer]) -> Callable[[Turn, Any], Step]:
        def carry_out(turn: Turn, payload: Any) -> Step:
            reply, events = answer(payload)
            changes: list[Change] = [*self._draft.taken(), *events]
            return Step(turn.state, tuple(changes), reply=reply)

        return carry_out

    def act(self) -> None:
        """Take in that what was drafted is committed."""
        self._draft.clear()

    # --- registering

    def _register(self, payload: Any) -> _Answer:
        try:
            registration = registration_of(payload)
            settings = self._of_name(registration.product)
            taken = Registering(
                self._draft,
                registration,
                settings.files,
                lambda reference: self._late_since(settings, reference),
                self._clock(),
                new_id,
            ).take()
        except BadRegistration as error:
            raise RequestError(str(error), "nowcast product register --help") from None
        self._note_complete(taken)
        return _told(taken), product_events.of_registration(
            taken, registration.product, _correlation(registration)
        )

    def _of_name(self, name: str) -> ProductSettings:
        if name not in self._declared:
            raise RequestError(
                f"there is no product {name!r} in nowcast.yaml"
                + did_you_mean(name, self._declared),
                f"add the lines\nproducts:\n  {name}:\n    title: …\nand nowcast reload, or "
                "nowcast product register --declare, which adds them",
            )
        return self._declared[name]

    def _late_since(self, settings: ProductSettings, reference: str) -> str | None:
        """Give when an instance was due that is complete only now."""
        if settings.expected is None:
            return None
        deadline = deadline_of(settings.expected, time_of(reference))
        if deadline is None or deadline >= time_of(self._clock()):
            return None
        return stored_time(deadline)

    def _note_complete(self, taken: Taken) -> None:
        for instance, _ in taken.instances:
            known = self._known.get(instance.product)
            if known is None or instance.complete is None or instance.reference not in known.late:
                continue
            late = tuple(each for each in known.late if each != instance.reference)
            self._known[known.name] = replace(known, late=late, modified=self._clock())
            self._draft.put_product(self._known[known.name])

    # --- what is declared, and what is late

    def due_in(self) -> float | None:
        """Give the seconds until something is to be looked at unasked, None for never."""
        if self._is_new:
            return 0.0
        if self._next is None:
            return None
        # A clock that is set is seen within a minute.
        return min(60.0, max(0.0, (self._next - time_of(self._clock())).total_seconds()))

    def step(self, state: State) -> Step:
        """Take in what is newly declared, and what has become late by the clock."""
        if not self._is_new and self._next is None:
            return Step(state)
        moment = time_of(self._clock())
        if not self._is_new and self._next is not None and moment < self._next:
            return Step(state)
        changes: list[Change] = []
        notes: list[Note] = []
        nexts = []
        for settings in self._declared.values():
            record = self._declare(settings, changes)
            if settings.expected is None:
                continue
            dues = list(due_between(settings.expected, time_of(record.checked), moment))
            if dues:
                self._judge(record, dues, changes, notes)
            nexts.append(next_due(settings.expected, moment).deadline)
        self._is_new, self._next = False, min(nexts, default=None)
        return Step(state, tuple(changes), tuple(notes))

    def _declare(self, settings: ProductSettings, changes: list[Change]) -> ProductRecord:
        said, at = _said(settings), self._clock()
        record = self._known.get(settings.name)
        if record is None:
            record = ProductRecord(new_id(), settings.name, said, at, at, at)
        elif record.declared == said:
            return record
        elif (record.declared.get("expected") is None) != (settings.expected is None):
            record = replace(record, declared=said, modified=at, checked=at, late=())
        else:
            record = replace(record, declared=said, modified=at)
        self._known[record.name] = record
        changes.append(ProductPut(record))
        return record

    def _judge(
        self,
        record: ProductRecord,
        dues: list[Due],
        changes: list[Change],
        notes: list[Note],
    ) -> None:
        late = list(record.late)
        for due in dues[-MOST_LATE:]:
            reference, deadline = stored_time(due.reference), stored_time(due.deadline)
            instance = self._draft.version(record.name, reference)
            if instance is not None and instance.complete is not None:
                continue
            late.append(reference)
            changes.append(product_events.of_late(record.name, reference, deadline, instance))
            words = "there is none" if instance is None else "it is not complete"
            notes.append(
                warning(f"product {record.name} of {reference} is late, due {deadline}: {words}")
            )
        record = replace(
            record,
            checked=self._clock(),
            modified=self._clock(),
            late=tuple(dict.fromkeys(late))[-MOST_LATE:],
        )
        self._known[record.name] = record
        changes.append(ProductPut(record))


def _told(taken: Taken) -> Reply:
    return Reply(
        "ack",
        {
            "instances": [
                {**instance_said(instance), "is_complete": bool(instance.complete)}
                for instance, _ in taken.instances
            ],
            "files": [
                {
                    "id": each.file.file.id,
                    "url": each.file.file.url,
                    "instance": each.instance,
                    "new": each.is_new,
                }
                for each in taken.files
            ],
        },
    )


def _correlation(registration: Registration) -> str | None:
    if registration.step is not None:
        return registration.step.partition("/")[0]
    return registration.job


def _said(settings: ProductSettings) -> dict[str, Any]:
    """Give what is declared of a product as the store keeps it, without what it does not say."""
    said: dict[str, Any] = {
        **settings.about,
        "parents": list(settings.parents),
        "files": settings.files,
        "folder": settings.folder,
        "box": None if settings.box is None else list(settings.box),
        "retention": None if settings.retention is None else asdict(settings.retention),
    }
    expected = settings.expected
    if expected is not None:
        said["expected"] = {
            "cycles": [f"{hour:02}:{minute:02}" for hour, minute in expected.cycles],
            "by": None if expected.by is None else "{:02}:{:02}:{:02}".format(*expected.by),
            "zone": None if expected.zone is None else str(expected.zone),
            "after": expected.after,
        }
    return {key: value for key, value in said.items() if value not in (None, [])}
