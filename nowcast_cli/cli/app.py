"""The entry point of ``nowcast``: run a command, print its errors, give its exit code.

Only this module is loaded for ``nowcast --version``, so it imports next to nothing.
"""

from __future__ import annotations

import errno
import gc
import os
import sys

TYPE_CHECKING = False  # typing's, without its import
if TYPE_CHECKING:
    from collections.abc import Sequence

    from nowcast_cli.cli.context import Invocation
    from nowcast_cli.errors import NowcastError

BUG = 1
INTERRUPTED = 130
COMPLETION_VARIABLE = "_NOWCAST_COMPLETE"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_OF_THE_MACHINE = (
    *_NO_ROOM, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE, errno.ENFILE
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``nowcast`` with ``arguments`` (default: those of the process).

    Returns
    -------
    int
        The exit code: 0 ok, 1 failure, 2 usage or configuration, 3 not running, 4 no such
        system, worker or job, 5 degraded, 124 wait timed out, 130 interrupted.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    # Nearly all that a command makes lives to its end: looking for garbage often finds none.
    gc.set_threshold(20_000, 20, 20)
    _open_streams_that_are_closed()
    try:
        code = _tell_version() if arguments in (["--version"], ["-V"]) else _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output has gone, as `head` does; it has what it wanted.
        _silence_standard_output()
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        if not _is_of_the_output(error):
            raise
        _silence_standard_output()
        print(f"error: the output cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    return code


def _tell_version() -> int:
    from nowcast_cli import __version__

    print(f"nowcast {__version__}")
    return 0


def _run(arguments: list[str]) -> int:
    from nowcast_cli.cli.context import Invocation
    from nowcast_cli.cli.output import print_error
    from nowcast_cli.cli.root import COMMAND_ERRORS, build_root, complete, exit_code_of
    from nowcast_cli.errors import NowcastError

    invocation = Invocation()
    root = build_root()
    if COMPLETION_VARIABLE in os.environ:
        return complete(root, invocation, COMPLETION_VARIABLE)
    invocation.out.tolerate_any_character()
    try:
        with root.make_context("nowcast", arguments, obj=invocation) as context:
            result = root.invoke(context)
        return result if isinstance(result, int) else 0
    except NowcastError as error:
        _print_traceback_if(invocation.debug)
        print_error(error, invocation.out)
        return error.exit_code
    except COMMAND_ERRORS as error:
        return exit_code_of(error, invocation.out)
    except (BrokenPipeError, KeyboardInterrupt):
        raise
    except Exception as error:
        if isinstance(error, OSError) and _is_of_the_output(error):
            raise
        _print_traceback_if(invocation.debug)
        told = (
            _trouble_of_the_machine(error)
            or _damage_of_the_store(error, invocation)
            or _bug(error, invocation.debug)
        )
        print_error(told, invocation.out)
        return BUG


def _trouble_of_the_machine(error: Exception) -> NowcastError | None:
    """Say in a sentence that a disk is full or read-only, a file another user's, and so on."""
    from nowcast_cli.errors import NowcastError

    if not isinstance(error, OSError) or error.errno not in _OF_THE_MACHINE or not error.filename:
        return None
    file = os.fsdecode(error.filename)
    return NowcastError(f"{file} cannot be used", cause=error.strerror, hint="nowcast doctor")


def _damage_of_the_store(error: Exception, invocation: Invocation) -> NowcastError | None:
    """Say it of a store that could be opened, and is damaged where it was read."""
    if "sqlite3" not in sys.modules:
        return None
    import sqlite3

    from nowcast_cli.store.integrity import cannot_be_read

    if type(error) is sqlite3.DatabaseError:
        return cannot_be_read(invocation.system.paths.database, error)
    return None  # the others of its kind are mistakes of ours


def _bug(error: Exception, debug: bool) -> NowcastError:
    from nowcast_cli.errors import NowcastError

    hint = None if debug else "run it again with --debug, which prints a traceback, and report it"
    return NowcastError(
        "a mistake in nowcast itself", cause=f"{type(error).__name__}: {error}", hint=hint
    )


def _print_traceback_if(debug: bool) -> None:
    if debug:
        import traceback

        traceback.print_exc()


def _is_of_the_output(error: OSError) -> bool:
    """Tell whether a file has no room for what is printed: an error about another file names it."""
    return error.filename is None and error.errno in _NO_ROOM


def _open_streams_that_are_closed() -> None:
    """Let what goes to a stream that the caller has closed (``>&-``) go nowhere."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115


def _silence_standard_output() -> None:
    """Let the interpreter's last flush of what is still buffered go nowhere, without a word."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, sys.stdout.fileno())
    except OSError:  # not a real file: a test's
        pass
    finally:
        os.close(nowhere)
