"""What one job of a command step runs: the step of the registry with all that is known of the job.

Pure. The result is JSON, which travels to the host of the job and stands in its ``job.json``.
"""

from __future__ import annotations

import os.path
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from nowcast_cli.config.command_step import CommandStep
from nowcast_cli.config.hints import did_you_mean
from nowcast_cli.config.placeholders import FillError, fill, shell_text_of

RUN_DATE = "run_date"


class StepError(Exception):
    """A job of a command step cannot be what is asked for: a sentence, and the remedy."""

    def __init__(self, what: str, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


def options_of(step: CommandStep) -> dict[str, str | None]:
    """Give the options of a launch with their defaults; that of the date has none."""
    return {RUN_DATE: None, **step.parameters}


def given(step: CommandStep, worker: str, arguments: Sequence[str]) -> dict[str, str]:
    """Read the arguments of a launch, ``--name value`` or ``--name=value``. Raises StepError."""
    known = options_of(step)
    read: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        option, equals, value = rest.pop(0).partition("=")
        name = option.removeprefix("--").replace("-", "_")
        if not option.startswith("--") or name not in known:
            options = [_option(each) for each in known]
            raise StepError(
                f"{worker} has no option {option!r}{did_you_mean(option, options)}",
                f"its options are {', '.join(options)}",
            )
        if not equals:
            if not rest:
                raise StepError(f"{worker} wants a value after {option}")
            value = rest.pop(0)
        read[name] = value
    return read


def with_date(step: CommandStep, arguments: tuple[str, ...], day: str) -> tuple[str, ...]:
    """Give the arguments of a job with its date, where the step has one and none is given.

    A job that tries again, or is run again days later, has that of the first one then. Arguments
    that cannot be read are left as they are: who fills in the step says what is wrong.
    """
    if not step.has_date or RUN_DATE in step.parameters:
        return arguments
    try:
        read = given(step, "", arguments)
    except StepError:
        return arguments
    return arguments if RUN_DATE in read else (*arguments, _option(RUN_DATE), day)


def day_of(created: str, zone: Any) -> str:
    """Give the day of an instant (ISO 8601, UTC) in a time zone."""
    return datetime.fromisoformat(created).astimezone(zone).date().isoformat()


def filled(
    step: CommandStep, arguments: Sequence[str], facts: Mapping[str, str], worker: str
) -> dict[str, Any]:
    """Give what a job runs, as JSON. Raises StepError, with a sentence.

    Parameters
    ----------
    arguments
        The options of the launch.
    facts
        What is known of the job by name: ``run_date``, ``job_id``, ``attempt``, ``member``.
    """
    read = given(step, worker, arguments)
    missing = [
        name for name, default in step.parameters.items() if default is None and name not in read
    ]
    if missing:
        options = ", ".join(_option(name) for name in missing)
        raise StepError(f"{worker} cannot run without {options}", f"give it: {options} VALUE")
    defaults = {name: value for name, value in step.parameters.items() if value is not None}
    values = {**facts, "worker": worker, **defaults, **read}
    program = shell_text_of(step.words)

    def put(text: str) -> str:
        return fill(text, values)

    def put_each(texts: Mapping[str, str]) -> dict[str, str]:
        return {put(name): put(text) for name, text in texts.items()}

    try:
        return {
            "words": [
                fill(word, values, for_shell=number == program)
                for number, word in enumerate(step.words)
            ],
            "environment": put_each(step.environment),
            "directory": None if step.directory is None else put(step.directory),
            "success_codes": list(step.success_codes),
            "copy": put_each(step.copy),
            "link": put_each(step.link),
            "outputs": _outputs(put_each(step.outputs), step.symlink),
            "marker": None if step.marker is None else put(step.marker),
            "messages": list(step.messages),
        }
    except FillError as error:
        raise StepError(f"{worker} cannot run: {error}") from None


def _outputs(outputs: Mapping[str, str], symlink: bool) -> list[list[str | None]]:
    return [
        [name, path, os.path.dirname(path) if symlink else None]  # noqa: PTH120
        for name, path in outputs.items()
    ]


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
