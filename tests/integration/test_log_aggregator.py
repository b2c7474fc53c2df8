"""The log aggregator as a daemon of its own, on real files."""

from __future__ import annotations

import copy
import os
import shutil
import signal
from pathlib import Path

from helpers import wait_until
from systems import LOGGING


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_what_jobs_print_goes_to_the_logs_under_the_name_of_the_worker(make_deployment):
    deployment = make_deployment().start()
    folder = deployment.job("make_forcing")
    append(folder / "stdout", "reading winds\nwriting for")
    deployment.wait_for("INFO [make_forcing] reading winds")
    append(folder / "stdout", "cing\nERROR: half a lin")
    append(folder / "stderr", "2026-11-22 03:04:05 ERROR no such grid\nodd\n")
    (folder / "exit").write_text("{}")
    wait_until(lambda: len(deployment.log()) == 5, what="five records")
    assert sorted(deployment.log()) == [
        "ERROR [make_forcing] 2026-11-22 03:04:05 ERROR no such grid",
        "INFO [make_forcing] ERROR: half a lin",
        "INFO [make_forcing] reading winds",
        "INFO [make_forcing] writing forcing",
        "WARNING [make_forcing] odd",
    ]


def test_lines_written_while_no_aggregator_ran_are_read_once_one_is_back(make_deployment):
    deployment = make_deployment().start()
    feed = deployment.folder / "run/feed.log"
    append(feed, "one\ntwo\nthr")
    deployment.wait_for("INFO [feed] one", "INFO [feed] two")
    assert deployment.end() == 0
    append(feed, "ee\nfour\n")
    feed.rename(feed.with_name("feed.log.1"))
    append(feed, "five\n")
    append(deployment.folder / "run/new.log", "six\n")
    deployment.start()
    deployment.wait_for(
        *(f"INFO [feed] {text}" for text in ("one", "two", "three", "four", "five")),
        "INFO [new] six",
    )


def test_what_a_file_held_before_it_was_ever_followed_is_left_out(make_deployment):
    deployment = make_deployment()
    append(deployment.folder / "run/feed.log", "long ago\n")
    deployment.start()
    append(deployment.folder / "run/feed.log", "now\n")
    deployment.wait_for("INFO [feed] now")
    deployment.settings["logs"] = {"follow": ["run/*.log", "*.txt"]}
    deployment.write_config()
    append(deployment.folder / "more.txt", "before\n")
    deployment.process.send_signal(signal.SIGHUP)
    wait_until(lambda: (deployment.health() or {}).get("files") == 2, what="two files")
    append(deployment.folder / "more.txt", "after\n")
    deployment.wait_for("INFO [feed] now", "INFO [more] after")


def test_a_file_in_a_new_folder_is_found_and_one_cut_in_place_goes_on(make_deployment):
    deployment = make_deployment().start()
    (deployment.folder / "run/22nov26").mkdir()
    output = deployment.folder / "run/22nov26/ocean.output"
    append(output, "time step 1\n")
    deployment.wait_for("INFO [ocean] time step 1")
    os.truncate(output, 0)
    append(output, "step 2\n")
    deployment.wait_for("INFO [ocean] time step 1", "INFO [ocean] step 2")


def test_the_logs_of_the_system_are_not_followed_into_themselves(make_deployment):
    deployment = make_deployment(logs={"follow": ["var/logs/*.log", "run/*.log"]}).start()
    append(deployment.folder / "run/feed.log", "once\n")
    deployment.wait_for("INFO [feed] once")
    assert deployment.health()["files"] == 1


def test_without_inotify_instances_files_are_polled(make_deployment):
    prelude = "import watchdog.observers.inotify_c as c\nc.inotify_init = lambda: -1\n"
    prelude += "import ctypes, errno\nctypes.set_errno(errno.EMFILE)\n"
    deployment = make_deployment().start(prelude)
    append(deployment.folder / "run/feed.log", "slowly\n")
    deployment.wait_for("INFO [feed] slowly")
    assert deployment.health()["looks every"] == 1.0


def test_a_log_that_cannot_be_written_is_written_later(make_deployment):
    deployment = make_deployment()
    target = deployment.paths.logs / "nowcast.log"
    target.parent.mkdir(parents=True)
    deployment.start()
    target.unlink()
    target.symlink_to("/dev/full")
    feed = deployment.folder / "run/feed.log"
    append(feed, "one\ntwo\n")
    wait_until(lambda: deployment.health()["trouble"], what="the trouble to show")
    target.unlink()
    deployment.wait_for("INFO [feed] one", "INFO [feed] two")
    wait_until(lambda: deployment.health()["trouble"] is None, what="the trouble to be over")


def test_a_folder_that_was_removed_and_made_anew_is_watched_again(make_deployment):
    deployment = make_deployment().start()
    run = deployment.folder / "run"
    append(run / "feed.log", "one\n")
    deployment.wait_for("INFO [feed] one")
    shutil.rmtree(run)
    run.mkdir()
    append(run / "feed.log", "two\n")
    deployment.wait_for("INFO [feed] one", "INFO [feed] two")


def test_a_line_that_a_handler_will_never_write_holds_up_no_other(make_deployment):
    settings = copy.deepcopy(LOGGING)
    settings["handlers"]["file"]["encoding"] = "ascii"
    deployment = make_deployment(logging=settings).start()
    append(deployment.folder / "run/feed.log", "one\nm\u00e9t\u00e9o\ntwo\n")
    deployment.wait_for("INFO [feed] one", "INFO [feed] two")
    assert deployment.health()["trouble"] is None
