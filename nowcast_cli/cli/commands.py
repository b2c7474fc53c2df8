"""The table of commands: what there is, where it lives, one line of help.

Standard library only and nothing imported: ``nowcast --help`` and TAB read this table and load
none of the modules; a command's module is imported when the command is used.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CommandEntry:
    """A command (or command group) of ``nowcast``; ``module`` lies in ``nowcast_cli.cli``."""

    module: str
    help: str


SECTIONS: dict[str, dict[str, CommandEntry]] = {
    "Run a system": {
        "init": CommandEntry("init", "Make the folder of a new system."),
        "start": CommandEntry(
            "start", "Start the daemons and services; return when they are ready."
        ),
        "stop": CommandEntry("stop", "Stop the services and daemons; jobs go on."),
        "restart": CommandEntry("restart", "Restart the daemons and services, or one of them."),
        "reload": CommandEntry("reload", "Take in a changed configuration and next_workers."),
        "hold": CommandEntry("hold", "Launch nothing, of a worker or of the whole system."),
        "release": CommandEntry("release", "Launch again what was held."),
        "clean": CommandEntry("clean", "Remove old jobs, scratch folders, logs and messages."),
        "backup": CommandEntry("backup", "Write the state of the system to one file."),
        "restore": CommandEntry("restore", "Put a backup in the place of the state."),
        "store": CommandEntry("store", "Check the store, and rebuild a damaged one."),
        "flow": CommandEntry("flow", "Run flows; list, show, check, draw and convert them."),
        "action": CommandEntry("action", "List actions and what answers them; call one."),
        "product": CommandEntry("product", "List products, register files, let old ones go."),
        "run-worker": CommandEntry("run_worker", "Run a worker and show what follows from it."),
        "agent": CommandEntry("agent", "Run an agent on a host; see to the agents of a system."),
    },
    "Look at it": {
        "status": CommandEntry(
            "status", "Show the daemons, services, jobs and what needs somebody."
        ),
        "checklist": CommandEntry(
            "checklist", "Read the checklist and its history, wait for it, clear it."
        ),
        "job": CommandEntry("job", "List, show, cancel and rerun jobs."),
        "executor": CommandEntry("executor", "List the executors that workers run on."),
        "message": CommandEntry("message", "List, show and retry messages of workers."),
        "schedule": CommandEntry(
            "schedule", "List what is scheduled, launch it, pause and resume it."
        ),
        "events": CommandEntry("events", "Show and follow what happens: events of all kinds."),
        "logs": CommandEntry("logs", "Show and follow the logs of all daemons and workers."),
        "doctor": CommandEntry("doctor", "Look for what is wrong, and say what to do about it."),
    },
    "In the command of a job": {
        "tell": CommandEntry("tell", "Say by which message the job is to end."),
        "publish": CommandEntry("publish", "Put a file in place: the old one or all of the new."),
    },
    "Configure it": {
        "validate": CommandEntry("validate", "Check the configuration and next_workers."),
        "config": CommandEntry("config_group", "Show the configuration and its schema."),
        "key": CommandEntry("key", "Make, list, add, revoke and replace the keys of a system."),
        "export": CommandEntry("export", "Write files for systemd, circus or supervisord."),
        "adopt": CommandEntry("adopt", "Say what becomes of a deployment of NEMO_Nowcast."),
    },
}

COMMANDS: dict[str, CommandEntry] = {
    name: entry for section in SECTIONS.values() for name, entry in section.items()
}
