"""``NAME=VALUE`` of the command line, for parameters and results of flows."""

from __future__ import annotations


def given_parameters(given: list[str] | None, option: str = "--param") -> dict[str, str]:
    """Read the values of an option that may be repeated. Raises UsageError."""
    from nowcast_cli.errors import UsageError

    values = {}
    for text in given or []:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise UsageError(
                f"{option} {text} names no value", hint=f"write it as {option} name=value"
            )
        values[name] = value
    return values
