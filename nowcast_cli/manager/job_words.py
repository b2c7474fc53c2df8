"""How a job ended, from what its runner and the system beneath its executor left."""

from __future__ import annotations

from pathlib import Path

from nowcast_cli.executors.job_folder import Exit, last_lines
from nowcast_cli.executors.native import Verdict
from nowcast_cli.manager.happenings import Ended, Lost
from nowcast_cli.manager.signal_words import signal_words


def reason_of(exit_record: Exit, stderr: Path, *, is_command: bool = False) -> str:
    """Say in a sentence why a job ended without its message, or failed where it is a command."""
    if exit_record.reason:
        return exit_record.reason
    if exit_record.signal is not None:
        how = f"it was ended by signal {signal_words(exit_record.signal)}"
    else:
        how = f"it exited with code {exit_record.code}"
    last = _last_word(last_lines(stderr, 2))
    how += "" if is_command else " without its message"
    return how + (f"; last on stderr: {last}" if last else "")


def _last_word(lines: list[str]) -> str:
    """Give the last line, or the error before it where that is but its hint, as ours are."""
    if len(lines) > 1 and lines[-1].startswith("hint: ") and lines[-2].startswith("error: "):
        return lines[-2].strip()
    return lines[-1].strip() if lines else ""


def ending_elsewhere(
    job_id: str,
    exit_record: Exit | None,
    verdict: Verdict | None,
    folder: Path,
    *,
    is_command: bool = False,
) -> Ended | Lost:
    """Say how a job elsewhere ended. ``exit`` decides; a verdict says more than a signal does."""
    if exit_record is None:
        assert verdict is not None
        if verdict.kind == "lost":
            return Lost(job_id, verdict.reason)
        return Ended(job_id, {}, verdict.reason, verdict.kind)
    if verdict is None or verdict.kind == "lost" or exit_record.code == 0:
        reason = reason_of(exit_record, folder / "stderr", is_command=is_command)
        return Ended(job_id, exit_record.to_json(), reason)
    return Ended(job_id, exit_record.to_json(), verdict.reason, verdict.kind)
