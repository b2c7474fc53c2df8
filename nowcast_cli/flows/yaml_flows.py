"""``flows:`` of ``nowcast.yaml``: what the line format cannot say: parents, jobs, conditions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nowcast_cli.config.findings import Finding
from nowcast_cli.config.job_settings import JobSettings, job_settings
from nowcast_cli.config.positions import KeyPath
from nowcast_cli.flows.action_key import END, ActionKey, BadActionKey
from nowcast_cli.flows.definition import Action, Conflict, Flow, Step, SubFlow, Work
from nowcast_cli.flows.names import flow_name_trouble, step_name_trouble
from nowcast_cli.flows.parameters import read_parameters
from nowcast_cli.flows.section_reading import SectionReading
from nowcast_cli.flows.triggers import read_triggers

SECTION = "flows"
FLOW_KEYS = ("description", "on", "parameters", "steps")
_KINDS = ("worker", "action", "flow")
_JOB_KEYS = ("concurrency", "retry", "timeout")
_ALL_ENDINGS = frozenset({"failure", "crash", "lost"})
STEP_KEYS = (
    *_KINDS, "args", "values", "parameters", "executor", "environment", "after", "for each", "when",
    "conflicts", "on timeout", "on failure", *_JOB_KEYS,
)  # fmt: skip
# Which keys of a step belong to which kind of it.
_OWN = {
    "worker": ("args", "executor", "environment"),
    "action": ("values",),
    "flow": ("parameters",),
}


def flows_of(section: Any) -> tuple[list[Flow], list[Finding]]:
    """Read the section; gives the flows without mistakes, and the mistakes of the others."""
    findings: list[Finding] = []
    if section is None:
        return [], findings
    if not isinstance(section, Mapping):
        return [], [Finding((SECTION,), f"must hold flows by name, not {section!r}")]
    flows = []
    for name, entry in section.items():
        wrong: list[Finding] = []
        flow = _flow(str(name), entry, (SECTION, name), wrong)
        findings += wrong
        if not any(finding.severity == "error" for finding in wrong):
            flows.append(flow)
    return flows, findings


def flow_described(name: str, entry: Any) -> Flow:
    """Give the flow of which ``described`` gave ``entry``; its steps may have any names."""
    return _flow(name, entry, (SECTION, name), [])


def _flow(name: str, entry: Any, path: KeyPath, findings: list[Finding]) -> Flow:
    if (words := flow_name_trouble(name)) is not None:
        findings.append(Finding(path, words))
    reading = SectionReading(entry, path, findings, FLOW_KEYS)
    steps = reading.mapping("steps")
    if not steps and isinstance(entry, Mapping):
        reading.wrong("steps", "has no steps", "steps: {run: {worker: run_model}}")
    return Flow(
        name,
        tuple(_step(step, each, (*path, "steps", step), findings) for step, each in steps.items()),
        read_parameters(reading.mapping("parameters"), (*path, "parameters"), findings),
        read_triggers(reading.entry.get("on"), (*path, True), findings),
        reading.text("description") or "",
    )


def _step(name: str, entry: Any, path: KeyPath, findings: list[Finding]) -> Step:
    if (words := step_name_trouble(name)) is not None:
        findings.append(Finding(path, words))
    reading = SectionReading(entry, path, findings, STEP_KEYS)
    reading.check_placeholders("args", "values", "parameters", "environment", "for each")
    jobs = _jobs(reading)
    return Step(
        name,
        _does(reading),
        reading.names("after"),
        reading.entry.get("for each"),
        reading.condition("when"),
        jobs.concurrency,
        _conflicts(reading),
        jobs.retry,
        jobs.timeout,
        reading.one_of("on timeout", ("fail", "retry"), "fail"),  # type: ignore[arg-type]
        reading.text("on failure") or "fail",
    )


def _jobs(reading: SectionReading) -> JobSettings:
    given = {key: reading.entry[key] for key in _JOB_KEYS if key in reading.entry}
    settings, findings = job_settings(given, reading.path)
    reading.findings += findings
    retry = reading.entry.get("retry")
    if settings.retry is None or (isinstance(retry, Mapping) and retry.keys() & {"on", True}):
        return settings
    # A step is tried again however it ended badly; which endings of a job count, its worker says.
    return replace(settings, retry=replace(settings.retry, on=_ALL_ENDINGS))


def _does(reading: SectionReading) -> Action | Work | SubFlow:
    kinds = [kind for kind in _KINDS if reading.entry.get(kind) is not None]
    if len(kinds) != 1:
        said = "and ".join(f"{kind} " for kind in kinds) or "nothing "
        words = f"says {said}to do; a step has one of worker, action and flow"
        if all(finding.path != reading.path for finding in reading.findings):
            reading.findings.append(Finding(reading.path, words))
        return SubFlow("")
    (kind,) = kinds
    for other, keys in _OWN.items():
        for key in keys:
            if other != kind and key in reading.entry:
                reading.wrong(key, f"belongs beside `{other}:`, and this step has `{kind}:`")
    if kind == "action":
        return Action(_key(reading), reading.mapping("values"))
    if kind == "flow":
        return SubFlow(reading.text("flow") or "", reading.mapping("parameters"))
    return Work(
        reading.text("worker") or "",
        reading.arguments("args"),
        reading.text("executor"),
        reading.environment(),
    )


def _key(reading: SectionReading) -> ActionKey:
    text = reading.text("action") or ""
    try:
        key = ActionKey.parse(text)
    except BadActionKey as error:
        reading.wrong("action", f"the action key {text!r} {error}")
        return END
    if key == END:
        reading.wrong("action", f"{END} ends a flow of the line format; here a flow ends by itself")
    return key


def _conflicts(reading: SectionReading) -> tuple[Conflict, ...]:
    found = []
    for name in reading.names("conflicts"):
        flow, dot, step = name.rpartition(".")
        if not dot or "." in flow:
            words = f"{name!r} names no step of a flow"
            reading.wrong("conflicts", words, "conflicts: [hindcast.run]")
        found.append(Conflict(flow, step))
    return tuple(found)
