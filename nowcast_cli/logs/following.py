"""Follows all files that a system asks for, and writes their lines to its logs.

What holds: a line is written to the logs before the offset behind it is saved, and both are on
the disk before the next lines are read. So no line is lost, however this process ends; after a
kill the lines of one turn at most, which had no saved offset yet, are written a second time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from nowcast_cli.config.log_records import record_of
from nowcast_cli.executors.job_folder import RECORDS
from nowcast_cli.logs.followed import FollowedFile
from nowcast_cli.logs.globs import base_of, existing, matching
from nowcast_cli.logs.job_output import STREAMS, FollowedJob, JobFolders
from nowcast_cli.logs.lines import shown
from nowcast_cli.logs.offsets import Offsets, read_offsets, write_offsets
from nowcast_cli.logs.open_files import is_open_somewhere
from nowcast_cli.logs.received import Received
from nowcast_cli.logs.records import parse_line
from nowcast_cli.logs.writing import CannotWrite, Line, LogWriter

HALF_A_LINE = 60.0  # seconds after which it is asked whether anybody will end a line
_LARGEST_TURN = 1 << 20  # bytes
_SHARE = 20  # globs may be matched in the twentieth part of the time

_LEVELS = {"stdout": logging.INFO, "stderr": logging.WARNING, RECORDS: logging.WARNING}


@dataclass(frozen=True, slots=True)
class Following:
    """A file that is followed, and what its lines are logged as; ``job`` is whose output it is.

    The lines of ``records`` are log records, which say themselves what they are logged as.
    """

    file: FollowedFile
    logger: str
    level: int
    job: FollowedJob | None = None
    records: bool = False


class Follower:
    """Reads what was added to files, turn by turn.

    Parameters
    ----------
    jobs
        The folder of the folders of jobs.
    received
        The folder of files of records that were sent here.
    offsets
        The file that remembers how far each file was read.
    globs
        Further files to follow.
    not_these
        The system's own log files and folders of them, which a glob may match.
    echoes
        Whether jobs print their own log records, which are in the logs already.
    """

    def __init__(
        self,
        jobs: Path,
        received: Path,
        offsets: Path,
        globs: tuple[str, ...],
        not_these: Collection[Path],
        writer: LogWriter,
        logger: logging.Logger,
        *,
        echoes: bool = False,
    ) -> None:
        self._offsets_file = offsets
        self._globs = globs
        self._not_these = frozenset((*not_these, jobs, received))
        self._writer = writer
        self._logger = logger
        self._echoes = echoes
        before = read_offsets(offsets)
        self._since = before.since if before else datetime.now(UTC)
        self._old_globs = before.globs if before else ()
        self._unclaimed = dict(before.files) if before else {}
        self._match_at = 0.0
        self._folders = JobFolders(jobs, self._since)
        self._jobs = jobs
        self._received = Received(received)
        self._files: dict[Path, Following] = {}
        self._unsaved = before is None or before.globs != globs
        self._looked_for_writers: dict[Path, float] = {}

    @property
    def count(self) -> int:
        """How many files are followed."""
        return len(self._files)

    def folders(self) -> dict[Path, bool]:
        """Where something may happen: folders, and whether in those below them too."""
        near = {self._jobs: False, **dict.fromkeys(self._folders.days(), True)}
        near |= {existing(base_of(glob)): False for glob in self._globs}
        active = (f.file.path.parent for f in self._files.values() if f.file.is_open and not f.job)
        return near | dict.fromkeys(active, False)

    def turn(self, now: float) -> bool:
        """Write what has come to the logs; tell whether there is more at once.

        ``now`` never goes back. Raises CannotWrite; nothing is then taken as written that is
        not, and the next turn begins where this one did.
        """
        self._find(now)
        behind, size, over = False, 0, []
        for following in list(self._files.values()):
            if size >= _LARGEST_TURN:
                behind = True
                break
            size += self._log(following, now)
            behind |= following.file.behind
            over += [following] if self._is_over(following) else []
        self._save()
        self._let_go(over)
        return behind

    def close(self) -> None:
        """Close all files."""
        for following in self._files.values():
            following.file.close()

    # --- what to follow

    def _find(self, now: float) -> None:
        for job in self._folders.new():
            for name in STREAMS:
                path = job.folder / name
                file = FollowedFile(path, self._unclaimed.pop(path, None))
                is_records = name == RECORDS
                self._files[path] = Following(file, job.worker, _LEVELS[name], job, is_records)
        for path in self._received.new():
            file = FollowedFile(path, self._unclaimed.pop(path, None))
            self._files[path] = Following(file, RECORDS, _LEVELS[RECORDS], records=True)
        if now < self._match_at:
            return
        began = time.monotonic()
        known = [path for path, each in self._files.items() if not (each.job or each.records)]
        for glob, paths in matching(self._globs, [*known, *self._unclaimed]).items():
            for path in paths:
                self._begin(path, at_end=glob not in self._old_globs)
        for path in [path for path in self._unclaimed if self._is_of_a_glob(path)]:
            self._begin(path, at_end=False)  # its file is gone, but may have left some lines
        self._old_globs, self._unclaimed = self._globs, {}
        self._match_at = now + _SHARE * (time.monotonic() - began)

    def _begin(self, path: Path, *, at_end: bool) -> None:
        if path in self._files or not self._not_these.isdisjoint((path, *path.parents)):
            return
        saved = self._unclaimed.pop(path, None)
        file = FollowedFile(path, saved, at_end=at_end and saved is None)
        self._files[path] = Following(file, path.stem, logging.INFO)
        self._logger.info("following %s", path)

    def _is_of_a_glob(self, path: Path) -> bool:
        is_output = path.is_relative_to(self._jobs)
        return not is_output and any(path.is_relative_to(base_of(g)) for g in self._globs)

    # --- lines

    def _log(self, following: Following, now: float) -> int:
        file = following.file
        before = file.saved
        lines = file.read(now)
        if following.job is not None and not file.behind and following.job.has_ended():
            lines += file.read(now) + ([] if file.behind else file.finish())
        elif not following.records and self._nobody_ends(file, now):
            lines += file.finish()
        if file.missed:
            file.missed = False
            self._logger.warning(
                "%s was rotated while nobody read it; its last lines may be missing", file.path
            )
        try:
            self._writer.write(self._lines(following, lines))
        except CannotWrite:
            file.close()
            self._files[file.path] = replace(following, file=FollowedFile(file.path, before))
            raise
        self._unsaved |= file.saved != before
        return sum(len(line) for line in lines)

    def _lines(
        self, following: Following, lines: list[bytes]
    ) -> Iterator[Line | logging.LogRecord]:
        for line in lines:
            if following.records and (sent := record_of(line)) is not None:
                yield sent
                continue
            text = shown(line)
            record = parse_line(text, following.file.path)
            level = record.level if record is not None else None
            is_echo = level is not None and record is not None and record.has_logger
            if not text or (is_echo and self._echoes and following.job is not None):
                continue
            number = logging.getLevelNamesMapping()[level] if level else following.level
            yield Line(following.logger, number, text)

    def _nobody_ends(self, file: FollowedFile, now: float) -> bool:
        """Tell whether half a line waits that nobody can end; looked at once a minute at most."""
        since = file.waits_since
        if since is None or now - since < HALF_A_LINE:
            return False
        if now - self._looked_for_writers.get(file.path, since) < HALF_A_LINE:
            return False
        self._looked_for_writers[file.path] = now
        return not is_open_somewhere(file.path)

    # --- what is kept

    def _save(self) -> None:
        if not self._unsaved:
            return
        self._writer.sync()
        files = {path: following.file.saved for path, following in self._files.items()}
        kept = {path: saved for path, saved in files.items() if saved.current or saved.older}
        try:
            write_offsets(
                self._offsets_file, Offsets(self._since, self._globs, {**self._unclaimed, **kept})
            )
        except OSError as error:
            raise CannotWrite(f"{self._offsets_file} cannot be written: {error}") from None
        self._unsaved = False

    def _is_over(self, following: Following) -> bool:
        file = following.file
        if following.records and following.job is None:
            return file.is_gone or (not file.behind and self._received.is_over(file))
        if following.job is None:
            return file.is_gone
        return not file.behind and not file.is_open and following.job.is_over(time.time())

    def _let_go(self, over: list[Following]) -> None:
        """Forget files in which nothing happens any more; jobs are marked for good before."""
        for following in over:
            job = following.job
            if job and any(self._is_followed_on(job.folder / name) for name in STREAMS):
                continue
            try:
                if job is not None:
                    with suppress(FileNotFoundError):  # nowcast clean has removed it
                        job.mark()
                elif following.records:
                    self._received.remove(following.file.path)
            except OSError:  # a full disk, for one: it is followed on until there is room
                continue
            for path in [job.folder / name for name in STREAMS] if job else [following.file.path]:
                gone = self._files.pop(path, None)
                if gone is not None:
                    gone.file.close()
                    self._unsaved = True

    def _is_followed_on(self, path: Path) -> bool:
        following = self._files.get(path)
        return following is not None and not self._is_over(following)
