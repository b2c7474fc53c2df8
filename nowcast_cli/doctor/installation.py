"""What is installed: Python, packages, and the interpreter of the workers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from nowcast_cli.doctor.finding import Finding, Subject, error, note, warning

_DEADLINE = 30.0  # seconds for an interpreter to start, also on a slow disk
_PROBE = """
import json, sys
from importlib import metadata
def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
found = {name: version(name) for name in ("nowcast-cli", "NEMO_Nowcast")}
found.update(python=list(sys.version_info[:3]), prefix=sys.prefix)
print("\\n" + json.dumps(found))
"""
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[[^\]]*\])?(?P<bounds>[^;]*)(?P<rest>.*)")
_OPERATORS = {">=": lambda a, b: a >= b, "<": lambda a, b: a < b, "==": lambda a, b: a == b}


def version_of_nowcast(subject: Subject) -> Iterator[Finding]:  # noqa: ARG001
    """Never fails: says which nowcast this is, and where."""
    words = ".".join(map(str, sys.version_info[:3]))
    yield note(f"nowcast-cli {metadata.version('nowcast-cli')} on Python {words} in {sys.prefix}")


def packages(subject: Subject) -> Iterator[Finding]:  # noqa: ARG001
    """Failure means that a package was removed or changed since nowcast was installed."""
    for requirement in metadata.requires("nowcast-cli") or []:
        match = _REQUIREMENT.fullmatch(requirement)
        if match is None or "extra" in match["rest"]:
            continue
        try:
            found = metadata.version(match["name"])
        except metadata.PackageNotFoundError:
            yield error(
                f"the package {match['name']} is not installed",
                f"{sys.executable} -m pip install '{requirement}'",
            )
            continue
        if not satisfies(found, match["bounds"]):
            yield error(
                f"{match['name']} {found} is installed, and {match['bounds'].strip()} is needed",
                f"{sys.executable} -m pip install '{requirement}'",
            )


def nemo_nowcast_beside(subject: Subject) -> Iterator[Finding]:  # noqa: ARG001
    """Failure means that `import nemo_nowcast` may give NEMO_Nowcast's own code, or a mixture."""
    try:
        found = metadata.version("NEMO_Nowcast")
    except metadata.PackageNotFoundError:
        return
    yield _beside(found, sys.executable)


def interpreter_of_workers(subject: Subject) -> Iterator[Finding]:
    """Failure means that no job can begin, or that jobs run another nowcast than the daemons."""
    python = str(subject.config["python"])
    if python == sys.executable:
        return
    answer = _ask(python)
    if answer.found is None:
        yield error(
            f"the interpreter of the workers, {python}, cannot be used: {answer.trouble}",
            "mend `python` in nowcast.yaml, or leave it away to use the one of nowcast",
        )
        return
    if answer.found["python"] < [3, 11]:
        words = ".".join(map(str, answer.found["python"]))
        yield error(
            f"{python}, which is to run the workers, is Python {words}, and 3.11 is needed",
            "name a newer one by `python` in nowcast.yaml",
        )
    theirs, ours = answer.found["nowcast-cli"], metadata.version("nowcast-cli")
    if theirs is None:
        yield error(
            f"nowcast-cli is not installed for {python}, which is to run the workers",
            f"{python} -m pip install nowcast-cli",
        )
    elif theirs != ours:
        yield warning(
            f"the workers run nowcast-cli {theirs}, and the daemons {ours}",
            f"{python} -m pip install nowcast-cli=={ours}",
        )
    if answer.found["NEMO_Nowcast"] is not None and answer.found["prefix"] != sys.prefix:
        yield _beside(answer.found["NEMO_Nowcast"], python)


def satisfies(version: str, bounds: str) -> bool:
    """Say whether a version is within bounds such as ``>=1.2,<2``; unknown ones are passed over."""
    for bound in filter(None, (part.strip(" ()") for part in bounds.split(","))):
        match = re.fullmatch(r"(>=|<|==)\s*([\w.]+)", bound)
        if match is not None and not _OPERATORS[match[1]](_numbers(version), _numbers(match[2])):
            return False
    return True


@dataclass(frozen=True)
class _Answer:
    """What an interpreter says of itself; ``found`` is None with ``trouble`` saying why."""

    found: dict[str, Any] | None
    trouble: str = ""


def _ask(python: str) -> _Answer:
    try:
        done = subprocess.run(
            [python, "-c", _PROBE],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_DEADLINE,
            check=False,
        )
        return _Answer(json.loads(done.stdout.splitlines()[-1]))
    except OSError as problem:
        return _Answer(None, problem.strerror or str(problem))
    except subprocess.TimeoutExpired:
        return _Answer(None, f"it did not answer in {_DEADLINE:g} s")
    except (ValueError, IndexError):
        last = done.stderr.strip().splitlines()
        return _Answer(None, last[-1] if last else f"it ended with exit code {done.returncode}")


def _beside(version: str, python: str) -> Finding:
    return warning(
        f"NEMO_Nowcast {version} is installed beside nowcast-cli for {python}; both bring the "
        "package nemo_nowcast, and either may be imported",
        f"{python} -m pip uninstall NEMO_Nowcast, then "
        f"{python} -m pip install --force-reinstall --no-deps nowcast-cli",
    )


def _numbers(version: str) -> tuple[int, ...]:
    numbers = []
    for part in version.split("."):
        match = re.match(r"\d+", part)
        if match is None:
            break
        numbers.append(int(match[0]))
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
