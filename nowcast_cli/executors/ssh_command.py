"""What ssh is called with, and what its failures mean, as sentences. Pure."""

from __future__ import annotations

import re
import shlex
from hashlib import sha256
from pathlib import Path

from nowcast_cli.config.remote_hosts import RemoteHost
from nowcast_cli.executors.shipped import INSTALL

NOT_INSTALLED = 93
_NO_ENVVARS = 94
_SSH_FAILED = 255

# A user's own settings for the host come first, and of an option ssh takes the first.
_OPTIONS = {
    "BatchMode": "yes",
    "ConnectTimeout": "10",
    "ServerAliveInterval": "5",
    "ServerAliveCountMax": "3",
    "ControlMaster": "auto",
    "ControlPersist": "60",
    "RemoteCommand": "none",
    "ClearAllForwardings": "yes",
}


def control_path(host: RemoteHost, run: Path) -> Path:
    """Give the socket of the shared connection; short, for ssh adds 17 bytes of its own."""
    mark = sha256(repr((host.name, host.ssh_options)).encode()).hexdigest()[:6]
    return run / f"s{mark}"


def exchange_command(host: RemoteHost, control: Path, digest: str) -> list[str]:
    """Give the command that carries out an order on the host."""
    code = _word(_code(host, digest))
    steps = (f"[ -f {code} ] || exit {NOT_INSTALLED}", f"exec {_word(host.python)} -I -S {code}")
    return _ssh(host, control, *steps)


def install_command(host: RemoteHost, control: Path, digest: str) -> list[str]:
    """Give the command that puts the archive, on its stdin, where the host keeps it."""
    install = f"-I -S -c {shlex.quote(INSTALL)} {_word(_code(host, digest))} {digest}"
    return _ssh(host, control, f"exec {_word(host.python)} {install}")


def _code(host: RemoteHost, digest: str) -> str:
    return f"{host.state_directory}/code/{digest}.pyz"


def _environment(host: RemoteHost) -> tuple[str, ...]:
    if host.envvars is None:
        return ()
    file = _word(host.envvars)
    # It must neither eat the order on stdin nor talk into the answer.
    return (f"[ -r {file} ] || exit {_NO_ENVVARS}", f"source {file} </dev/null >&2")


def connection(host: RemoteHost, control: Path) -> list[str]:
    """Give ssh with its options, by which all calls of a host share one connection."""
    # ssh splits the value at spaces, and fills in what follows a percent sign.
    path = '"' + str(control).replace("%", "%%") + '"'
    options = (*host.ssh_options, *_OPTIONS.items(), ("ControlPath", path))
    return ["ssh", "-T", *(word for name, value in options for word in ("-o", f"{name}={value}"))]


def bash(host: RemoteHost, *steps: str) -> str:
    """Give the command that has bash take some steps there, in the environment of workers."""
    # bash, whatever the login shell is: `source` and what stands in envvars are for it.
    return f"exec bash -c {shlex.quote('; '.join((*_environment(host), *steps)))}"


def _ssh(host: RemoteHost, control: Path, *steps: str) -> list[str]:
    return [*connection(host, control), "--", host.name, bash(host, *steps)]


def _word(path: str) -> str:
    """Quote a path for a shell, which is to fill in ``~`` and ``$NAME`` and no more."""
    text = re.sub(r'([\\"`]|\$(?![A-Za-z_{]))', r"\\\1", path)
    return f'"{re.sub(r"^~(?=/|$)", "$HOME", text)}"'


def failure(host: RemoteHost, code: int, stderr: str) -> str:
    """Say in a sentence why a call has failed; ``code`` is the exit code of ssh."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    last = lines[-1] if lines else f"exit code {code}"
    if code == 0:
        return f"the answer of host {host.name} was cut off"
    if code == _SSH_FAILED:
        last = lines[-1] if lines else "the connection has ended"
        why = f"{_why(stderr) or last}{_remedy(host, stderr)}"
        return f"host {host.name} cannot be reached by ssh: {why}"
    if code == _NO_ENVVARS:
        return f"host {host.name} has no file {host.envvars} (envvars) that can be read"
    if code in (126, 127):
        return f"{host.python} cannot be run on host {host.name}: {last}"
    return f"host {host.name} does not carry out what it is asked: {last}"


def advice(host: RemoteHost, why: str) -> str:
    """Say what to do about a host that does not answer, by the sentence that says why."""
    if "cannot be reached" in why or "has not answered" in why:
        return f"{_by_hand(host)} true, as this user, has to work without a password"
    if "envvars" in why:
        return f"put the file there, or change run: enabled hosts: {host.name}: envvars"
    if why.startswith("ssh cannot be run"):
        return "install ssh on this machine: the package openssh-client"
    if "needs Python" in why or "cannot be run" in why:
        return f"name a Python, 3.9 or newer, of that host: run: enabled hosts: {host.name}: python"
    if any(words in why for words in ("PermissionError", "OSError", "FileNotFoundError")):
        return f"name a folder to write to: run: enabled hosts: {host.name}: state directory"
    return f"{_by_hand(host)} {host.python} --version shows what happens there"


def _by_hand(host: RemoteHost) -> str:
    """Give what to type to get there: options of the configuration are not in ~/.ssh/config."""
    options = (word for name, value in host.ssh_options for word in ("-o", f"{name}={value}"))
    return shlex.join(["ssh", *options, host.name])


def _why(stderr: str) -> str | None:
    """Find the line that tells the cause, among what servers and shells say besides."""
    for mark in _REMEDIES:
        for line in stderr.splitlines():
            if mark in line:
                return line.strip()
    return None


def _remedy(host: RemoteHost, stderr: str) -> str:
    for mark, remedy in _REMEDIES.items():
        if mark in stderr:
            return f" ({remedy.format(host=host.name)})"
    return ""


_REMEDIES = {
    "Host key verification failed": "its key is not the known one, or not known: "
    "`ssh {host}` by hand shows it",
    "Permission denied": "`ssh {host} true` has to work without a password",
    "Could not resolve hostname": "name it in ~/.ssh/config, or under `ssh options`",
}
