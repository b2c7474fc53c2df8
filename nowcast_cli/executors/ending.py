"""Ends a forked process with all that the interpreter's own end would do for its user.

The interpreter takes down every module it has loaded. In a fork of a warm process that means to
copy all of its memory first, 20 to 40 ms a job; here only what came after the fork is taken down.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from itertools import takewhile
from typing import NoReturn

_OUTPUT_IS_LOST = 120  # the interpreter's own exit code for it


def call_and_end(function: Callable[[], None], last_loaded: str) -> NoReturn:
    """Call ``function`` and end this process as a script would that holds nothing else.

    SystemExit gives the exit code, any other exception a traceback and 1. Then threads are
    waited for, ``atexit`` functions run, modules that were imported after ``last_loaded`` go with
    what they hold (an open file is flushed), standard streams are flushed.
    """
    interrupted = False
    try:
        function()
        code = 0
    except SystemExit as error:
        code = _code_of(error)
    except BaseException as error:
        interrupted = isinstance(error, KeyboardInterrupt)
        # The first frames are ours, the module's own code begins after them.
        _show(error)
        code = 1
    with suppress(BaseException):
        _wait_for_threads()
    with suppress(BaseException):
        atexit._run_exitfuncs()
    _release_modules(last_loaded)
    if not _flush():
        code = code or _OUTPUT_IS_LOST
    if interrupted:  # so that whoever waits sees an interruption and not an error
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(code & 0xFF)


def _code_of(error: SystemExit) -> int:
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code
    with suppress(OSError, ValueError, AttributeError):
        print(error.code, file=sys.stderr)
    return 1


def _show(error: BaseException) -> None:
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_globals.get("__package__") == __package__:
        frames = frames.tb_next
    try:
        sys.excepthook(type(error), error.with_traceback(frames), frames)
    except BaseException as second:
        with suppress(BaseException):
            sys.__excepthook__(type(second), second, second.__traceback__)


def _wait_for_threads() -> None:
    threading._shutdown()  # type: ignore[attr-defined]


def _release_modules(last_loaded: str) -> None:
    main = sys.modules.get("__main__")
    for name in _loaded_after(last_loaded):
        # Compiled modules stay: some do not survive their own end, and hold nothing to flush.
        if str(getattr(sys.modules[name], "__file__", None)).endswith(".py"):
            del sys.modules[name]
    if main is not None:
        main.__dict__.clear()
    gc.collect()


def _loaded_after(last_loaded: str) -> list[str]:
    # From the end, so that what came before the fork is not touched, which would copy it.
    return list(takewhile(lambda name: name != last_loaded, reversed(sys.modules)))


def _flush() -> bool:
    whole = True
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except (OSError, ValueError, AttributeError):
            whole = False
    return whole
