"""What the lab says: a line a system, how to repeat one that failed, and the table of the docs."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.catalogue import CATALOGUE, CRASH, FREEZE
from lab.episode import Outcome
from lab.runner import Result

BEGIN = "<!-- The fault lab writes what is between this line and the next comment. -->"
END = "<!-- The fault lab's table ends here. -->"
NOT_HELD = "did not hold:"
_SHOWN, _SHORT = 5, 400  # violations of a system in the verdict, and characters of each


def line_of(outcome: Outcome) -> str:
    """Say what became of one system."""
    verdict = "everything held" if not outcome.violations else "NOT EVERYTHING HELD"
    return (
        f"{outcome.seed}: {outcome.tried.total()} faults, {outcome.jobs} jobs "
        f"({outcome.lost} lost), {outcome.messages} messages, {outcome.samples} samples, "
        f"{outcome.seconds:.0f} s, whole again within {outcome.slowest_recovery:.1f} s: {verdict}"
    )


def how_to_repeat(outcome: Outcome, faults: int, full: bool) -> str:
    """Say what did not hold, where the traces are, and how to see it again."""
    said = "\n".join(f"  - {violation[:2000]}" for violation in outcome.violations[:20])
    more = len(outcome.violations) - 20
    words = f"make faults SEED={outcome.seed}" + (" FULL=1" if full else "")
    if faults != 40:
        words += f" FAULTS_A_SYSTEM={faults}"
    return (
        f"{said}\n" + (f"  - and {more} more\n" if more > 0 else "")
        + f"  what was done and said: {outcome.folder} (lab.jsonl, everything.txt)\n"
        f"  again: {words}"
    )  # fmt: skip


def summary_of(result: Result) -> str:
    """Say in some lines what came of all systems: last what did not hold, as logs are cut above."""
    jobs = sum(outcome.jobs for outcome in result.outcomes)
    messages = sum(outcome.messages for outcome in result.outcomes)
    by_kind: Counter[str] = Counter()
    for (kind, _), count in result.tried.items():
        by_kind[kind] += count
    kinds = "\n".join(f"  {count:6} {kind}" for kind, count in by_kind.most_common())
    return (
        f"{result.tried.total()} faults in {len(result.outcomes)} systems with {jobs} jobs and "
        f"{messages} messages, {result.seconds:.0f} s\n{kinds}\n"
        + (verdict_of(result.failed) or "nothing was lost, nothing done twice")
    )


def verdict_of(failed: Sequence[Outcome]) -> str:
    """Give a short line for each thing that did not hold, with its seed; nothing for no outcome."""
    lines = []
    for outcome in failed:
        for violation in outcome.violations[:_SHOWN]:
            lines.append(f"{NOT_HELD} {outcome.seed}: {short(violation)}")
        if len(outcome.violations) > _SHOWN:
            more = len(outcome.violations) - _SHOWN
            lines.append(f"{NOT_HELD} {outcome.seed}: and {more} more")
    return "\n".join(lines)


def short(violation: str) -> str:
    """Give a violation in one line; of a traceback its beginning and its end."""
    said = [line.strip() for line in violation.splitlines() if line.strip()] or [""]
    words = said[0] if len(said) == 1 else f"{said[0]} … {said[-1]}"
    if len(words) > _SHORT:
        words = f"{words[: _SHORT // 2]} … {words[-_SHORT // 2 :]}"
    return words


def write(page: Path, result: Result, missing: Mapping[str, str]) -> None:
    """Put the table of the results between the marks of a page of the documentation."""
    text = page.read_text()
    head, _, rest = text.partition(BEGIN)
    _, found, tail = rest.partition(END)
    if not found:
        raise SystemExit(f"{page} has no place for the table: it goes between\n{BEGIN}\n{END}")
    page.write_text(f"{head}{BEGIN}\n\n{_table(result, missing)}\n{END}{tail}")


def _table(result: Result, missing: Mapping[str, str]) -> str:
    tried, lost = result.tried, Counter[tuple[str, str]]()
    for outcome in result.failed:
        lost += outcome.tried
    lines = [_sentence(result), "", "| fault | where | tried | survived | lost |",
             "| --- | --- | ---: | ---: | ---: |"]  # fmt: skip
    for kind, place in _rows(tried):
        of_row = [key for key in tried if key[0] == kind and _place(*key) == place]
        count = sum(tried[key] for key in of_row)
        gone = sum(lost[key] for key in of_row)
        lines.append(f"| {kind} | {place} | {count:,} | {count - gone:,} | {gone:,} |")
    total, gone = tried.total(), lost.total()
    lines.append(f"| **all** | | **{total:,}** | **{total - gone:,}** | **{gone:,}** |")
    for feature, why in missing.items():
        lines += ["", f"Left out there: {feature} ({why})."]
    return "\n".join(lines) + "\n"


def _rows(tried: Mapping[tuple[str, str], int]) -> list[tuple[str, str]]:
    known = [(entry.kind, _place(entry.kind, entry.place)) for entry in CATALOGUE]
    done = {(kind, _place(kind, place)) for kind, place in tried}
    return [row for row in dict.fromkeys(known) if row in done]


def _place(kind: str, place: str) -> str:
    """Give the row of a place: the points of a room share one."""
    room, _, step = place.partition(".")
    if kind not in (CRASH, FREEZE) or not step:
        return place
    points = sum(entry.kind == kind and entry.place.startswith(f"{room}.") for entry in CATALOGUE)
    return f"{room} ({points} points)" if points > 1 else place


def _sentence(result: Result) -> str:
    jobs = sum(outcome.jobs for outcome in result.outcomes)
    lost = sum(outcome.lost for outcome in result.outcomes)
    messages = sum(outcome.messages for outcome in result.outcomes)
    samples = sum(outcome.samples for outcome in result.outcomes)
    slowest = max((outcome.slowest_recovery for outcome in result.outcomes), default=0.0)
    return (
        f"{result.tried.total():,} faults in {len(result.outcomes):,} systems, which ran "
        f"{jobs:,} jobs ({lost:,} of them lost with their runners) and took in {messages:,} "
        f"messages; the checklist file was read {samples:,} times. Python "
        f"{platform.python_version()}, Linux {platform.release().partition('-')[0]}, "
        f"{os.cpu_count()} cores; a system was whole again within {slowest:.1f} s at the most."
    )
