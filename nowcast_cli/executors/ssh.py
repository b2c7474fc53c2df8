"""Runs jobs on one other host, by ssh: begun there detached, then looked at again and again.

All waiting is done in a thread. What it learns it writes into the job's folder on this machine
(see ``mirror``), so that whoever reads that folder needs not know where the job runs.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nowcast_cli.config.remote_hosts import RemoteHost
from nowcast_cli.executors import mirror
from nowcast_cli.executors.carried_files import as_carried
from nowcast_cli.executors.clearing import Clearing
from nowcast_cli.executors.host_key import key_for
from nowcast_cli.executors.job_files import JobFiles, no_longer_needed
from nowcast_cli.executors.job_folder import JobRequest, encoded
from nowcast_cli.executors.mirror import News
from nowcast_cli.executors.native import GONE, Native, Verdict
from nowcast_cli.executors.pace import Pace
from nowcast_cli.executors.remote_executor import Target
from nowcast_cli.executors.ssh_call import NoExchangeError, SshCall
from nowcast_cli.process_identity import uptime
from nowcast_cli.security.key import KeyTrouble

GRACE = 10.0  # s between SIGTERM and SIGKILL

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Followed:
    """A job that is looked at: it may still have to be begun, and it may have to be ended."""

    job: JobRequest
    begin: bool
    cancel: bool = False

    @property
    def folder(self) -> Path:
        """Its folder on this machine."""
        return Path(self.job.folder)


class SshExecutor:
    """Begins, follows and ends the jobs of one host; holds no truth of its own.

    While the host cannot be reached nothing is known, and so nothing changes: what is to be
    begun or ended there waits, and :meth:`trouble` says why.

    Parameters
    ----------
    target
        The executor as configured, with its host; see :meth:`use`.
    run
        The folder for the socket of the shared connection.
    pace
        How long to wait between two calls.
    clearing
        When the folders there of jobs that have ended are cleared.
    keys
        The folder of keys, None for a system without: the host's own is brought there.
    """

    def __init__(
        self,
        target: Target,
        run: Path,
        pace: Pace | None = None,
        clearing: Clearing | None = None,
        keys: Path | None = None,
    ) -> None:
        self._host = host = _host_of(target)
        self._keys = keys
        self._call = SshCall(run)
        self._pace = pace or Pace()
        self._clearing = clearing or Clearing()
        self._files = JobFiles(host, run, self._files_changed)
        self._followed: dict[str, Followed] = {}
        self._gone: set[str] = set()
        self._began: dict[str, float] = {}  # on the clock of this machine since its boot
        self._ready: list[str] = []
        self._trouble: str | None = None
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._changed = threading.Condition()
        self._hurry = False  # whether something has come that need not wait for its turn
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"ssh {host.name}", daemon=True)
        self._thread.start()

    def fileno(self) -> int:
        """A descriptor that is readable when something may have happened to a job."""
        return self._wake

    def use(self, target: Target) -> None:
        """Go on with a configuration that was reloaded."""
        host = _host_of(target)
        self._files.use(host)
        with self._changed:
            self._hurry = self._hurry or host != self._host
            self._host = host
            self._changed.notify()

    def submit(self, job: JobRequest) -> None:
        """Have a job begun, as soon as the host can be reached; may be repeated.

        ``job`` is as it would be on this machine. Raises NowcastError when it is too long.
        """
        encoded(job)
        self._follow(Followed(job, begin=True))

    def follow(self, job: JobRequest) -> None:
        """Look at a job that was begun before."""
        self._follow(Followed(mirror.as_begun(job), begin=False))

    def cancel(self, job: JobRequest) -> None:
        """Keep a job from beginning, or end it, as soon as the host can be reached."""
        self._files.cancel(job.id)
        self._follow(Followed(mirror.as_begun(job), begin=False, cancel=True))

    def forget(self, job_id: str) -> None:
        """Look at a job no more."""
        self._files.forget(job_id)
        with self._changed:
            self._followed.pop(job_id, None)
            self._gone.discard(job_id)
            self._began.pop(job_id, None)

    def verdict(self, job_id: str) -> Verdict | None:
        """That a job is lost, once the host has confirmed that its processes have gone.

        Or that it has crashed before its begin, for its inputs cannot be sent.
        """
        why_not = self._files.why_not(job_id)
        if why_not is not None:
            return Verdict("crashed", why_not)
        return GONE if job_id in self._gone else None

    def asks(self, job_id: str) -> bool:
        """Whether a job has ended, and its outputs are still on their way."""
        return self._files.is_fetching(job_id)

    def native(self, job_id: str) -> Native | None:  # noqa: ARG002
        """None: there is no system beneath, the jobs are processes of the host."""
        return None

    def age(self, job_id: str) -> float | None:
        """The seconds since a job's process began; None while that is not known."""
        began = self._began.get(job_id)
        return None if began is None else max(0.0, uptime() - began)

    def trouble(self) -> str | None:
        """A sentence that says why nothing is known of the host's jobs, or cannot begin."""
        return (self._trouble or self._files.trouble()) if self._followed else None

    def hints(self) -> list[str]:
        """The ids of jobs whose folders are worth reading now; never blocks."""
        with suppress(BlockingIOError):
            os.eventfd_read(self._wake)
        with self._changed:
            ready, self._ready = list(dict.fromkeys(self._ready)), []
        return ready

    def close(self) -> None:
        """Let go of everything; the jobs go on."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._files.close()
        self._call.close()
        self._thread.join()
        os.close(self._wake)

    def _follow(self, followed: Followed) -> None:
        with self._changed:
            self._followed[followed.job.id] = followed
            # A host that is away is not asked more often because there is more to ask.
            self._hurry = self._hurry or self._trouble is None
            self._changed.notify()

    # --- in the thread

    def _run(self) -> None:
        while (snapshot := self._await_turn()) is not None:
            host, followed, ended = snapshot
            trouble = self._exchange(host, followed, ended)
            if trouble is not None:
                self._pace.failed()
            if followed:  # nobody waits for what is only to be cleared
                self._complain(trouble)

    def _exchange(
        self, host: RemoteHost, followed: list[Followed], ended: list[Followed]
    ) -> str | None:
        """Call the host and take in the answer; gives a sentence when that was not possible."""
        with self._changed:
            self._clearing.asked(each.job for each in ended)
        try:
            followed = [each for each in followed if self._is_to_be_asked_for(each)]
            if not followed and not ended:
                self._pace.went_well(News.NOTHING)
                return self._trouble  # which is as it was: nobody was asked
            key = None if self._keys is None else key_for(self._keys, host.name)
            answer = self._call.exchange(host, order_of(host, followed, ended, key))
            news = self._take_in([*followed, *ended], answer)
            with self._changed:
                self._clearing.cleared(answer["cleared"])
        except NoExchangeError as error:
            return str(error)
        except KeyTrouble as error:
            return f"host {host.name}: {error.what}: {error.cause}"
        except OSError as error:
            return f"what host {host.name} tells cannot be written here: {error}"
        except Exception as error:  # without this thread nobody would look any more
            _logger.exception("the exchange with host %s went wrong", host.name)
            return f"the exchange with host {host.name} went wrong: {error!r}"
        self._pace.went_well(news)
        if answer["trouble"]:
            return f"host {host.name}: {answer['trouble'][0]}"
        return None

    def _await_turn(self) -> tuple[RemoteHost, list[Followed], list[Followed]] | None:
        """Wait until a call is due; None once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._hurry, self._pace.pause)
            while not self._followed and not self._ended() and not self._closed:
                self._changed.wait(self._clearing.wait())
            self._hurry = False
            if self._closed:
                return None
            return self._host, list(self._followed.values()), self._ended()

    def _ended(self) -> list[Followed]:
        """Give jobs that are to be cleared; what was removed here went there, too."""
        due = [Followed(job, begin=False) for job in self._clearing.due()]
        self._clearing.cleared([each.job.id for each in due if not each.folder.exists()])
        return [each for each in due if each.folder.exists()]

    def _take_in(self, followed: Iterable[Followed], answer: Mapping[str, Any]) -> News:
        most = News.NOTHING
        for each in followed:
            news = answer["jobs"].get(each.job.id)
            if news is None:
                continue
            if not (each.folder / "job.json").exists():
                mirror.prepare(each.job)
            if news["exit"] is not None and not self._files.may_end(each.job, news["exit"]):
                news = {**news, "exit": None}
            found = mirror.take_in(each.folder, news)
            self._note_age(each.job.id, news["age"])
            if news["exit"] is not None:
                with self._changed:
                    self._clearing.add(each.job)
            most = max(most, found)
            # An earlier manager may have written the claim, and not have known of it.
            if found is News.STEP or (each.begin and news["pid"] is not None):
                self._note(each, news)
        return most

    def _is_to_be_asked_for(self, followed: Followed) -> bool:
        """Whether there is anything to be done or heard of a job while its files are moved."""
        if followed.begin:
            return self._files.may_begin(followed.job)
        return not self._files.is_fetching(followed.job.id)

    def _files_changed(self, job: JobRequest) -> None:
        """Take in that inputs have come over, or never will, or that outputs are in place."""
        with self._changed:
            if self._closed:
                return
            if (Path(job.folder) / "exit").exists():
                self._clearing.add(job)
            self._ready.append(job.id)
            os.eventfd_write(self._wake, 1)
            self._hurry = True
            self._changed.notify()

    def _note_age(self, job_id: str, age: float | None) -> None:
        with self._changed:
            if age is not None and job_id in self._followed:
                self._began.setdefault(job_id, uptime() - age)

    def _note(self, followed: Followed, news: Mapping[str, Any]) -> None:
        job_id = followed.job.id
        with self._changed:
            current = self._followed.get(job_id)
            if current is None:
                return  # forgotten meanwhile
            if news["gone"]:
                self._gone.add(job_id)
            if news["exit"] is not None or news["gone"]:
                del self._followed[job_id]
            elif news["pid"] is not None:
                self._followed[job_id] = replace(current, begin=False)
            self._ready.append(job_id)
            if not self._closed:
                os.eventfd_write(self._wake, 1)

    def _complain(self, trouble: str | None) -> None:
        """Keep a sentence for who asks, and tell it once."""
        if self._closed or trouble == self._trouble:
            return
        self._trouble = trouble
        if trouble is not None:
            _logger.error("%s; its jobs keep their last known state", trouble)
        else:
            _logger.info("host %s is reached again", self._host.name)


def _host_of(target: Target) -> RemoteHost:
    if target.host is None:
        raise ValueError(f"executor {target.settings.name} has no host")
    return target.host


def order_of(
    host: RemoteHost,
    followed: Sequence[Followed],
    ended: Sequence[Followed] = (),
    key: Mapping[str, str] | None = None,
    have: Callable[[JobRequest], Mapping[str, Any]] = lambda job: mirror.have(Path(job.folder)),
) -> dict[str, Any]:
    """Give the order that does what is wanted of a host (see ``remote_side.exchange``).

    ``have`` tells what there is already in the folder of a job here.
    """
    return {
        "root": host.state_directory,
        "grace": GRACE,
        "submit": [_request_there(host, each.job) for each in followed if each.begin],
        "cancel": [each.job.id for each in followed if each.cancel],
        "look": {
            each.job.id: {"folder": mirror.folder_there(each.job), **have(each.job)}
            for each in (*followed, *ended)
        },
        "clear": [each.job.id for each in ended],
        "remove": {each.job.id: no_longer_needed(host, each.job) for each in ended},
        "key": key,
    }


def _request_there(host: RemoteHost, job: JobRequest) -> dict[str, Any]:
    """Give a request with the places that it has on the host."""
    return {
        **job.to_json(),
        **as_carried(host, job),
        "folder": mirror.folder_there(job),
        "config_file": host.config_file,
        "arguments": list(job.arguments[1:]),  # the first one is the configuration file
    }
