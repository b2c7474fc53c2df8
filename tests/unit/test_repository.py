"""The repository as a whole: what is documented, pinned and kept out of it."""

from __future__ import annotations

import re
import runpy
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nowcast_cli.config.schema import json_schema

REPOSITORY = Path(__file__).parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    names = [name for name in listed.split("\0") if name]
    return [REPOSITORY / name for name in names if (REPOSITORY / name).is_file()]


def name_of(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9_.-]+", requirement)
    assert found
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def requirements() -> Iterator[str]:
    yield from PROJECT["build-system"]["requires"]
    yield from PROJECT["project"]["dependencies"]
    for extra in PROJECT["project"].get("optional-dependencies", {}).values():
        yield from extra
    for group in PROJECT["dependency-groups"].values():
        yield from group


def keys_of(schema: dict[str, Any], definitions: dict[str, Any], path: str) -> Iterator[str]:
    """Walk to every key that a configuration may hold, as ``zmq.ports.workers``."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        yield from keys_of(definitions[name], definitions, path)
    for part in ("anyOf", "allOf", "oneOf"):
        for choice in schema.get(part, ()):
            yield from keys_of(choice, definitions, path)
    for key, inner in schema.get("properties", {}).items():
        # the two halves of distributed logging have the keys of `logging` itself
        if path in ("logging.aggregator.", "logging.publisher."):
            return
        yield path + key
        yield from keys_of(inner, definitions, f"{path}{key}.")
    for part in ("items", "additionalProperties"):
        inner = schema.get(part)
        if isinstance(inner, dict):
            yield from keys_of(inner, definitions, path if part == "items" else f"{path}*.")


def test_every_dependency_has_its_reason_in_the_documentation() -> None:
    lines = (REPOSITORY / "docs/dependencies.md").read_text().splitlines()
    documented = {name_of(line[3:]) for line in lines if line.startswith("| `")}
    assert documented == {name_of(requirement) for requirement in requirements()}


def test_every_dependency_is_pinned() -> None:
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    pinned = {name_of(line) for line in lines if "==" in line}
    assert {name_of(requirement) for requirement in requirements()} <= pinned


def test_the_command_reference_says_what_the_commands_say() -> None:
    render = runpy.run_path(str(REPOSITORY / "scripts/write_cli_reference.py"))["render"]
    page = REPOSITORY / "docs/reference/cli.md"
    assert page.read_text() == render(), "the commands have changed: run `make completions`"


def test_every_configuration_key_is_in_the_reference() -> None:
    schema = json_schema()
    page = (REPOSITORY / "docs/reference/config.md").read_text()
    keys = set(keys_of(schema, schema.get("$defs", {}), ""))
    assert "zmq.ports.workers" in keys
    assert sorted(key for key in keys if f"`{key}`" not in page) == []


def test_every_name_for_worker_authors_is_in_the_reference() -> None:
    import nowcast_cli

    page = (REPOSITORY / "docs/reference/worker-api.md").read_text()
    names = [name for name in nowcast_cli.__all__ if not name.startswith("_")]
    assert names
    assert sorted(name for name in names if not re.search(rf"## `{name}[(.]", page)) == []


@pytest.mark.parametrize("page", sorted(REPOSITORY.glob("*.md")), ids=lambda page: page.name)
def test_links_between_the_files_of_the_repository_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_make_test_runs_everything_that_is_checked() -> None:
    # what the environment says of make is for the make that may run this test
    plan = subprocess.run(
        ["env", "-u", "MAKEFLAGS", "make", "--dry-run", "--always-make", "test"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    wanted = ["ruff format --check .", "ruff check .", "mypy", "lint-imports", "sphinx-build -W"]
    wanted += [
        f"tests/{folder.name}"
        for folder in (REPOSITORY / "tests").iterdir()
        if any(folder.glob("test_*.py"))
    ]
    assert [part for part in wanted if part not in plan] == []


def test_no_file_names_a_place_outside_of_the_repository() -> None:
    # written in pieces, since this file is looked at as well
    machine = "|".join(("/wo" + "rk/", "/ro" + "ot/", r"\bsha" + "red/design"))
    registries = "|".join((r"\bpy" + r"pi\.org", "pythonhost" + "ed", r"registry\.np" + "mjs"))
    forbidden = re.compile(f"{machine}|{registries}")
    found = [
        f"{path.relative_to(REPOSITORY)}: {match[0]}"
        for path in tracked_files()
        if (match := forbidden.search(path.read_text(errors="replace")))
    ]
    assert found == []


def test_no_file_of_the_package_holds_more_than_four_hundred_lines() -> None:
    files = sorted((REPOSITORY / "nowcast_cli").rglob("*.py"))
    long = {p.name: n for p in files if (n := len(p.read_text().splitlines())) > 400}
    assert long == {}


def test_the_skip_of_a_test_is_a_failure_in_ci(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeconftest((REPOSITORY / "tests/no_skip.py").read_text())
    pytester.makepyfile(
        """
        import pytest

        def test_of_a_part_that_is_missing():
            pytest.skip("no such shell")

        @pytest.mark.xfail
        def test_that_is_known_to_fail():
            assert False
        """
    )
    monkeypatch.delenv("NOWCAST_TESTS_NO_SKIP", raising=False)
    pytester.runpytest_subprocess().assert_outcomes(skipped=1, xfailed=1)
    monkeypatch.setenv("NOWCAST_TESTS_NO_SKIP", "1")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(failed=1, xfailed=1)
    result.stdout.fnmatch_lines(["*no such shell*"])
