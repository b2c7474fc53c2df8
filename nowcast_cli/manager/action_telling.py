"""What is told of performers and their orders: to a health answer, and to who asks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nowcast_cli.manager.action_orders import OrderBook
from nowcast_cli.manager.action_progress import Doings
from nowcast_cli.manager.attendance import Attendance
from nowcast_cli.messages.performing import MAPPING, Hello


def performers(book: OrderBook, attendance: Attendance) -> dict[str, dict[str, Any]]:
    """Give what performers do by name: those that are there, or silent, or waited for."""
    here = dict(book.all_named())
    return {
        name: {
            **attendance.told(name),
            "takes": 0 if (performer := here.get(name)) is None else performer.said.takes,
            "serves": [] if performer is None else _said_keys(performer.said),
            "in hand": 0 if performer is None else len(performer.in_hand),
            "waiting": book.waiting(name),
        }
        for name in dict.fromkeys([*here, *attendance.names()])
    }


def _said_keys(said: Hello) -> list[str]:
    """Give the keys that a service says it owns."""
    return [] if said.serves == MAPPING else list(said.serves)


def orders(book: OrderBook, doings: Doings, wanted: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Say for each of these orders that is known where it is and how far, for JSON."""
    found = {}
    for order in wanted:
        where = book.whereabouts(order)
        if where is not None:
            place, performer = where
            here = book.performers.get(performer)
            found[order] = {
                "performer": performer,
                "where": place,
                "there": here is not None,
                "takes": 0 if here is None else here.said.takes,
                **doings.told(order),
            }
    return found
