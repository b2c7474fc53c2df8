"""``nowcast product register``: files are scanned, and taken into the index."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nowcast_cli.cli.asking import ask_manager, runs
from nowcast_cli.cli.context import System, invocation_of, output_of, system_of
from nowcast_cli.cli.options import Json
from nowcast_cli.cli.output import Output, Painted
from nowcast_cli.errors import NotRunning, UsageError

if TYPE_CHECKING:
    from nowcast_cli.products.taking import Outcome

_SHOWN = 20  # refused files


def register(
    ctx: typer.Context,
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Files, folders, or quoted patterns.")
    ],
    product: Annotated[str, typer.Option("--product", "-p", metavar="NAME", help="Of which one.")],
    reference_time: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Their reference time; else each file's own, or that in its name."
        ),
    ] = None,
    member: Annotated[
        str | None, typer.Option(metavar="MEMBER", help="Of which member of an ensemble they are.")
    ] = None,
    move: Annotated[
        bool, typer.Option("--move", help="Move them to the folder of the product first.")
    ] = False,
    link: Annotated[
        bool, typer.Option("--link", help="The same by hard links; they stay here, too.")
    ] = False,
    declare: Annotated[
        bool, typer.Option("--declare", help="Add the product to nowcast.yaml where it is not.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Take files into the index of products, where they lie.

    Each is read to its end first. What is cut off, empty or being written
    still is refused, and the others are taken; the exit code is 1 then.
    With --move or --link they are put in the folder that nowcast.yaml names
    for the product: the old file or all of the new, and never there unknown.

    \b
    Examples:
      nowcast product register /results/hrdps/2026112200 --product hrdps
      nowcast product register '/data/**/*.grib2' --product hrdps --move
      nowcast product register tide.csv -p tides --reference-time 2026112206
      nowcast product register a.nc --product drift --declare
    """
    from nowcast_cli.products.taking import Outcome, Placing, taken_in

    if move and link:
        raise UsageError("--move and --link say two things", hint="give one of them")
    out, system = output_of(ctx), system_of(ctx)
    reference = _given_time(reference_time)
    if declare:
        _declare(out, system, invocation_of(ctx).config_file, product)
    placing = Placing(system.config, product, link) if move or link else None
    if placing is not None and not runs(system):
        what = f"the system {system.paths.deployment} does not run"
        raise NotRunning(what, hint="nowcast start")
    outcome, progress = Outcome(), _Progress()
    taken: list[dict[str, Any]] = []
    for outcome in taken_in(
        files,
        product,
        lambda request: ask_manager(system, "register product", request),
        reference=reference,
        member=member,
        placing=placing,
    ):
        progress.show(outcome.taken, len(outcome.refused))
        if as_json:
            taken += outcome.batch
    progress.end()
    if as_json:
        out.json(_as_json(product, outcome, taken))
    else:
        _print(out, product, outcome)
    return 1 if outcome.refused else 0


def _given_time(text: str | None) -> str | None:
    if text is None:
        return None
    from nowcast_cli.products.times import NotATime, read_time

    try:
        return read_time(text)
    except NotATime as error:
        raise UsageError(f"--reference-time {error}") from None


def _declare(out: Output, system: System, config_file: Path, product: str) -> None:
    from nowcast_cli.cli.product_declaring import declare

    if declare(config_file, product):
        ask_manager(system, "reload", {})
        out.note(f"{product} is declared in {config_file}")


def _as_json(product: str, outcome: Outcome, taken: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "product": product,
        "instances": list(outcome.instances.values()),
        "files": taken,
        "refused": [{"what": error.what, "hint": error.hint} for error in outcome.refused],
    }


def _print(out: Output, product: str, outcome: Outcome) -> None:
    for error in outcome.refused[:_SHOWN]:
        out.note(Painted("refused: ", "red"), error.what)
        if error.hint:
            out.note(Painted("hint: ", "blue"), error.hint)
    if len(outcome.refused) > _SHOWN:
        out.note(f"and {len(outcome.refused) - _SHOWN:,} more are refused")
    new, known = outcome.new, outcome.taken - outcome.new
    also = f", {known:,} known already" if known else ""
    out.line(f"{product}: {new:,} file{'' if new == 1 else 's'} registered{also}")
    for each in outcome.instances.values():
        state = Painted("complete", "green") if each["is_complete"] else "not complete"
        version = f"version {each['version']}, {each['files']:,} files, "
        out.line(f"  {each['reference_time']}  {version}", state)


class _Progress:
    """One line on a terminal, for as long as files are taken in."""

    def __init__(self) -> None:
        import sys

        self._stream = sys.stderr if sys.stderr.isatty() else None
        self._shown = False

    def show(self, done: int, refused: int) -> None:
        if self._stream is not None:
            words = f", {refused:,} refused" if refused else ""
            print(f"\r{done:,} files{words} ", end="", file=self._stream, flush=True)
            self._shown = True

    def end(self) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=self._stream, flush=True)
