"""``python -m lab``: run the fault lab; ``make faults`` does it with everything in its place."""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path

from lab import report
from lab.catalogue import FLAVOURS
from lab.environment import what_is_possible
from lab.episode import Outcome
from lab.runner import FAULTS_A_SYSTEM, run, seeds_of

_FEATURES = frozenset({"disk", "clock", "standby", "all daemons", "jobs", "curve", "commands"})
_EPILOG = """\
Examples:
  python -m lab --faults 200
  python -m lab --seed plain:417
  python -m lab --faults 10000 --full --report docs/reliability.md
"""


def main() -> int:
    """Run systems, say what came of each, and give 1 where something did not hold."""
    options = _options()
    missing = what_is_possible()
    for feature, why in missing.items():
        print(f"left out: {feature}: {why}", flush=True)
    seeds = iter(options.seed) if options.seed else None
    first = options.first if options.first is not None else random.SystemRandom().randrange(10**6)
    if seeds is None:
        seeds = seeds_of(first, options.fixed, _costly(options, missing))
        print(f"the first seed is {first}", flush=True)

    def told(outcome: Outcome) -> None:
        print(report.line_of(outcome), flush=True)
        if outcome.violations:
            print(report.how_to_repeat(outcome, options.faults_a_system, options.full), flush=True)

    result = run(
        seeds,
        enough=options.faults,
        at_once=options.systems,
        can=_FEATURES - missing.keys(),
        full=options.full,
        faults=options.faults_a_system,
        told=told,
    )
    print(report.summary_of(result), flush=True)
    if options.report is not None:
        report.write(options.report, result, missing)
    if result.failed:
        return 1
    return 130 if result.interrupted else 0


def _costly(options: argparse.Namespace, missing: dict[str, str]) -> list[tuple[str, int]]:
    """Give how often each flavour that costs minutes has its turn: by the number of faults."""
    flavours = [flavour for flavour in FLAVOURS if flavour != "plain" and flavour not in missing]
    return [(flavour, max(1, options.faults // 2500)) for flavour in flavours]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m lab",
        description="Run systems under faults, and check that nothing is lost or done twice.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--faults", type=int, default=200, help="how many faults to try, at least")
    add("--seed", action="append", default=[], help="run only this seed, such as plain:417")
    add("--first", type=int, help="the number of the first seed; by chance without it")
    add("--fixed", type=int, default=0, help="how many seeds always to begin with, from plain:1")
    add("--systems", type=int, default=3, help="systems at once")
    add("--faults-a-system", type=int, default=FAULTS_A_SYSTEM, help="faults of one system")
    add("--full", action="store_true", help="10,000 clients a flood, a minute without the cable")
    add("--report", type=Path, help="write the table of the results into this page")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
