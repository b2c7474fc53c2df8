"""Stands in for the work of each worker: it does nothing, and says what the real one would.

``python -m nowcast.workers.NAME CONFIG WORDS… [--run-date DATE]`` succeeds with the registered
type that has the most of the words.
"""

import os
import time
from pathlib import Path

import arrow

from nemo_nowcast import NowcastWorker

DAY = arrow.get("2026-10-31")
WAIT_WHILE_HELD = {"crop_gribs", "make_ssh_files", "make_ocean_boundary", "make_drift_file"}


def main(name):
    worker = NowcastWorker(name, description=__doc__)
    worker.init_cli()
    worker.cli.add_argument("words", nargs="*")
    worker.cli.add_argument("--chunk", type=int, default=1)
    worker.cli.add_argument("--threshold", type=int)
    worker.cli.add_date_option("--run-date", default=DAY, help="Day of the run.")

    def message_type(outcome, words):
        registered = worker.config["message registry"]["workers"][name]
        fitting = [
            each.split()
            for each in registered
            if each.split()[0] == outcome and set(each.split()[1:]) <= set(words)
        ]
        return " ".join(max(fitting, key=len))

    def work(parsed_args, config, tell_manager):
        folder = Path(config.file).parent
        leave_mark(name, folder)
        while name in WAIT_WHILE_HELD and (folder / "hold").exists():
            time.sleep(0.02)
        if name == "watch_model":
            run = tell_manager("need", "model run").payload[parsed_args.words[1]]
            assert run["run date"] == parsed_args.run_date.date()
        if name == "verify_forecast" and parsed_args.words == ["forecast"]:
            gauges = tell_manager("need", "tide gauges").payload
            assert set(gauges) == set(config["observations"]["tide gauges"])
        kind = message_type("success", parsed_args.words)
        return payload_of(name, kind, parsed_args, config)

    worker.run(
        work,
        lambda parsed_args: message_type("success", parsed_args.words),
        lambda parsed_args: message_type("failure", parsed_args.words),
    )
    return worker


def payload_of(name, kind, parsed_args, config):
    """Give a payload with dates, integer keys, lists and mappings in mappings."""
    day = parsed_args.run_date.date()
    if name == "collect_tide_gauges":
        gauges = config["observations"]["tide gauges"]
        return {number: {"last": day, "levels": [0.5, number / 10]} for number in gauges}
    if name == "ping_server":
        return [kind, day]
    if name in ("archive_weather", "launch_remote_worker"):
        return None
    if name in ("run_hindcast", "watch_hindcast"):
        return {"chunk": parsed_args.chunk} if name == "run_hindcast" else {"ended": day}
    about = kind.split()[-1]
    if about == "success":
        return {"run date": day}
    return {about: {"run date": day, "host": parsed_args.words[0]}}


def leave_mark(name, folder):
    """Append a line for this run; it begins once."""
    line = f"{os.environ.get('NOWCAST_JOB_ID', 'by-hand')} {name}\n"
    file = os.open(folder / "effects.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(file, line.encode())
    os.close(file)
