"""Requests about flows: run one, cancel a run or open it again, end a step from outside."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import lru_cache
from shlex import quote
from typing import Any

from nowcast_cli.config.hints import did_you_mean
from nowcast_cli.flows import service_management
from nowcast_cli.flows.action_key import ActionKey, BadActionKey
from nowcast_cli.flows.definition import Action, Flow
from nowcast_cli.flows.definition import Step as FlowStep
from nowcast_cli.flows.parameters import BadParameter
from nowcast_cli.flows.placeholders import is_reference
from nowcast_cli.flows.tokens import BadToken, Token
from nowcast_cli.manager.action_directory import Directory
from nowcast_cli.manager.flow_actions import ASYNC, GOES_ON_WITHOUT_PERFORMER
from nowcast_cli.manager.flow_moves import plain
from nowcast_cli.manager.flow_runs import FlowRuns
from nowcast_cli.manager.requests import RequestError
from nowcast_cli.manager.run_waits import CALL
from nowcast_cli.manager.state import Reply, State, Step
from nowcast_cli.store.flow_records import FlowRunRecord, StepRecord, StepState

FlowNamed = Callable[[str], Flow]
RunOf = Callable[[str], FlowRunRecord | None]

_LONGEST_CALL = 366 * 86400  # s
_WORDS: Mapping[str, StepState] = {"done": "done", "failed": "failed"}


def run(
    state: State, runs: FlowRuns, payload: Any, flow_named: FlowNamed, directory: Directory
) -> Step:
    """Begin a run: ``{flow, parameters, origin}``."""
    flow = flow_named(_text(payload, "flow"))
    given = payload.get("parameters") or {}
    if not isinstance(given, Mapping):
        raise RequestError("the parameters of a flow are names with values", "nowcast flow run -h")
    if flow.name == service_management.FLOW:
        _refuse_no_service(given.get(service_management.CHOSEN_BY), directory.services)
    origin = str(payload.get("origin") or "by request")
    try:
        step, begun = runs.begin(state, flow, {str(key): given[key] for key in given}, origin)
    except BadParameter as error:
        raise RequestError(str(error), f"nowcast flow show {flow.name}") from None
    return replace(step, reply=Reply("ack", {"run": begun.id}))


def _refuse_no_service(name: Any, services: Collection[str]) -> None:
    """Refuse to wait for a service that there is not."""
    if name is not None and name not in services:
        meant = did_you_mean(str(name), services)
        among = f"the services are {', '.join(sorted(services))}" if services else "there is none"
        raise RequestError(f"there is no service {str(name)!r}{meant}", among)


def call(state: State, runs: FlowRuns, payload: Any, directory: Directory) -> Step:
    """Call an action: ``{key, values, seconds?, origin}`` begins a run of that one step.

    ``seconds`` is how long it may take. A wait for a word from outside is none of its work.
    """
    text = _text(payload, "key")
    try:
        key = ActionKey.parse(text)
    except BadActionKey as error:
        hint = "nowcast action list"
        raise RequestError(f"the action key {text!r} {error}", hint) from None
    values = payload.get("values") or {}
    if not isinstance(values, Mapping):
        words = "the values of an action are names with values"
        raise RequestError(words, "nowcast action call -h")
    wrong = next((str(each) for each in values if not is_reference(str(each))), None)
    if wrong is not None:
        raise RequestError(f"{wrong!r} is no name of a value", "nowcast action call -h")
    may_wait = key.decorator in GOES_ON_WITHOUT_PERFORMER or directory.patient_for > 0
    if directory.find(key, values) is None and not may_wait:
        raise RequestError(directory.nobody(key), "nowcast action list")
    origin = str(payload.get("origin") or "by request")
    seconds = None if key.decorator == ASYNC else _seconds(payload)
    given = {str(name): plain(value) for name, value in values.items()}
    begun, run = runs.call(state, _flow_of_call(text, tuple(given), seconds), given, origin)
    return replace(begun, reply=Reply("ack", {"run": run.id}))


@lru_cache(maxsize=128)
def _flow_of_call(key: str, names: tuple[str, ...], seconds: float | None) -> Flow:
    """Give the flow of calls of an action with values of such names, which are the run's."""
    values = {name: "{" + name + "}" for name in names}
    return Flow(key, (FlowStep(CALL, Action(ActionKey.parse(key), values), timeout=seconds),))


def _seconds(payload: Mapping[str, Any]) -> float | None:
    seconds = payload.get("seconds")
    if seconds is None:
        return None
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not 0 < seconds <= _LONGEST_CALL:
        raise RequestError(
            f"the seconds of an action are a number above 0, and {_LONGEST_CALL} at most",
            "nowcast action call -h",
        )
    return float(seconds)


def cancel(state: State, runs: FlowRuns, payload: Any, run_of: RunOf) -> Step:
    """Cancel a run: ``{run}``."""
    found = _run(payload, run_of)
    if found.id not in runs.open:
        raise RequestError(
            f"run {found.id[-8:]} of {found.flow} has ended already: it is {found.state}",
            f"nowcast flow runs {quote(found.flow)}",
        )
    step = runs.cancel(state, runs.open[found.id], "cancelled by hand")
    return replace(step, reply=Reply("ack", {"run": found.id, "state": "cancelled"}))


def again(state: State, runs: FlowRuns, payload: Any, run_of: RunOf) -> Step:
    """Open a run again: ``{run, from?}``; from a step on, or what ended badly."""
    found = _run(payload, run_of)
    if found.id in runs.open:
        raise RequestError(
            f"run {found.id[-8:]} of {found.flow} has not ended",
            f"nowcast flow cancel {found.id[-8:]}",
        )
    first = payload.get("from")
    names = [step.name for step in runs.flow_of(found).steps]
    if first is not None and first not in names:
        raise RequestError(
            f"flow {found.flow} has no step {first!r}{did_you_mean(str(first), names)}",
            f"nowcast flow show {found.id[-8:]}",
        )
    if first is None and found.state == "done":
        raise RequestError(
            f"all steps of run {found.id[-8:]} of {found.flow} ended well",
            f"nowcast flow resume {found.id[-8:]} --from STEP runs it from a step on",
        )
    step = runs.again(state, found, first)
    return replace(step, reply=Reply("ack", {"run": found.id}))


def complete(state: State, runs: FlowRuns, payload: Any, run_of: RunOf) -> Step:
    """End a step from outside: ``{token, state?, result?, reason?}``.

    The first word counts. The same one again has no effect; another one, or one for an attempt
    that is over, is refused, and stays in the journal.
    """
    token = _token(payload)
    word = str(payload.get("state") or "done")
    if word not in _WORDS:
        raise RequestError(f"a step ends done or failed, not {word!r}", "nowcast flow complete -h")
    found = runs.open.get(token.run) or run_of(token.run)
    record = None if found is None else found.steps.get((token.step, token.item))
    if found is None or record is None:
        raise RequestError(f"nothing waits for {token.short}", "nowcast flow runs")
    step_of = runs.flow_of(found).step(token.step)
    does = step_of.does
    if not isinstance(does, Action) or does.key.decorator != ASYNC:
        by = "who carries it out" if isinstance(does, Action) else "its job"
        what = f"step {token.step} is ended by {by}, not from outside"
        raise RequestError(what, f"nowcast flow show {found.id[-8:]}")
    reason = str(payload.get("reason") or "it was said to have failed")
    if record.state == "running" and record.attempt == token.attempt:
        step = runs.complete(state, token, _WORDS[word], payload.get("result"), reason)
        return replace(step, reply=Reply("ack", {"run": found.id}))
    if _is_the_same(record, token, _WORDS[word], payload.get("result")):
        return Step(state, reply=Reply("ack", {"run": found.id}))
    raise RequestError(
        f"{token.short} is over: step {token.step} is {record.state}, attempt {record.attempt}; "
        f"the word {word!r} came too late and has no effect",
        f"nowcast flow show {found.id[-8:]}",
    )


def _is_the_same(record: StepRecord, token: Token, state: StepState, gave: Any) -> bool:
    if record.attempt != token.attempt or record.state != state:
        return False
    return state != "done" or record.gave == gave


def _token(payload: Any) -> Token:
    try:
        return Token.parse(_text(payload, "token"))
    except BadToken as error:
        raise RequestError(str(error), "nowcast flow show RUN") from None


def _run(payload: Any, run_of: RunOf) -> FlowRunRecord:
    run_id = _text(payload, "run")
    found = run_of(run_id)
    if found is None:
        raise RequestError(f"there is no run {run_id!r}", "nowcast flow runs")
    return found


def _text(payload: Any, key: str) -> str:
    value = payload.get(key) if isinstance(payload, dict) else None
    if not isinstance(value, str) or not value:
        raise RequestError(f"the request has no {key!r}", "nowcast flow --help")
    return value
