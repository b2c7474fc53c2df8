"""Jobs by a real launcher, compared with what ``python -m`` does."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from executor_helpers import JobSystem, children_of, lines_of
from helpers import wait_until
from nowcast_cli.errors import NowcastError
from nowcast_cli.executors.job_folder import read_claim, read_exit
from nowcast_cli.executors.local import stop_launcher
from nowcast_cli.process_identity import is_alive

SELF_PORTRAIT = """
import gc, json, logging, os, signal, sys, threading
main = sys.modules["__main__"]
print(json.dumps({
    "argv": sys.argv, "orig_argv": sys.orig_argv[1:], "path": sys.path, "cwd": os.getcwd(),
    "globals": sorted(globals()), "name": __name__, "file": __file__, "package": __package__,
    "cached": __cached__, "spec": __spec__.name, "is main": main.__dict__ is globals(),
    "executable": sys.executable, "prefix": sys.prefix, "flags": list(sys.flags),
    "environment": {
        name: value for name, value in os.environ.items()
        if not name.startswith("NOWCAST_") and name not in ("_", "PYTEST_CURRENT_TEST")
    },
    "signals": {
        number.name: str(signal.getsignal(number)) for number in signal.valid_signals()
        if number.__class__ is signal.Signals
    },
    "mask": list(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
    "handlers": len(logging.getLogger().handlers), "level": logging.getLogger().level,
    "threads": threading.active_count(), "in main thread": threading.current_thread().name,
    "gc": gc.isenabled(), "encodings": [s.encoding for s in (sys.stdin, sys.stdout, sys.stderr)],
    "buffering": [s.line_buffering for s in (sys.stdout, sys.stderr)],
    "hook": sys.excepthook.__name__,
    "stdin": sys.stdin.read(), "umask": os.umask(0o22),
}))
"""


@pytest.fixture
def system(tmp_path):
    system = JobSystem(tmp_path / "deployment")
    yield system
    system.close()


def test_a_job_sees_what_it_would_under_python_m(system):
    package = system.deployment / "workers"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "portrait.py").write_text(SELF_PORTRAIT)
    job = system.job("workers.portrait", ["nowcast.yaml", "--debug", "a b"])
    assert system.run(job).code == 0, system.output(job, "stderr")
    expected = subprocess.run(
        [sys.executable, "-m", "workers.portrait", *job.arguments],
        cwd=system.deployment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        text=True,
    )
    mine, theirs = json.loads(system.output(job)), json.loads(expected.stdout)
    assert mine == theirs


def test_a_job_knows_its_id_its_attempt_its_folders_and_its_configuration(system):
    system.module("show", "import os, json; print(json.dumps(dict(os.environ)))")
    job = system.job("show", environment={"MINE": "ü"})
    system.run(job)
    found = json.loads(system.output(job))
    assert found["MINE"] == "ü"
    assert found["NOWCAST_JOB_ID"] == job.id
    assert found["NOWCAST_ATTEMPT"] == "1"
    assert found["NOWCAST_JOB_FOLDER"] == job.folder
    assert found["NOWCAST_YAML"] == str(system.config_file)
    assert Path(found["NOWCAST_SCRATCH"]).is_dir()
    assert (Path(job.folder) / "outbox").is_dir()
    assert json.loads((Path(job.folder) / "job.json").read_text()) == job.to_json()


def test_what_an_interpreter_reads_when_it_begins_is_honoured(system):
    system.module("seed", "import sys; print(sys.flags.hash_randomization, sys.flags.optimize)")
    job = system.job("seed", environment={"PYTHONHASHSEED": "0", "PYTHONOPTIMIZE": "2"})
    assert system.run(job).code == 0
    assert system.output(job).split() == ["0", "2"]


ENDINGS = {
    "normal": ("print('x')", 0, None),
    "sys.exit of nothing": ("import sys; sys.exit()", 0, None),
    "sys.exit of a number": ("import sys; sys.exit(75)", 75, None),
    "sys.exit of a large number": ("import sys; sys.exit(257)", 1, None),
    "sys.exit of text": ("import sys; sys.exit('bad weather')", 1, None),
    "exception": ("1 / 0", 1, None),
    "os._exit": ("import os; os._exit(7)", 7, None),
    "exec": ("import os; os.execvp('sh', ['sh', '-c', 'exit 9'])", 9, None),
    "interruption": ("raise KeyboardInterrupt", None, signal.SIGINT),
    "SIGKILL": ("import os; os.kill(os.getpid(), 9)", None, signal.SIGKILL),
    "SIGTERM": ("import os; os.kill(os.getpid(), 15)", None, signal.SIGTERM),
    "SIGSEGV": ("import os; os.kill(os.getpid(), 11)", None, signal.SIGSEGV),
    "an error at exit": ("import atexit; atexit.register(lambda: 1 / 0)", 0, None),
    "an exit from a thread": (
        "import threading, sys; threading.Thread(target=sys.exit, args=(3,)).start()",
        0,
        None,
    ),
}


def test_jobs_end_as_they_would_under_python_m(system):
    """One system for all, since a launcher takes half a second to be warm."""
    for name, (code, exit_code, number) in ENDINGS.items():
        system.module("ending", code)
        theirs = subprocess.run(
            [sys.executable, "-B", "-m", "ending"],
            cwd=system.deployment,
            capture_output=True,
            text=True,
        )
        job = system.job("ending")
        found = system.run(job)
        assert (found.code, found.signal) == (exit_code, number), name
        assert theirs.returncode == (exit_code if number is None else -number), name
        assert system.output(job) == theirs.stdout, name
        last = theirs.stderr.splitlines()[-1:]
        assert system.output(job, "stderr").splitlines()[-1:] == last, name
        assert found.reason is None, name
        assert found.peak_memory > 1e6
        assert 0 < found.cpu_seconds < 5


def test_output_that_is_lost_is_a_failure(system):
    system.module("lost", "import sys; print('x'); sys.stdout.detach().close()")
    assert system.run(system.job("lost")).code == 120


def test_a_traceback_shows_the_code_of_the_job_alone(system):
    system.module("wrong", "def f():\n    1 / 0\nf()\n")
    job = system.job("wrong")
    system.run(job)
    text = system.output(job, "stderr")
    assert "wrong.py" in text
    assert "nowcast_cli" not in text


def test_threads_exit_functions_and_open_files_are_seen_to(system):
    system.module("helper", "f = open('of_module.txt', 'w'); f.write('flushed')")
    system.module(
        "late",
        "import atexit, threading, time, helper\n"
        "f = open('of_main.txt', 'w'); f.write('flushed')\n"
        "atexit.register(print, 'at exit')\n"
        "threading.Thread(target=lambda: (time.sleep(0.3), print('thread'))).start()\n"
        "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
        "print('end of main')\n",
    )
    job = system.job("late")
    assert system.run(job).code == 0
    assert system.output(job).splitlines() == ["end of main", "thread", "at exit"]
    assert (system.deployment / "of_main.txt").read_text() == "flushed"
    assert (system.deployment / "of_module.txt").read_text() == "flushed"


def test_a_module_that_cannot_be_imported_says_so(system):
    (system.deployment / "syntax.py").write_text("def f(:\n")
    for name, text in (("broken_package", "import not_installed"), ("just_a_folder", None)):
        (system.deployment / name).mkdir()
        if text is not None:
            (system.deployment / name / "__init__.py").write_text(text)
    reasons = {
        "absent": "there is no such module",
        "no_package.absent": "there is no such module",
        "syntax": "SyntaxError",
        "broken_package.worker": "No module named 'not_installed'",
        "just_a_folder": "there is no such module",
    }
    for module, reason in reasons.items():
        job = system.job(module)
        found = system.run(job)
        assert found.code == 127, module
        assert found.reason is not None, module
        assert module in found.reason
        assert reason in found.reason
        assert reason in system.output(job, "stderr")


def test_an_import_that_fails_inside_the_module_is_an_exception_of_the_module(system):
    system.module("importing", "import not_installed")
    job = system.job("importing")
    found = system.run(job)
    assert (found.code, found.reason) == (1, None)
    assert "ModuleNotFoundError" in system.output(job, "stderr")


def test_a_working_directory_that_is_not_there_is_named(system):
    job = system.job("anything", working_directory=system.deployment / "gone")
    found = system.run(job)
    assert found.code == 127
    assert str(system.deployment / "gone") in found.reason


def test_a_job_has_its_own_session_and_holds_nothing_of_the_launcher(system):
    system.module(
        "fds",
        "import os\n"
        "descriptors = sorted(int(name) for name in os.listdir('/proc/self/fd'))\n"
        "print(os.getsid(0) == os.getpid(), descriptors[:-1])\n",
    )
    job = system.job("fds")
    system.run(job)
    assert system.output(job) == "True [0, 1, 2]\n"


def test_user_modules_are_read_anew_by_each_job(system):
    system.module("helper", "VALUE = 1")
    system.module("changing", "import helper; print(helper.VALUE)")
    first = system.job("changing")
    system.run(first)
    system.module("helper", "VALUE = 2000")
    system.module("added", "print('added')")
    second, added = system.job("changing"), system.job("added")
    system.run(second)
    system.run(added)
    assert system.output(first) + system.output(second) == "1\n2000\n"
    assert system.output(added) == "added\n"


def test_a_job_is_noticed_at_once_when_it_ends(system):
    system.module("brief", "import sys; sys.stdin.close(); import time; time.sleep(0.2)")

    def noticed_at_once() -> bool:
        job = system.job("brief")
        system.run(job)
        return time.time() - (Path(job.folder) / "exit").stat().st_mtime < 0.5

    # A busy machine may hold up some; without a hint, each would take seconds.
    assert any(noticed_at_once() for _ in range(10))


def test_cancelling_ends_all_processes_of_the_job(system):
    system.module(
        "tree",
        "import subprocess, os\n"
        "children = [subprocess.Popen(['sleep', '600'], process_group=0) for _ in range(3)]\n"
        "open('tree.txt', 'w').write(' '.join(str(c.pid) for c in children))\n"
        "children[0].wait()\n",
    )
    job = system.job("tree")
    system.begin(job)
    wait_until(lambda: len((lines_of(system.deployment / "tree.txt") or [""])[0].split()) == 3)
    pids = [int(pid) for pid in (system.deployment / "tree.txt").read_text().split()]
    claim = read_claim(Path(job.folder))
    assert system.executor.cancel(claim, signal.SIGTERM)
    assert system.end(job).signal == signal.SIGTERM
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), what="their end")
    assert not system.executor.cancel(claim, signal.SIGTERM)


def test_jobs_outlive_launcher_and_executor(system):
    system.module("long", "import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)")
    job = system.job("long")
    system.begin(job)
    system.executor.close()
    assert stop_launcher(system.paths)
    assert not stop_launcher(system.paths)
    claim = read_claim(Path(job.folder))
    assert is_alive(claim.process)
    assert is_alive(claim.runner)
    system.executor = system.another_executor()
    (system.deployment / "go").touch()
    assert system.end(job).code == 0
    assert not (system.paths.run / "launcher.sock").exists()


def test_there_is_one_launcher_and_a_second_one_leaves_it_alone(system):
    system.module("nothing", "")
    system.run(system.job("nothing"))
    launcher = system.launcher()
    second = subprocess.run(
        [sys.executable, "-m", "nowcast_cli.executors.launcher", str(system.config_file)]
    )
    assert second.returncode == 0
    assert system.launcher() == launcher
    assert system.run(system.job("nothing")).code == 0


IMPATIENT = (
    "import sys; from nowcast_cli.executors import launcher; launcher._LOOK_AROUND = 0.2;"
    "sys.exit(launcher.main(sys.argv))"
)


def test_a_launcher_ends_when_its_run_folder_has_gone(system):
    process = subprocess.Popen([sys.executable, "-c", IMPATIENT, str(system.config_file)])
    wait_until(system.executor.connect, what="the launcher")
    for file in system.paths.run.iterdir():
        file.unlink()
    assert process.wait(10) == 0


def test_a_launcher_without_a_manager_ends_after_a_while_and_not_before(system):
    system.module("nothing", "")
    process = subprocess.Popen([sys.executable, "-c", IMPATIENT, str(system.config_file)])
    wait_until(system.launcher, what="the launcher")
    system.run(system.job("nothing"))
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    assert system.launcher() == process.pid
    system.executor.close()
    assert process.wait(10) == 0
    assert not (system.paths.run / "launcher.sock").exists()
    system.executor = system.another_executor()


def test_a_launcher_that_is_still_getting_warm_can_be_stopped(system):
    system.executor.connect()
    lock = system.paths.run / "launcher.lock"
    wait_until(lock.exists, what="the lock of a launcher that begins")
    wait_until(lambda: stop_launcher(system.paths), what="a launcher to stop")
    assert not stop_launcher(system.paths)


def test_an_interpreter_that_is_not_there_is_reported_and_not_tried_without_end(system, caplog):
    from nowcast_cli.executors.local import LocalExecutor

    executor = LocalExecutor(system.paths, "/no/such/python", system.config_file)
    for _ in range(100):
        executor.submit(system.job("x"))
    assert "/no/such/python" in executor.trouble()
    assert len(caplog.records) == 1
    executor.close()


def test_a_launcher_that_cannot_begin_is_reported_with_its_last_words(system):
    from nowcast_cli.executors.local import LocalExecutor

    python = system.deployment / "python"
    python.write_text("#!/bin/sh\necho no module named nowcast_cli >&2\nexit 1\n")
    python.chmod(0o755)
    executor = LocalExecutor(system.paths, str(python), system.config_file)
    wait_until(lambda: executor.connect() or executor.trouble(), what="the trouble")
    assert "no module named nowcast_cli" in executor.trouble()
    executor.close()


def test_arguments_that_are_too_long_are_refused_with_a_sentence(system):
    with pytest.raises(NowcastError, match="worker big"):
        system.executor.submit(system.job("big", ["x" * 200_000]))


def test_an_idle_launcher_uses_no_processor_time(system):
    system.module("nothing", "")
    system.run(system.job("nothing"))
    launcher = system.launcher()
    assert launcher is not None
    wait_until(lambda: len(children_of(launcher)) == 1, what="the pair for the next job")

    def used() -> list[str]:
        return Path(f"/proc/{launcher}/stat").read_text().rpartition(")")[2].split()[11:15]

    def switches() -> str:
        return Path(f"/proc/{launcher}/status").read_text().partition("\nvoluntary")[2]

    def rested() -> bool:
        """Whether it did nothing at all for a second; at first it may be seen to come to rest."""
        before = used(), switches()
        time.sleep(1)
        return (used(), switches()) == before

    assert any(rested() for _ in range(10))


def test_two_hundred_jobs_at_once_all_run(system):
    system.module("line", "import os; os.write(os.open('lines', 1 | 64 | 1024), b'x\\n')")
    jobs = [system.job("line") for _ in range(200)]
    for job in jobs:
        system.executor.submit(job)
    for job in jobs:
        system.begin(job)
    for job in jobs:
        assert system.end(job).code == 0
    assert len(lines_of(system.deployment / "lines")) == 200
    assert all(read_exit(Path(job.folder)) for job in jobs)
