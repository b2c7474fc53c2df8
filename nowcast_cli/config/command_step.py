"""Workers that are commands: ``command:`` in the message registry, and what stands beside it. Pure.

What is read here is a template; :mod:`nowcast_cli.config.step_filling` makes of it what one job
runs.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from nowcast_cli.config.placeholders import placeholders, shell_text_of, unclosed
from nowcast_cli.config.reading import Reading, is_plain, text_of
from nowcast_cli.config.settings import registered_workers

if TYPE_CHECKING:
    from nowcast_cli.config.findings import Finding
    from nowcast_cli.config.positions import KeyPath

# Settings of a worker that has a `command`; of any other they are message types, as ever.
STEP_KEYS = (
    "command",
    "environment",
    "working directory",
    "success codes",
    "parameters",
    "inputs",
    "outputs",
    "as",
    "marker",
)
MESSAGES = ("success", "failure", "crash")
# What nowcast fills in by itself; a parameter `run_date` may say that the date has to be given.
BUILT_IN = ("run_date", "job_id", "attempt", "scratch", "deployment", "worker", "member")

_NAME = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True)
class CommandStep:
    """A command as the registry has it; texts may hold placeholders.

    ``words`` is run without a shell. ``parameters`` are options of a launch with their defaults,
    None for one that has to be given. ``copy`` and ``link`` are inputs by their names in scratch;
    ``outputs`` destinations by theirs. ``messages`` are the types that it may tell.
    """

    words: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: str | None = None
    success_codes: tuple[int, ...] = (0,)
    parameters: Mapping[str, str | None] = field(default_factory=dict)
    copy: Mapping[str, str] = field(default_factory=dict)
    link: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    symlink: bool = False
    marker: str | None = None
    messages: tuple[str, ...] = MESSAGES

    @cached_property
    def has_date(self) -> bool:
        """Whether ``{run_date}`` stands anywhere in it."""
        return any(
            found.name == "run_date" for text in self.texts() for found in placeholders(text)
        )

    def texts(self) -> Iterator[str]:
        """Give all texts that may hold placeholders."""
        yield from self.words
        for mapping in (self.environment, self.copy, self.link, self.outputs):
            yield from mapping
            yield from mapping.values()
        yield from (text for text in (self.directory, self.marker) if text is not None)


def command_step(
    entry: Mapping[Any, Any], path: KeyPath, messages: tuple[str, ...]
) -> tuple[CommandStep | None, list[Finding]]:
    """Read the command in the entry of a worker, which stands at ``path``; gives the mistakes.

    ``messages`` are the types that the entry registers. None for a worker that has no command, or
    none that can be read.
    """
    if "command" not in entry:
        return None, []
    reading = _Reading(entry, path)
    words = reading.words()
    copy, link = reading.inputs()
    outputs = reading.outputs()
    step = CommandStep(
        words=words,
        environment=reading.environment(),
        directory=reading.text("working directory"),
        success_codes=reading.codes(),
        parameters=reading.parameters(),
        copy=copy,
        link=link,
        outputs=outputs,
        symlink=reading.symlink(outputs),
        marker=reading.marker(outputs),
        messages=messages,
    )
    reading.check_placeholders(step)
    reading.check_entry(step)
    return (step if words else None), reading.findings


def step_findings(config: Mapping[str, Any]) -> Iterator[Finding]:
    """Find what is wrong in the commands of the registered workers."""
    from nowcast_cli.config.registry import message_types

    for name, entry in registered_workers(config):
        path = ("message registry", "workers", name)
        yield from command_step(entry, path, tuple(message_types(entry)))[1]
        if "command" not in entry:
            yield from _keys_of_no_command(entry, path)


def _keys_of_no_command(entry: Mapping[Any, Any], path: KeyPath) -> Iterator[Finding]:
    """Find keys of a command at a module; one that holds text is a message type, as ever."""
    from nowcast_cli.config.findings import Finding

    for key in STEP_KEYS:
        if entry.get(key) is not None and not isinstance(entry[key], str):
            words = "is for a worker that is a command, and this one has no `command`"
            yield Finding((*path, key), words, hint="a module takes care of that itself")


class _Reading(Reading):
    """Reads values of the entry of a worker that is a command."""

    # --- single keys

    def words(self) -> tuple[str, ...]:
        command = self.entry["command"]
        if isinstance(command, str):
            try:
                words = shlex.split(command)
            except ValueError as error:
                self.wrong(("command",), f"cannot be split into words: {str(error).lower()}")
                return ()
        elif isinstance(command, list) and all(is_plain(word) for word in command):
            words = [text_of(word) for word in command]
        else:
            self.wrong(
                ("command",),
                f"must be a command line or a list of words, not {command!r}",
                "such as: ./make_plots.sh --date {run_date}",
            )
            return ()
        if not words or not words[0]:
            self.wrong(("command",), "must not be empty")
            return ()
        return tuple(words)

    def text(self, key: str) -> str | None:
        value = self.entry.get(key)
        if value is None or (isinstance(value, str) and value):
            return value
        self.wrong((key,), f"must be a path, not {value!r}")
        return None

    def codes(self) -> tuple[int, ...]:
        value = self.entry.get("success codes")
        given = [value] if _is_number(value) else value
        if given is None:
            return (0,)
        if isinstance(given, list) and given and all(map(_is_code, given)):
            return tuple(given)
        self.wrong(("success codes",), f"must be exit codes from 0 to 255, not {value!r}")
        return (0,)

    def mapping(self, key: str) -> dict[Any, Any]:
        value = self.entry.get(key)
        if value is None or isinstance(value, dict):
            return value or {}
        self.wrong((key,), f"must hold keys with values, not {value!r}")
        return {}

    def parameters(self) -> dict[str, str | None]:
        read: dict[str, str | None] = {}
        for name, value in self.mapping("parameters").items():
            if not (isinstance(name, str) and _NAME.fullmatch(name)):
                self.wrong(("parameters", name), "is no name of letters, digits and _")
            elif name in BUILT_IN and name != "run_date":
                self.wrong(("parameters", name), "is filled in by nowcast itself")
            elif value is not None and not is_plain(value):
                self.wrong(("parameters", name), f"must be text or a number, not {value!r}")
            else:
                read[name] = None if value is None else text_of(value)
        return read

    # --- files

    def inputs(self) -> tuple[dict[str, str], dict[str, str]]:
        section = self.mapping("inputs")
        for key in section:
            if key not in ("copy", "link"):
                from nowcast_cli.config.hints import did_you_mean

                hint = "inputs holds copy: […] and link: […]"
                words = "is not a key of this section" + did_you_mean(str(key), ("copy", "link"))
                self.wrong(("inputs", key), words, hint)
        copy, link = (self._files(section, kind) for kind in ("copy", "link"))
        for name in copy.keys() & link.keys():
            self.wrong(("inputs", "link"), f"{name} is copied into scratch already")
        return copy, link

    def _files(self, section: Mapping[Any, Any], kind: str) -> dict[str, str]:
        value = section.get(kind)
        if isinstance(value, list) and all(isinstance(path, str) for path in value):
            pairs = [(PurePosixPath(path).name, path) for path in value]
            names = [name for name, _ in pairs]
            for name in {name for name in names if names.count(name) > 1}:
                self.wrong(("inputs", kind), f"two of them are called {name}: name them {{…: …}}")
            value = dict(pairs)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.wrong(("inputs", kind), "must be a list of paths, or paths by name")
            return {}
        return {
            str(name): str(path)
            for name, path in value.items()
            if self._is_file(("inputs", kind), name, path)
        }

    def _is_file(self, keys: Sequence[Any], name: Any, path: Any) -> bool:
        if not (isinstance(path, str) and path):
            self.wrong((*keys, name), f"must be a path, not {path!r}")
        elif not isinstance(name, str) or not _is_inside(name):
            self.wrong(keys, f"{name!r} is no name of a file in scratch")
        else:
            return True
        return False

    def outputs(self) -> dict[str, str]:
        read = {
            str(name): path
            for name, path in self.mapping("outputs").items()
            if self._is_file(("outputs",), name, path)
        }
        seen: set[str] = set()
        for name, path in read.items():
            if path.endswith("/"):
                words = f"must be the path that it gets, name and all, such as {path}{name}"
                self.wrong(("outputs", name), words)
            if path in seen:
                self.wrong(("outputs", name), f"{path} is the place of another output, too")
            seen.add(path)
        return read

    def symlink(self, outputs: Mapping[str, str]) -> bool:
        value = self.entry.get("as")
        if value is None:
            return False
        if value != "symlink":
            self.wrong(("as",), f"can only be symlink, not {value!r}")
        elif not outputs:
            self.wrong(("as",), "is for outputs, and there are none")
        elif self.entry.get("marker") is not None:
            self.wrong(("marker",), "is of no use with `as: symlink`: choose one of them")
        elif (
            len(folders := {PurePosixPath(path).parent for path in outputs.values()}) > 1
            or not folders.pop().name
        ):
            self.wrong(
                ("as",),
                "needs outputs that go to one folder, which becomes the symlink",
                "without `as`, they are renamed one by one",
            )
        else:
            return True
        return False

    def marker(self, outputs: Mapping[str, str]) -> str | None:
        marker = self.text("marker")
        if marker is not None and not outputs:
            self.wrong(("marker",), "tells of outputs, and there are none")
        if marker in outputs.values():
            self.wrong(("marker",), "is the place of an output, too")
        return marker

    # --- what concerns several keys

    def check_placeholders(self, step: CommandStep) -> None:
        from nowcast_cli.config.hints import did_you_mean

        known = (*step.parameters, *BUILT_IN)
        program = shell_text_of(step.words)
        for keys, text in self._places(step):
            for name in unclosed(text, known):
                self.wrong(keys, f"{{{name} has no end", f"write {{{name}}}")
            for found in placeholders(text):
                if found.name not in known:
                    self.wrong(
                        keys,
                        f"nothing is known of {{{found.name}}}" + did_you_mean(found.name, known),
                        f"declare it below `parameters`, or write {{{{{found.name}}}}} for the "
                        "text itself",
                    )
                elif found.format is not None and found.name in BUILT_IN[1:]:
                    self.wrong(keys, f"only a date has a format, not {{{found.name}}}")
                elif found.quoted and program is not None and text == step.words[program]:
                    self.wrong(
                        keys,
                        f"{{{found.name}}} stands between quotes of the shell",
                        "leave the quotes away: values are quoted as they are filled in",
                    )

    def _places(self, step: CommandStep) -> Iterator[tuple[Sequence[Any], str]]:
        from nowcast_cli.config.positions import Index

        is_list = isinstance(self.entry["command"], list)
        for number, word in enumerate(step.words):
            yield (("command", Index(number)) if is_list else ("command",)), word
        for key, texts in (("environment", step.environment), ("outputs", step.outputs)):
            for name, text in texts.items():
                yield (key, name), name
                yield (key, name), text
        for key, texts in (("copy", step.copy), ("link", step.link)):
            for text in (*texts, *texts.values()):
                yield ("inputs", key), text
        for key, value in (("working directory", step.directory), ("marker", step.marker)):
            if value is not None:
                yield (key,), value

    def check_entry(self, step: CommandStep) -> None:
        if self.entry.get("module") is not None:
            self.wrong(("module",), "is of no use to a worker that has a `command`")
        if not _NAME.fullmatch(str(self.path[-1])):
            hint = "its after_ function is named after it"
            self.wrong((), "must be a name of letters, digits and _", hint)
        missing = [name for name in MESSAGES if name not in step.messages]
        if missing:
            self.wrong(
                (),
                f"a command ends with success, failure or crash: {', '.join(missing)} "
                f"{'is' if len(missing) == 1 else 'are'} missing",
                "name each, with words for the log",
            )


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_code(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 255
