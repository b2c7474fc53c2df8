"""All flows of a system, from ``flows.ini``, ``actions.ini`` and ``flows:``, and their mistakes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from nowcast_cli.config.config import Config
from nowcast_cli.config.findings import Finding
from nowcast_cli.config.located import located
from nowcast_cli.config.positions import BadYaml, Document, read_document
from nowcast_cli.config.problem import Problem
from nowcast_cli.config.registry import registry_of
from nowcast_cli.config.services import services_of
from nowcast_cli.flows.action_mapping import ActionMapping, read_mapping
from nowcast_cli.flows.checks import Mistake, mistakes
from nowcast_cli.flows.components import component_trouble
from nowcast_cli.flows.definition import Flow, Place
from nowcast_cli.flows.ini_flows import read_flows
from nowcast_cli.flows.owners import Owners, owners_of
from nowcast_cli.flows.service_management import service_topics_flow
from nowcast_cli.flows.yaml_flows import SECTION, flows_of

FLOWS_FILE = "flows.ini"
ACTIONS_FILE = "actions.ini"


@dataclass(frozen=True, slots=True)
class Declared:
    """The flows that can be read, what answers their actions, and all that is wrong.

    ``wrong`` names the flows that can be read and not be run; ``owners`` knows the actions of
    services.
    """

    flows: Mapping[str, Flow]
    actions: ActionMapping
    problems: tuple[Problem, ...]
    wrong: frozenset[str]
    owners: Owners

    @property
    def usable(self) -> dict[str, Flow]:
        """The flows without mistakes."""
        return {name: flow for name, flow in self.flows.items() if name not in self.wrong}


def has_flows(config: Config) -> bool:
    """Say whether a system declares any flows; quick, for those that most often have none."""
    folder = config.file.parent
    return bool(config.get(SECTION) or services_of(config)) or (folder / FLOWS_FILE).exists()


def has_actions(config: Config) -> bool:
    """Say whether a system has a file that says what answers actions."""
    return (config.file.parent / ACTIONS_FILE).exists()


def declared(config: Config) -> Declared:
    """Read and check the flows of a system. Raises ConfigError for a registry of no form."""
    folder = config.file.parent
    from_lines, problems = _from_file(folder / FLOWS_FILE)
    from_yaml, findings = flows_of(config.get(SECTION))
    from_yaml = _placed(config.file, from_yaml)
    problems += _in_yaml(config.file, findings)
    services = services_of(config)
    owners, findings = owners_of(services)
    problems += _in_yaml(config.file, findings)
    built_in = [service_topics_flow()] if services else []
    flows, twice = _together([*from_lines, *from_yaml, *built_in])
    actions, wrong = _mapping(folder / ACTIONS_FILE)
    problems += [*twice, *wrong, *_components(actions, folder)]
    found = list(mistakes(flows, actions, registry_of(config), owners))
    problems += _located(flows, found, config.file)
    unusable = frozenset(mistake.flow for mistake in found if mistake.severity == "error")
    return Declared(flows, actions, tuple(sorted(set(problems), key=_order)), unusable, owners)


def _from_file(file: Path) -> tuple[list[Flow], list[Problem]]:
    return read_flows(file) if file.exists() else ([], [])


def _mapping(file: Path) -> tuple[ActionMapping, list[Problem]]:
    return read_mapping(file) if file.exists() else (ActionMapping({}), [])


def _placed(file: Path, flows: Iterable[Flow]) -> list[Flow]:
    """Give flows of the configuration with the lines that they and their steps stand on."""
    flows = list(flows)
    if not flows:
        return []
    try:
        document = read_document(file.read_bytes())
    except (OSError, BadYaml):  # it has changed since it was loaded
        return flows
    return [_with_places(flow, file, document) for flow in flows]


def _with_places(flow: Flow, file: Path, document: Document) -> Flow:
    def place(*path: str) -> Place:
        at = document.position((SECTION, flow.name, *path))
        return Place(file, at.line, at.column)

    steps = tuple(replace(step, place=place("steps", step.name)) for step in flow.steps)
    return replace(flow, steps=steps, place=place())


def _together(flows: Iterable[Flow]) -> tuple[dict[str, Flow], list[Problem]]:
    together: dict[str, Flow] = {}
    problems = []
    for flow in flows:
        first = together.setdefault(flow.name, flow)
        if first is not flow and flow.place is not None:
            words = f"is declared twice, first at {first.place}"
            path = f"{SECTION}.{flow.name}"
            problems.append(
                Problem(flow.place.file, flow.place.line, flow.place.column, path, words)
            )
    return together, problems


def _components(actions: ActionMapping, folder: Path) -> Iterator[Problem]:
    for key, component in actions.components.items():
        trouble = component_trouble(component.name, folder)
        if trouble is not None and component.place is not None:
            yield Problem(component.place.file, component.place.line, None, str(key), trouble)


def _located(
    flows: Mapping[str, Flow], found: Iterable[Mistake], config_file: Path
) -> Iterator[Problem]:
    in_yaml = []
    for mistake in found:
        flow = flows[mistake.flow]
        place = flow.place if mistake.step is None else flow.step(mistake.step).place
        if place is None or place.file == config_file:
            in_yaml.append(_finding(mistake))
        else:
            path = f"[{mistake.flow}]"
            yield Problem(
                place.file, place.line, None, path, mistake.words, mistake.severity, mistake.hint
            )
    yield from _in_yaml(config_file, in_yaml)


def _in_yaml(config_file: Path, findings: Iterable[Finding]) -> list[Problem]:
    """Give findings as problems; YAML reads the key `on` as true, and people do not."""
    return [
        replace(problem, path=problem.path.replace(".true", ".on"))
        for problem in located(config_file, findings)
    ]


def _finding(mistake: Mistake) -> Finding:
    step = () if mistake.step is None else ("steps", mistake.step)
    key = () if mistake.key is None else (True if mistake.key == "on" else mistake.key,)
    path = (SECTION, mistake.flow, *step, *key)
    return Finding(path, mistake.words, mistake.severity, mistake.hint)


def _order(problem: Problem) -> tuple[str, int, int, str]:
    return (str(problem.file), problem.line or 0, problem.column or 0, problem.message)
