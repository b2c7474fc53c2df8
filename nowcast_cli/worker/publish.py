"""Products appear at their destination all at once, or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nowcast_cli.atomic_files import move_into_place
from nowcast_cli.identifiers import new_id
from nowcast_cli.worker.errors import WorkerError


@contextmanager
def publish(destination: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a path to write a file or a folder to, and move it to ``destination`` at the end.

    The path has the destination's name and lies in the job's scratch directory (for a worker
    that is run by hand: in a temporary folder). When the block is left by an exception, the
    destination stays as it was, and what was written stays in the scratch directory.

    Raises WorkerError when nothing was written, or when it cannot be moved; then, too, the
    destination is as it was. Folders above the destination are made.
    """
    goal = Path(destination).absolute()  # the block may change the working directory
    scratch = os.environ.get("NOWCAST_SCRATCH")
    folder = _folder_in(Path(scratch)) if scratch else _temporary_folder()
    staged = folder / goal.name
    try:
        yield staged
        _move(staged, goal)
    except BaseException:
        if not scratch:
            _remove(folder)
        raise
    _remove(folder)


def _folder_in(scratch: Path) -> Path:
    folder = scratch / f"publish-{new_id()}"
    folder.mkdir(parents=True)
    return folder


def _temporary_folder() -> Path:
    import tempfile

    return Path(tempfile.mkdtemp(prefix="nowcast-publish-"))


def _move(staged: Path, goal: Path) -> None:
    if not os.path.lexists(staged):
        raise WorkerError(
            f"there is nothing to publish as {goal}",
            cause=f"nothing was written to {staged}",
            hint="write to the path that `with publish(…) as path:` gives",
        )
    try:
        goal.parent.mkdir(parents=True, exist_ok=True)
        move_into_place(staged, goal)
    except OSError as error:
        raise WorkerError(f"{goal} could not be published", cause=str(error)) from error


def _remove(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        import shutil  # loads three compression libraries, which are seldom needed here

        shutil.rmtree(folder, ignore_errors=True)
