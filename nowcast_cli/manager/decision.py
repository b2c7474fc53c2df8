"""What an after_ function may return, read into a decision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from nowcast_cli.config.ensembles import (
    NO_ENSEMBLE,
    NotAnEnsemble,
    ensemble_settings,
    request_of,
    wished,
)
from nowcast_cli.manager.job_transitions import is_module_name
from nowcast_cli.manager.transitions import Decision, Launch


class NonsenseError(Exception):
    """An after_ function returned something that is no decision; the text says what."""


def decision_of(returned: Any, function: str) -> Decision:
    """Read ``[NextWorker, …]`` or ``([NextWorker, …], {"worker", …})``.

    A wrong item in the list becomes a warning, and the rest is launched. Raises NonsenseError.
    """
    launches, barrier = _parts(returned, function)
    wanted, warnings = [], []
    for index, item in enumerate(launches):
        launch = _launch(item)
        if isinstance(launch, Launch):
            wanted.append(launch)
        else:
            warnings.append(f"item {index} of what {function} returned is left out: {launch}")
    return Decision(tuple(wanted), barrier, tuple(warnings))


def _parts(returned: Any, function: str) -> tuple[list[Any], frozenset[str]]:
    if (
        isinstance(returned, tuple | list)
        and returned
        and isinstance(returned[-1], set | frozenset)
    ):
        *rest, barrier = returned
        if len(rest) == 1 and isinstance(rest[0], list | tuple):
            rest = list(rest[0])
        if not all(isinstance(name, str) for name in barrier):
            raise NonsenseError(
                f"{function} returned a set with something else than names of workers: {barrier!r}"
            )
        return rest, frozenset(barrier)
    if isinstance(returned, list | tuple):
        return list(returned), frozenset()
    raise NonsenseError(
        f"{function} returned {returned!r}: it must return a list of NextWorker, or such a list "
        f"and a set of worker names"
    )


def _launch(item: Any) -> Launch | str:
    # By its attributes, so that a NextWorker of NEMO_Nowcast's own library is one too.
    module = getattr(item, "module", None)
    arguments = getattr(item, "args", None)
    host = getattr(item, "host", "localhost")
    if not isinstance(module, str) or not isinstance(arguments, list | tuple):
        return f"{item!r} is not a NextWorker"
    if not is_module_name(module):
        return f"{module!r} is not the dotted name of a module"
    if not isinstance(host, str) or not host.isprintable():
        return f"its host {host!r} is not the name of one"
    wish = [getattr(item, name, None) for name in ("for_each", "at_most", "ending")]
    try:
        ensemble = NO_ENSEMBLE if all(each is None for each in wish) else wished(*wish)
    except NotAnEnsemble as error:
        return f"{module} makes no ensemble: {error}"
    return Launch(module, tuple(str(argument) for argument in arguments), host, ensemble)


def decision_to_json(decision: Decision) -> dict[str, Any]:
    """Give a decision as JSON values."""
    return {
        "launches": [
            [each.module, list(each.arguments), each.host, request_of(each.ensemble)]
            for each in decision.launches
        ],
        "barrier": sorted(decision.barrier),
        "warnings": list(decision.warnings),
    }


def decision_from_json(values: Mapping[str, Any]) -> Decision:
    """Give back the decision of :func:`decision_to_json`."""
    return Decision(
        tuple(
            Launch(module, tuple(args), host, ensemble_settings(said, _nothing_is_wrong))
            for module, args, host, said in values["launches"]
        ),
        frozenset(values["barrier"]),
        tuple(values["warnings"]),
    )


def _nothing_is_wrong(key: str, words: str) -> NoReturn:
    raise AssertionError(f"{key}, which was read before: {words}")
