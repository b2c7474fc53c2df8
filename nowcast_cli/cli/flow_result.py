"""What a run of a flow gave: the values of the step that ended last."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nowcast_cli.cli.output import Output
    from nowcast_cli.store.flow_records import FlowRunRecord

_MOST = 20  # lines of a value


def show_what_it_gave(out: Output, run: FlowRunRecord) -> None:
    """Print what the last step of a run gave, a line a value; nothing where it gave nothing."""
    ended = [record for record in run.steps.values() if record.ended is not None]
    last = max(ended, key=lambda record: record.ended or "", default=None)
    gave = None if last is None else last.gave
    if gave is None:
        return
    values = gave.items() if isinstance(gave, dict) else [("gave", gave)]
    for name, value in values:
        lines = _lines(value)
        for line in lines[:_MOST]:
            out.line(f"  {name}  {line}")
        if len(lines) > _MOST:
            more = len(lines) - _MOST
            out.line(f"  {name}  … and {more} more: nowcast flow show {run.id[-8:]} --json")


def _lines(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return [
        each if isinstance(each, str) else json.dumps(each, ensure_ascii=False) for each in items
    ]
