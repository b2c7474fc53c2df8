"""Time zones, by the rules of the package ``tzdata``.

An operating system's own rules may be years old, and then a launch is an hour off.
"""

from __future__ import annotations

import warnings
import zoneinfo
from functools import cache
from zoneinfo import ZoneInfo

from nowcast_cli.errors import ConfigError


def named_zone(name: str) -> ZoneInfo:
    """Give the time zone of a name such as ``America/Vancouver``.

    Raises ValueError, with a sentence, where there is none.
    """
    _use_packaged_rules()
    try:
        return ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"there is no time zone {name!r}; names are such as 'America/Vancouver' and 'UTC'"
        ) from None


@cache
def local_zone() -> ZoneInfo:
    """Give the time zone of this machine, by TZ or by its settings.

    Raises ConfigError where it has none that can be known.
    """
    _use_packaged_rules()
    import tzlocal

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a machine without any setting runs in UTC
            zone = tzlocal.get_localzone()
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(
            "the time zone of this machine cannot be told",
            cause=str(error).partition("\n")[0],
            hint="set TZ to a name such as America/Vancouver, or `time zone` at each item",
        ) from None
    assert isinstance(zone, ZoneInfo)
    return zone


@cache
def _use_packaged_rules() -> None:
    zoneinfo.reset_tzpath(to=[])
