"""What a batch system has to be told and what its answers mean. Pure: nothing here runs a command.

An adapter (``slurm``, ``grid_engine``, ``pbs``) gives the argv of each command and reads what it
answered. When, where and with which deadline a command is run is the engine's affair (``batch``).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from nowcast_cli.executors.job_folder import JobRequest
from nowcast_cli.executors.native import Verdict

OUTPUT = "batch.out"  # in the job's folder: what the batch system itself and its shell print


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command of the batch system has answered; it ended by itself and in time."""

    code: int
    stdout: str
    stderr: str

    @property
    def last_words(self) -> str:
        """The last line that it complained in, for a sentence."""
        lines = [line.strip() for line in (self.stderr or self.stdout).splitlines()]
        return next((line for line in reversed(lines) if line), f"exit code {self.code}")


@dataclass(frozen=True, slots=True)
class NativeState:
    """The state of a job in its batch system.

    ``state`` is what it means here: ``ended`` is final, so a job that still cleans up is
    ``running``; ``unknown`` is a state that we do not know the meaning of. ``native`` is the
    system's own word, empty where it no longer knows the job, and ``reason`` what it adds.
    """

    state: Literal["pending", "running", "ended", "unknown"]
    native: str
    reason: str = ""


class Outage(Exception):
    """The batch system could not be asked or did not answer: nothing is known. A sentence."""


class Unreachable(Outage):
    """The host on which its commands are could not be asked."""


class Refused(Exception):
    """The batch system has not taken a job, and will not when it is asked again. A sentence."""


class Later(Exception):
    """The batch system takes no more jobs for now, and has not taken this one. A sentence."""


class TooEarly(Exception):
    """The batch system does not tell as yet how a job ended; it is to be asked again."""


class Arrays(Protocol):
    """What a batch system is told of a job array, whose elements are numbered from 1 on."""

    @property
    def number(self) -> str:
        """What the number of the element is on the node, as in the job script: ``$SGE_TASK_ID``."""

    @property
    def own_id(self) -> str:
        """What the id of the element is on the node, as a word of the job script."""

    def submit(
        self, script: str, token: str, request: JobRequest, links: str, count: int
    ) -> list[str]:
        """Give the command that submits an array of ``count`` elements.

        ``request`` is that of the first. Output is to go into ``OUTPUT`` in the folder below
        ``links`` that has the element's number, and no more elements are to run at once than the
        ensemble allows.
        """

    def element(self, native_id: str, number: int) -> str:
        """Give the id of an element, of the id of the array or of any element of it."""


class BatchSystem(Protocol):
    """One kind of batch system.

    ``token`` is what a job is found by when its id was not noted: ``<job id>.<attempt>``, so
    letters, digits, hyphens and one dot. Ids are those of the batch system; of an element of an
    array, that element's.
    """

    @property
    def name(self) -> str:
        """What people call it, such as ``Slurm``."""

    @property
    def own_id(self) -> str:
        """What the id is on the node, as a word of the job script: ``"$SLURM_JOB_ID"``."""

    @property
    def grace(self) -> float:
        """The seconds that it leaves a job between its first signal and SIGKILL, by default.

        The runner on the node ends the job a little earlier, so that it can write its ``exit``.
        """

    @property
    def signals_script_alone(self) -> bool:
        """Whether its signals reach the job script alone, and not all processes of the job."""

    @property
    def warning(self) -> str | None:
        """The name of the signal by which it announces SIGKILL, where that is no usual one.

        Where there is one, it is an argument of the runner on the node, and ``grace`` counts from
        it.
        """

    @property
    def arrays(self) -> Arrays | None:
        """How it is told of job arrays; None where each job is submitted by itself."""

    def header(self, request: JobRequest) -> list[str]:
        """Give the directives of the job script: from the resources, then those given verbatim."""

    def submit(self, script: str, token: str, request: JobRequest) -> list[str]:
        """Give the command that submits a script, which lies in the job's folder.

        Standard output and error are to go into ``OUTPUT`` in that folder, the job is not to be
        requeued, and ``extra`` of the resources are further options.
        """

    def submitted(self, answer: Answer) -> str:
        """Give the id of the job.

        Raises Outage where it may have been taken or not, Later or Refused where it was not.
        """

    def poll(self, ids: Sequence[str]) -> list[str]:
        """Give the one command that tells the state of all these jobs; it may tell of others."""

    def polled(self, answer: Answer, ids: Sequence[str]) -> dict[str, NativeState]:
        """Give the state of each of them; one that is no longer known has ended. Raises Outage."""

    def find(self, tokens: Sequence[str]) -> list[str]:
        """Give the command that looks jobs up by their tokens."""

    def found(self, answer: Answer, tokens: Collection[str]) -> dict[str, str]:
        """Give ids by token, of those that there are. Raises Outage."""

    def cancel(self, ids: Sequence[str]) -> list[str]:
        """Give the command that ends these jobs, whether they wait or run."""

    def cancelled(self, answer: Answer) -> None:
        """Raise Outage where it was not done; that a job has ended before is no matter."""

    def explain(self, native_id: str) -> list[str] | None:
        """Give the command that tells why a job ended, None where there is none."""

    def explained(self, answer: Answer, token: str) -> Verdict | None:
        """Say why the batch system ended the job, None where it did not or does not know.

        A job that ended by itself has no verdict, whatever its exit code. By its ``token`` it is
        told from another one that had the same id. Raises TooEarly or Outage.
        """

    def health(self) -> list[str]:
        """Give a command that costs it little and tells how its queues are."""

    def well(self, answer: Answer) -> str:
        """Say how they are, in words. Raises Outage, also where no queue takes jobs."""

    def said(self, output: str) -> Verdict | None:
        """Read the same from what it printed into the job's output, where it does that."""
