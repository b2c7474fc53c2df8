"""Results of performers, whatever those have said: each becomes one that the manager can keep."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

from nowcast_cli.config.limits import Limits
from nowcast_cli.manager.depth import depth_of
from nowcast_cli.messages.message import MessageError, refuse_large
from nowcast_cli.messages.performing import PerformingError, Result, read_result
from nowcast_cli.messages.wire import WireError, refuse_much

_ID = re.compile(rb'"id"\s*:\s*"([^"\\]{1,500})"')
_LONGEST_REASON = 2_000  # characters
_LONGEST_TRACEBACK = 50_000
_LONG_FRAME = 1_000  # bytes, beneath which reasons and tracebacks are short

_logger = logging.getLogger("manager")


def results_of(frames: Iterable[bytes], limits: Limits) -> list[Result]:
    """Read results.

    Of one that cannot be read, or that gave more than the limits allow, its order has failed, and
    the reason says why: its performer would say the same again and again.
    """
    found = []
    for frame in frames:
        try:
            found.append(_kept_short(_judged(read_result(frame), frame, limits), frame))
        except PerformingError as error:
            _logger.error("a result of a performer of actions is not understood: %s", error)
            named = _ID.search(frame)
            if named is not None:
                why = f"its result is not understood: {error}"
                found.append(Result(named[1].decode("utf-8", "replace"), "failed", reason=why))
    return found


def _judged(result: Result, frame: bytes, limits: Limits) -> Result:
    try:
        refuse_large(len(frame), limits)
        opened = frame.count(b"[") + frame.count(b"{")
        if opened > limits.payload_depth and depth_of(result.gave) > limits.payload_depth:
            deepest = f"{limits.payload_depth} levels, which limits.payload depth allows"
            raise WireError(f"it is nested deeper than the {deepest}")
        if len(frame) > limits.payload_values:
            refuse_much(result.gave, frame.decode(), limits)
    except (MessageError, WireError) as error:
        return Result(result.id, "failed", reason=f"what it gave cannot be kept: {error}")
    return result


def _kept_short(result: Result, frame: bytes) -> Result:
    if len(frame) < _LONG_FRAME:
        return result
    reason, traceback = result.reason, result.traceback
    return result._replace(
        reason=None if reason is None else reason[:_LONGEST_REASON],
        traceback=None if traceback is None else traceback[-_LONGEST_TRACEBACK:],
    )
