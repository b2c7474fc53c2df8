"""A real Slurm of one's own, for tests: a controller and three virtual nodes, on free ports.

    def test_a_job(slurm):
        job_id = slurm.submit("exit 3")
        wait_until(lambda: slurm.state(job_id) == "FAILED")

Its daemons die with the process of the tests. The commands that tests and systems call
(``slurm.commands``, first on the ``PATH``) write down that they were called, and hang before the
real one is run for as long as ``slurm.hang()`` says so.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers import wait_until
from ports import free_ports

NODES = ("n1", "n2", "n3")
PROGRAMS = ("sbatch", "squeue", "scontrol", "scancel", "sacct", "sinfo")
SLURMCTLD = shutil.which("slurmctld", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

# Authentication by nothing at all is for tests on the loopback alone. Memory is watched by a
# sampler once a second and not by a cgroup: which of those a machine has differs.
SETTINGS = """\
ClusterName=nowcasttest
SlurmctldHost=localhost(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={port}
AuthType=auth/none
CredType=cred/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=250
SlurmdParameters=config_overrides
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/log/jobcomp.log
MailProg=/bin/true
ReturnToService=2
SlurmdTimeout=10
SlurmctldTimeout=10
MessageTimeout=5
KillWait={KillWait}
MinJobAge={MinJobAge}
OverTimeLimit=0
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
NodeName=n1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={n1} CPUs=2 RealMemory=500 State=UNKNOWN
NodeName=n2 NodeHostname=localhost NodeAddr=127.0.0.1 Port={n2} CPUs=2 RealMemory=500 State=UNKNOWN
NodeName=n3 NodeHostname=localhost NodeAddr=127.0.0.1 Port={n3} CPUs=2 RealMemory=500 State=UNKNOWN
PartitionName=debug Nodes=n[1-3] Default=YES MaxTime=INFINITE State=UP
PartitionName=short Nodes=n3 MaxTime=60 State=UP
"""

WRAPPER = """\
#!/bin/sh
echo "{name} $*" >>{folder}/calls
while [ -e {folder}/hang ]; do sleep 0.05; done
exec {program} "$@"
"""


class Slurm:
    """A controller and the nodes n1, n2 and n3 of two CPUs each; it begins with :meth:`start`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.commands = folder / "commands"
        self.conf = folder / "slurm.conf"
        ports = free_ports(1 + len(NODES))
        self._ports = dict(zip(("port", *NODES), ports, strict=True))
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        for name in ("state", "spool", "run", "log", "commands"):
            (folder / name).mkdir(parents=True)
        for name in PROGRAMS:
            wrapper = self.commands / name
            wrapper.write_text(WRAPPER.format(name=name, folder=folder, program=shutil.which(name)))
            wrapper.chmod(0o755)
        self.write_settings()

    @property
    def environment(self) -> dict[str, str]:
        """What its commands need in theirs."""
        path = f"{self.commands}:{os.environ['PATH']}"
        return {"SLURM_CONF": str(self.conf), "PATH": path}

    def write_settings(self, **changed: Any) -> None:
        """Write slurm.conf, with ``KillWait`` and ``MinJobAge`` changed from the usual."""
        usual = {"KillWait": 3, "MinJobAge": 300}
        text = SETTINGS.format(
            folder=self.folder, user=getpass.getuser(), **self._ports, **(usual | changed)
        )
        self.conf.write_text(text)

    def reconfigure(self, **changed: Any) -> None:
        """Have it go on with other settings."""
        self.write_settings(**changed)
        self.ask("scontrol", "reconfigure")

    # --- its daemons

    def start(self) -> None:
        """Start what does not run, and wait until jobs can begin."""
        self.start_controller()
        for node in NODES:
            self.start_node(node)
        wait_until(lambda: self.idle() == set(NODES), timeout=60, what="three idle nodes")

    def start_controller(self) -> None:
        """Start slurmctld where it does not run, and wait until it answers."""
        self._start("slurmctld", "-D", "-f", str(self.conf))
        wait_until(lambda: self._answers(), timeout=30, what="slurmctld to answer")

    def start_node(self, node: str) -> None:
        """Start the slurmd of a node where it does not run."""
        self._start(node, "-D", "-N", node, "-f", str(self.conf))

    def stop_controller(self) -> None:
        """End slurmctld, which saves its state."""
        self.kill("slurmctld", signal.SIGTERM)

    def kill(self, daemon: str, number: int = signal.SIGKILL) -> None:
        """End ``slurmctld``, or the slurmd of a node."""
        process = self._daemons.pop(daemon)
        process.send_signal(number)
        process.wait(30)

    def _start(self, name: str, *arguments: str) -> None:
        if name in self._daemons and self._daemons[name].poll() is None:
            return
        assert SLURMCTLD is not None
        program = SLURMCTLD if name == "slurmctld" else str(Path(SLURMCTLD).with_name("slurmd"))
        with (self.folder / "log" / f"{name}.out").open("ab") as out:
            self._daemons[name] = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", program, *arguments],
                env=os.environ | self.environment, stdin=subprocess.DEVNULL,
                stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip

    def _answers(self) -> bool:
        return self._run("scontrol", "ping").returncode == 0 and bool(self.idle() | {"?"})

    def idle(self) -> set[str]:
        """Name the nodes on which nothing runs."""
        return set(
            self._run("sinfo", "-hN", "-p", "debug", "-t", "idle", "-o", "%N").stdout.split()
        )

    def step_daemons(self, job_id: str) -> list[int]:
        """Give the process ids of the slurmstepd of a job."""
        mark = f"slurmstepd: [{job_id}.batch]".encode()
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (process / "cmdline").read_bytes().startswith(mark):
                    found.append(int(process.name))
        return found

    # --- what it is asked

    def _run(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        program = shutil.which(name)  # past the wrappers: tests may ask while these hang
        assert program is not None
        return subprocess.run(
            [program, *arguments], env=os.environ | {"SLURM_CONF": str(self.conf)},
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    def ask(self, name: str, *arguments: str) -> str:
        """Run a command of Slurm and give what it prints; it has to succeed."""
        ended = self._run(name, *arguments)
        assert ended.returncode == 0, (name, arguments, ended.stderr)
        return ended.stdout

    def submit(self, script: str, *options: str) -> str:
        """Submit a script of a shell; gives the id of the job."""
        output = f"--output={self.folder}/log/%j.out"
        arguments = ("--parsable", output, *options, "--wrap", script)
        return self.ask("sbatch", *arguments).strip()

    def queue(self) -> dict[str, str]:
        """Give all that squeue tells: states by the ids of jobs."""
        lines = self.ask("squeue", "-h", "-r", "-t", "all", "-o", "%i|%T").splitlines()
        return dict(line.split("|") for line in lines)

    def state(self, job_id: str) -> str | None:
        """Give the state of a job as squeue tells it; None when it no longer knows the job."""
        return self.queue().get(job_id)

    def show(self, job_id: str) -> dict[str, str]:
        """Give what ``scontrol show job`` tells; empty when it no longer knows the job."""
        ended = self._run("scontrol", "--oneliner", "show", "job", job_id)
        fields = (field.partition("=") for field in ended.stdout.split())
        return {name: value for name, _, value in fields}

    def told(self) -> str:
        """Give what it tells of its nodes and its last jobs, for who looks at a failed test."""
        asked = (("sinfo", "-N", "-l"), ("squeue", "-t", "all", "-l"))
        return "\n".join(self._run(*each).stdout[-4000:] for each in asked)

    # --- the commands of others

    def called(self, name: str) -> list[str]:
        """Give how systems have called a command since the last ``forget_calls``."""
        file = self.folder / "calls"
        lines = file.read_text().splitlines() if file.exists() else []
        return [line for line in lines if line.startswith(f"{name} ")]

    def calls(self, name: str) -> int:
        """Say how often they have."""
        return len(self.called(name))

    def forget_calls(self) -> None:
        (self.folder / "calls").unlink(missing_ok=True)

    @contextlib.contextmanager
    def hang(self) -> Iterator[None]:
        """Have each command of Slurm hang."""
        (self.folder / "hang").touch()
        try:
            yield
        finally:
            (self.folder / "hang").unlink()

    # --- the end

    def clear(self) -> None:
        """Make all as it was at the beginning: nothing waits, nothing runs, all is started."""
        (self.folder / "hang").unlink(missing_ok=True)
        self.write_settings()
        self.start_controller()
        self.ask("scontrol", "reconfigure")
        self._run("scancel", "--full", "--signal=KILL", f"--user={getpass.getuser()}")
        self._run("scancel", f"--user={getpass.getuser()}")
        for node in NODES:
            self._run("scontrol", "update", f"nodename={node}", "state=resume")
        self.start()
        self.forget_calls()

    def end(self) -> None:
        """Kill all that it has started, jobs too."""
        for process in self._daemons.values():
            process.kill()
            process.wait(20)
        mark = os.fsencode(self.folder)
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if process.name != str(os.getpid()) and (
                    mark in (process / "environ").read_bytes()
                    or mark in (process / "cmdline").read_bytes()
                ):
                    os.kill(int(process.name), signal.SIGKILL)


@pytest.fixture(scope="session")
def one_slurm() -> Iterator[Slurm]:
    """Give the Slurm of this test process."""
    if SLURMCTLD is None:
        pytest.skip("there is no Slurm: apt-get install slurmctld slurmd slurm-client")
    with tempfile.TemporaryDirectory(prefix="slurm-", ignore_cleanup_errors=True) as folder:
        slurm = Slurm(Path(folder))
        try:
            slurm.start()
            yield slurm
        finally:
            slurm.end()


@pytest.fixture
def slurm(one_slurm: Slurm, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slurm]:
    """Give a Slurm that is idle; its commands are those of this test and of what it starts."""
    one_slurm.clear()
    for name, value in one_slurm.environment.items():
        monkeypatch.setenv(name, value)
    yield one_slurm
    print(one_slurm.told())  # shown where the test has failed
