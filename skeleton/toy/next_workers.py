"""What follows from each message.

After every message of a worker the manager calls the function ``after_<worker>`` with

* ``msg``: the message; ``msg.type`` is ``success``, ``failure`` or ``crash``, and
  ``msg.payload`` is what the worker put into the checklist;
* ``config``: the configuration, as in nowcast.yaml;
* ``checklist``: the checklist, with the payload of this message already in it.

It returns the list of workers to launch, in order. The manager reads this file again when it
has changed; `nowcast validate` checks it, and tests/test_next_workers.py tests it.
"""

from nowcast_cli import NextWorker


def after_sleep(msg, config, checklist):
    """Wake the sleeper when it has slept well."""
    next_workers = {
        "success": [NextWorker("nowcast_cli.workers.awaken")],
        "failure": [],
        "crash": [],
    }
    return next_workers[msg.type]


def after_awaken(msg, config, checklist):
    """End the chain: nothing follows."""
    next_workers = {
        "success": [],
        "failure": [],
        "crash": [],
    }
    return next_workers[msg.type]


def after_make_forecast(msg, config, checklist):
    """End the chain. Name here the worker that plots the forecast, with its arguments:

    ``"success": [NextWorker("workers.plot_forecast", args=["--run-date", "2026-11-22"])]``
    """
    next_workers = {
        "success": [],
        "failure": [],
        "crash": [],
    }
    return next_workers[msg.type]


def after_clear_checklist(msg, config, checklist):
    """Launch nothing: this worker is run by hand, or at a fixed hour."""
    return []


def after_rotate_logs(msg, config, checklist):
    """Launch nothing: this worker is run by hand, or at a fixed hour."""
    return []


def after_housekeeping(msg, config, checklist):
    """Launch nothing: this worker is run once a day."""
    return []
