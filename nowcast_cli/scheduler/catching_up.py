"""Which launches of an item are due now, and which that were missed are made up for. Pure.

The ``cursor`` of an item is the nominal time up to which everything was launched or passed over.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from nowcast_cli.config.schedule import Item
from nowcast_cli.scheduler.occurrences import newest, occurrences

# A launch that is later than this was missed; a daemon that is started again takes less.
ON_TIME = timedelta(seconds=60)
MOST_MADE_UP = 1000


@dataclass(frozen=True, slots=True)
class Due:
    """What has to be done about an item: nominal times to launch, and the new cursor."""

    launch: tuple[datetime, ...]
    passed_over: int
    cursor: datetime


def due(item: Item, cursor: datetime, now: datetime) -> Due:
    """Say what is due. A cursor in the future is one of a clock that went wrong: it is now."""
    begin = trusted(cursor, now)
    nominals = _come(item, newest(item.timing, begin, now, MOST_MADE_UP), now)
    if not nominals:
        return Due((), 0, begin)
    launch = _made_up(item, nominals, now)
    return Due(launch, len(nominals) - len(launch), nominals[-1])


def _come(item: Item, nominals: list[datetime], now: datetime) -> list[datetime]:
    """Give those whose delay has passed, too; one that waits holds up those after it."""
    for index, nominal in enumerate(nominals):
        if fire_time(item, nominal) > now:
            return nominals[:index]
    return nominals


def _made_up(item: Item, nominals: list[datetime], now: datetime) -> tuple[datetime, ...]:
    late = {nominal: now - fire_time(item, nominal) for nominal in nominals}
    on_time = [nominal for nominal in nominals if late[nominal] <= ON_TIME]
    missed = [nominal for nominal in nominals if late[nominal] > ON_TIME]
    if item.made_up_within is not None:
        limit = timedelta(seconds=item.made_up_within)
        missed = [nominal for nominal in missed if late[nominal] <= limit]
    if item.catch_up == "none":
        missed = []
    elif item.catch_up == "last":
        missed = [] if on_time else missed[-1:]
    return (*missed, *on_time)


def next_nominal(item: Item, cursor: datetime, now: datetime) -> datetime | None:
    """Give the nominal time of the next launch; None where there will be none."""
    return next(occurrences(item.timing, trusted(cursor, now)), None)


def next_fire_time(item: Item, after: datetime) -> datetime | None:
    """Give the next instant, later than ``after``, at which a launch of the item is due."""
    begin = after - timedelta(seconds=item.jitter)
    times = (fire_time(item, nominal) for nominal in occurrences(item.timing, begin))
    return next((at for at in times if at > after), None)


def fire_time(item: Item, nominal: datetime) -> datetime:
    """Give the instant at which the launch of a nominal time is due: its delay is added."""
    return nominal + timedelta(seconds=item.delay(nominal))


def trusted(cursor: datetime, now: datetime) -> datetime:
    """Give the cursor, or now where the cursor lies ahead: the clock was set back since."""
    return now if cursor > now + ON_TIME else cursor
