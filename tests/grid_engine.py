"""A real Grid Engine of one's own, for tests: ``grid_engine``.

A cell in a temporary folder, on ports of its own: several may run on one machine, and what is
left of a run that was killed is in nobody's way. Its daemons die with the process of the tests.

    def test_a_job(grid_engine):
        job_id = grid_engine.submit("exit 3")
        wait_until(lambda: grid_engine.state(job_id) is None)
        assert grid_engine.account(job_id)["exit_status"] == "3"

The commands that tests and systems call (``grid_engine.commands``, first on the ``PATH``) write
down that they were called; see ``calls``.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shlex
import signal
import socket
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers import wait_until
from ports import free_ports

INSTALLED = Path("/var/lib/gridengine")  # where Debian's packages have it
PROGRAMS = Path("/usr/lib/gridengine")
DEFAULTS = Path("/usr/share/gridengine")
COMMANDS = ("qsub", "qstat", "qacct", "qdel", "qmod", "qalter", "qhold", "qrls", "qconf")
LOCALHOST = "localhost"

BOOTSTRAP = """\
admin_user              none
default_domain          none
ignore_fqdn             false
spooling_method         classic
spooling_lib            libspoolc
spooling_params         {root}/default/common;{root}/spool/qmaster
binary_path             /usr/sbin
qmaster_spool_dir       {root}/spool/qmaster
security_mode           none
listener_threads        2
worker_threads          2
scheduler_threads       1
"""

REPORTING = "accounting=true reporting=false flush_time={flush} joblog=false sharelog=00:00:00"

# What is unlike the defaults of the packages: everything at once, and for any user.
CONFIGURATION = {
    "execd_spool_dir": "{root}/spool/execd",
    "min_uid": "0",
    "min_gid": "0",
    "load_report_time": "00:00:02",
    "max_unheard": "00:00:10",
    "reporting_params": REPORTING.format(flush="00:00:01"),
    # Processes are known by these: another cell on this machine must not have the same.
    "gid_range": "{gids}-{last_gid}",
}
SCHEDULER = {"schedule_interval": "0:0:1", "flush_submit_sec": "1", "flush_finish_sec": "1"}

HOST = {"hostname": LOCALHOST} | dict.fromkeys(
    (
        "load_scaling", "complex_values", "user_lists", "xuser_lists", "projects", "xprojects",
        "usage_scaling", "report_variables",
    ),
    "NONE",
)  # fmt: skip
PARALLEL = {
    "pe_name": "smp", "slots": "999", "user_lists": "NONE", "xuser_lists": "NONE",
    "start_proc_args": "NONE", "stop_proc_args": "NONE", "allocation_rule": "$pe_slots",
    "control_slaves": "FALSE", "job_is_first_task": "TRUE", "urgency_slots": "min",
    "accounting_summary": "FALSE",
}  # fmt: skip
PROJECT = {"name": "ocean", "oticket": "0", "fshare": "0", "acl": "NONE", "xacl": "NONE"}
QUEUE = {
    "qname": "all.q", "hostlist": LOCALHOST, "seq_no": "0", "load_thresholds": "NONE",
    "suspend_thresholds": "NONE", "nsuspend": "1", "suspend_interval": "00:05:00",
    "priority": "0", "min_cpu_interval": "00:05:00", "processors": "UNDEFINED",
    "qtype": "BATCH INTERACTIVE", "ckpt_list": "NONE", "pe_list": "smp", "rerun": "FALSE",
    "slots": "4", "tmpdir": "/tmp", "shell": "/bin/bash", "shell_start_mode": "unix_behavior",
    "notify": "00:00:60", "initial_state": "default",
} | dict.fromkeys(
    (
        "prolog", "epilog", "starter_method", "suspend_method", "resume_method",
        "terminate_method", "owner_list", "user_lists", "xuser_lists", "subordinate_list",
        "complex_values", "projects", "xprojects", "calendar",
    ),
    "NONE",
) | {
    f"{kind}_{limit}": "INFINITY"
    for limit in ("rt", "cpu", "fsize", "data", "stack", "core", "rss", "vmem")
    for kind in ("s", "h")
}  # fmt: skip

WRAPPER = """\
#!/bin/sh
echo "{name} $*" >>{root}/calls
[ ! -e {root}/late ] || [ {name} != qacct ] || {{ echo "error: job id $2 not found" >&2; exit 1; }}
{environment}
exec {uts} {program} "$@"
"""


class GridEngine:
    """A Grid Engine with the queue ``all.q`` (4 slots), the parallel environment ``smp`` and
    the project ``ocean``; it begins with :meth:`start`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.commands = root / "commands"
        qmaster_port, execd_port = free_ports(2)
        self.environment = {
            "SGE_ROOT": str(root),
            "SGE_CELL": "default",
            "SGE_ARCH": "lx-amd64",
            "SGE_QMASTER_PORT": str(qmaster_port),
            "SGE_EXECD_PORT": str(execd_port),
        }
        self._gids = 1_000_000 + 100 * qmaster_port
        self._changed: dict[str, str] = {}
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self._uts = "" if _resolves() else "unshare --uts sh -c 'hostname localhost; exec \"$@\"' -"

    # --- its files

    def _write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def _make_cell(self) -> None:
        for name in ("spool/qmaster", "spool/execd", "commands", "default/common"):
            (self.root / name).mkdir(parents=True)
        for name in ("bin", "lib", "util", "utilbin"):
            (self.root / name).symlink_to(INSTALLED / name)
        common = "default/common"
        self._write(f"{common}/bootstrap", BOOTSTRAP.format(root=self.root))
        self._write(f"{common}/act_qmaster", f"{LOCALHOST}\n")
        aliases = {socket.gethostname(), socket.getfqdn()} - {LOCALHOST}
        self._write(f"{common}/host_aliases", " ".join((LOCALHOST, *sorted(aliases))) + "\n")
        for name in COMMANDS:
            self._write_wrapper(name)
        self._spool()

    def _write_wrapper(self, name: str) -> None:
        exports = "\n".join(f"export {key}={value}" for key, value in self.environment.items())
        text = WRAPPER.format(
            name=name, root=self.root, environment=exports, uts=self._uts, program=PROGRAMS / name
        )
        self._write(f"commands/{name}", text).chmod(0o755)

    def _spool(self) -> None:
        """Write what the queue master finds when it starts for the first time."""
        places = f"{self.root}/default/common;{self.root}/spool/qmaster"
        self._run(str(PROGRAMS / "spoolinit"), "classic", "libspoolc", places, "init")
        defaults = (DEFAULTS / "default-configuration").read_text()
        lines = [line.split(None, 1) for line in defaults.splitlines() if line[:1] not in "#"]
        values = {"root": self.root, "gids": self._gids, "last_gid": self._gids + 99}
        ours = {key: value.format(**values) for key, value in CONFIGURATION.items()}
        self._write("new/configuration", _table(dict(map(tuple, lines)) | ours))
        for name in ("hosts/localhost", "pes/smp", "projects/ocean"):
            table = {"hosts": HOST, "pes": PARALLEL, "projects": PROJECT}[name.split("/")[0]]
            self._write(f"new/{name}", _table(table))
        resources = DEFAULTS / "util/resources"
        for kind, what in (
            ("configuration", self.root / "new/configuration"),
            ("complexes", resources / "centry"),
            ("usersets", resources / "usersets"),
            ("managers", getpass.getuser()),
            ("exechosts", self.root / "new/hosts"),
            ("pes", self.root / "new/pes"),
            ("projects", self.root / "new/projects"),
        ):
            self._run(str(PROGRAMS / "spooldefaults"), kind, str(what))

    # --- its daemons

    def start(self) -> None:
        """Make the cell, start the daemons and wait for the queue."""
        self._make_cell()
        self.start_qmaster()
        self.run("qconf", "-as", LOCALHOST)
        table = self._pairs("qconf", "-ssconf") | SCHEDULER
        self.run("qconf", "-Msconf", str(self._write("new/scheduler", _table(table))))
        self.run("qconf", "-Aq", str(self._write("new/queue", _table(QUEUE))))
        self.start_execd()

    def start_qmaster(self) -> None:
        self._start("qmaster")
        wait_until(lambda: self._answers("qconf", "-sconf"), timeout=60, what="sge_qmaster")
        if "execd" in self._daemons:  # it would look for the new one in half a minute only
            self.kill("execd")
            self.start_execd()

    def start_execd(self) -> None:
        self._start("execd")
        wait_until(self._has_host, timeout=60, what="sge_execd")

    def _start(self, name: str) -> None:
        """Start a daemon that stays this process' child, and dies with it."""
        command = ["setpriv", "--pdeathsig", "KILL", str(PROGRAMS / f"sge_{name}")]
        with (self.root / f"{name}.out").open("ab") as out:
            self._daemons[name] = subprocess.Popen(
                [*shlex.split(self._uts), *command],
                env={**os.environ, **self.environment, "SGE_ND": "1"},
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=self.root,
            )  # fmt: skip

    def _has_host(self) -> bool:
        """Say whether the host has told its load: jobs go there."""
        return "-NA-" not in self.run("qstat", "-f") and "lx-amd64" in self.run("qstat", "-f")

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to ``qmaster`` or ``execd``; the jobs go on."""
        self._daemons[name].send_signal(number)
        if number == signal.SIGKILL:
            self._daemons.pop(name).wait(20)

    def begin_anew(self) -> None:
        """Start what a test has killed, change back what it has changed, delete all jobs."""
        for name, start in (("qmaster", self.start_qmaster), ("execd", self.start_execd)):
            if name in self._daemons:
                self.kill(name, signal.SIGCONT)
            else:
                start()
        (self.root / "calls").write_text("")
        self.delay_accounts(False)
        if self._changed:
            self.configure(**self._changed)
            self._changed.clear()
        if self._jobs():
            self._answers("qdel", "-f", "-u", "*")  # complains where the last one has just ended
            wait_until(lambda: not self._jobs(), timeout=30, what="Grid Engine to have no jobs")

    def stop(self) -> None:
        """End everything: jobs, what looks after them, the daemons."""
        for name in list(self._daemons):
            self.kill(name)
        for pid in self.job_processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def job_processes(self) -> list[int]:
        """Give the processes of jobs and those that look after them (``sge_shepherd``)."""
        marks = (os.fsencode(f"SGE_ROOT={self.root}\0"), b"\0SGE_JOB_SPOOL_DIR=" + bytes(self.root))
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                environment = b"\0" + (process / "environ").read_bytes()
                if any(mark in environment for mark in marks):
                    found.append(int(process.name))
        return [pid for pid in found if pid != os.getpid()]

    # --- its commands

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            [*shlex.split(self._uts), *command],
            env={**os.environ, **self.environment}, cwd=self.root, text=True, timeout=60,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: {done.stdout}"
        return done.stdout

    def run(self, name: str, *arguments: str) -> str:
        """Run a command, uncounted, and give what it says; it has to succeed."""
        return self._run(str(PROGRAMS / name), *arguments)

    def _answers(self, name: str, *arguments: str) -> bool:
        with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
            self.run(name, *arguments)
            return True
        return False

    def _pairs(self, name: str, *arguments: str) -> dict[str, str]:
        lines = (line.split(None, 1) for line in self.run(name, *arguments).splitlines())
        return {pair[0]: pair[1].strip() for pair in lines if len(pair) == 2}

    def configure(self, **values: str) -> None:
        """Change keys of the global configuration, for this test."""
        table = self._pairs("qconf", "-sconf")
        table.pop("#global:", None)
        self._changed = {key: table[key] for key in values} | self._changed
        table |= values
        self.run("qconf", "-Mconf", str(self._write("new/global", _table(table))))

    def delay_accounts(self, on: bool) -> None:
        """Have ``qacct`` know of no job, as it does for some seconds after each."""
        if on:
            (self.root / "late").touch()
        else:
            (self.root / "late").unlink(missing_ok=True)

    def calls(self, name: str) -> list[str]:
        """Give the arguments of each call of a command that was made by its name."""
        lines = (self.root / "calls").read_text().splitlines()
        return [line.removeprefix(f"{name} ") for line in lines if line.startswith(f"{name} ")]

    def release(self, job_id: str) -> None:
        """Let a job begin that was submitted as held."""
        self.run("qrls", job_id)

    def clear_error(self, job_id: str) -> None:
        """Have a job in error state tried again; qmod says that it did, and exits with 1."""
        with contextlib.suppress(AssertionError):
            self.run("qmod", "-cj", job_id)

    def submit(self, script: str, *options: str) -> str:
        """Submit a shell script past nowcast; gives the job's number."""
        file = self._write("script.sh", f"{script}\n")
        quiet = ("-o", "/dev/null", "-e", "/dev/null")
        return self.run("qsub", "-terse", *quiet, *options, str(file)).strip()

    def state(self, job_id: str) -> str | None:
        """Give the state that ``qstat`` tells; None once the job has left it."""
        jobs = self._jobs()
        return next((job["state"] for job in jobs if job["JB_job_number"] == job_id), None)

    def _jobs(self) -> list[dict[str, str]]:
        answer = ET.fromstring(self.run("qstat", "-xml", "-u", "*"))
        return [{part.tag: part.text or "" for part in job} for job in answer.iter("job_list")]

    def account(self, job_id: str, ours: str = "") -> dict[str, str]:
        """Give what ``qacct`` tells; {} as long as it knows nothing.

        It is of the job that has the id ``ours`` in a system, where that is given: a queue master
        that was killed uses the last numbers again.
        """
        with contextlib.suppress(AssertionError):
            found = self._pairs("qacct", "-j", job_id)
            return found if ours in found["jobname"] else {}
        return {}


def _table(values: dict[str, str]) -> str:
    return "".join(f"{key} {value}\n" for key, value in values.items())


def _resolves() -> bool:
    try:
        socket.gethostbyname(socket.gethostname())
    except OSError:
        return False
    return True


@pytest.fixture(scope="session")
def grid_engine_of_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GridEngine]:
    """Give a Grid Engine that runs, for all tests of a process."""
    if not all((PROGRAMS / name).exists() for name in ("sge_qmaster", "sge_execd", "qsub")):
        pytest.skip("there is no Grid Engine: apt-get install gridengine-{master,exec,client}")
    if os.geteuid() != 0:
        pytest.skip("the execution daemon of Grid Engine has to be started by root")
    engine = GridEngine(tmp_path_factory.mktemp("grid-engine"))
    try:
        engine.start()
        yield engine
    finally:
        engine.stop()


# For `executors:` of a system; what is asked for by workers comes on top.
CLUSTER = {"default": "cluster", "cluster": {"kind": "sge", "poll": 0.3}}


@pytest.fixture
def grid_engine(grid_engine_of_session: GridEngine, monkeypatch: pytest.MonkeyPatch) -> GridEngine:
    """Give a running Grid Engine without jobs, whose commands are found by their names."""
    engine = grid_engine_of_session
    monkeypatch.setenv("PATH", f"{engine.commands}:{os.environ['PATH']}")
    engine.begin_anew()
    return engine
