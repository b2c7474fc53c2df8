"""The screen of ``nowcast status``."""

from __future__ import annotations

from nowcast_cli.cli.output import Output, Painted, Text
from nowcast_cli.cli.service_report import mark_of, service_row, show_trouble
from nowcast_cli.cli.status_report import Report, Stored, first_line
from nowcast_cli.cli.times import local
from nowcast_cli.cli.waiting import held_words
from nowcast_cli.config.executors import LOCAL, SSH
from nowcast_cli.store.job_loads import Load
from nowcast_cli.store.records import short_id
from nowcast_cli.supervisor.observe import DaemonState

_MOST_RUNS = 20
_ENDINGS = ("failed", "crashed", "timed out", "lost")


def show(report: Report, out: Output) -> None:
    """Print the report on one screen."""
    out.line(Painted(report.config_file.parent.name, "bold"), f"  {report.config_file}")
    rows = [daemon_row(daemon) for daemon in report.state.daemons]
    rows += [service_row(service) for service in report.services]
    out.columns(rows, indent=2)
    _show_supervision(report, out)
    for service in report.services if report.state.runs else ():
        show_trouble(service, out)
    if report.stored.never_started and not report.state.runs:
        out.line("this system has never been started")
    elif not report.stored.trouble and not report.stored.never_started:
        _show_stored(report.stored, out)
        _show_what_waits(report, out)
    for sentence in report.trouble:
        out.line(Painted("✗ ", "red"), sentence)
    for sentence in report.warnings:
        out.line(Painted("! ", "yellow"), sentence)


def _show_what_waits(report: Report, out: Output) -> None:
    """Print how many steps of flows wait for whom."""
    manager = next((each for each in report.state.daemons if each.name == "manager"), None)
    performers = manager.health.get("performers") if manager is not None else None
    known = (*report.state.daemons, *(service.state for service in report.services))
    lives = {each.name for each in known if each.lives}
    for name, seen in performers.items() if isinstance(performers, dict) else ():
        if seen["waiting"]:
            remedy = f"nowcast {'restart' if name in lives else 'start'} {name}"
            why = "have room" if seen["state"] == "ready" else f"be there: {remedy}"
            wait = "waits" if seen["waiting"] == 1 else "wait"
            out.line(f"actions   {seen['waiting']:,} {wait} for {name} to {why}")


def daemon_row(daemon: DaemonState) -> list[Text]:
    """Give the line of a daemon, in columns."""
    mark, color = mark_of(daemon.state)
    row: list[Text] = [Painted(mark, color), daemon.name, Painted(daemon.state, color)]
    if daemon.lives:
        row.append(f"process {daemon.pid}" if daemon.pid else "no process")
        row.append(f"since {local(daemon.since)}" if daemon.since else "")
    if place := _place_of(daemon):
        row.append(place)
    if daemon.restarts and daemon.lives:  # where there is none any more they tell nothing
        row.append(f"{daemon.restarts} restart{'s' if daemon.restarts > 1 else ''}")
    return row


def _place_of(daemon: DaemonState) -> str | None:
    """Say what a standby follows, how a manager came to lead, or what is in hand."""
    if daemon.health.get("follows"):
        return f"follows the manager since {local(daemon.health['follows since'])}"
    if daemon.health.get("took over"):
        return f"took over: {daemon.health['took over']}"
    return _actions_in(daemon) or _files_in(daemon)


def _files_in(daemon: DaemonState) -> str | None:
    """Say what the file watcher waits for."""
    health = daemon.health
    if daemon.name != "file_watcher" or "not complete" not in health:
        return None
    said = [f"there is no folder {folder}" for folder in health["away"]]
    said += [f"{_files(health['not complete'])} not complete"] if health["not complete"] else []
    said += [f"{health['waiting']:,} runs asked for"] if health["waiting"] else []
    return "; ".join(said) or f"{_files(health['seen'])} seen"


def _files(number: int) -> str:
    return "1 file" if number == 1 else f"{number:,} files"


def _actions_in(daemon: DaemonState) -> str | None:
    """Say what the action workers have in hand."""
    running = daemon.health.get("running")
    if daemon.name != "action_workers" or not isinstance(running, list):
        return None
    if not running:
        return "nothing in hand"
    longest = max(running, key=lambda each: float(each["seconds"]))
    waiting = daemon.health["in hand"] + daemon.health["waiting"] - len(running)
    more = f", {waiting} waiting" if waiting else ""
    return f"{len(running)} running{more}; {longest['key']} for {longest['seconds']:.0f} s"


def _show_supervision(report: Report, out: Output) -> None:
    if report.state.supervisor == "gone":
        out.line(
            Painted("✗ ", "red"),
            "the daemons run without their supervisor, which was killed; nobody would start "
            "them again",
        )
        out.line("  nowcast start takes over; jobs go on")
    elif report.state.supervisor == "another":
        out.line("  started by another supervisor, or by hand; it is for that to stop them")
    elif report.verdict == "stopped":
        out.line("  nowcast start starts them")
    for daemon in report.state.daemons if report.state.supervisor == "running" else ():
        if daemon.state == "not answering" and daemon.name == "manager" and _is_followed(report):
            out.line("  the standby takes over when it has not answered for 3 s; jobs go on")
        elif daemon.state == "not answering":
            out.line(f"  nowcast restart {daemon.name} ends it and starts it anew; jobs go on")
        elif daemon.state == "restarting":
            out.line(f"  nowcast logs {daemon.name} -n 20 says why it ends again and again")


def _place_words(load: Load) -> str:
    return load.host if load.executor == SSH else load.executor


def _load_words(load: Load) -> str:
    """Say how many jobs are in one state; those of a system that cannot be asked as last known."""
    state = "queued" if load.state == "submitting" else load.state
    says_more = load.native is not None and load.native.lower() != state
    native = f", {load.native}" if says_more else ""
    return f"{load.count} {state}{native}{', as last known' if load.unknown else ''}"


def _is_followed(report: Report) -> bool:
    return any(each.name == "standby" and each.state == "ready" for each in report.state.daemons)


def _show_stored(stored: Stored, out: Output) -> None:
    counts = stored.counts
    waiting = counts["waiting"] + counts["submitting"]
    now = f"{counts['running']} running, {waiting} waiting, {counts['held']} held"
    ended = ", ".join(f"{counts[word]} {word}" for word in _ENDINGS if counts[word])
    out.line(f"jobs      {now}; today {ended or 'none has failed'}")
    for ensemble, left in stored.ensembles:
        from nowcast_cli.cli.ensemble_view import name, progress

        out.line(f"ensemble  {name(ensemble)}: {progress(ensemble, left)}")
    for run in stored.flow_runs[:_MOST_RUNS]:
        at = f": at {', '.join(run.at)}" if run.at else ""
        out.line(f"flow      {run.flow} (run {run.id[-8:]}){at}")
    if (more := len(stored.flow_runs) - _MOST_RUNS) > 0:
        out.line(f"flow      and {more:,} more runs: nowcast flow runs")
    undecided = f", {counts['undecided']} to be decided" if counts["undecided"] else ""
    out.line(f"messages  {counts['stuck']} stuck{undecided}")
    for message in stored.stuck:
        out.line(
            Painted("  ✗ ", "red"),
            f"message {message.number}, {message.source} {message.type}: "
            f"{first_line(message.error)}",
        )
        out.line(f"    mend next_workers, or: nowcast message retry {message.number}")
    for late in stored.overdue:
        out.line(Painted("  ✗ ", "red"), late.what)
    for each in stored.late:
        out.line(Painted("  ✗ ", "red"), each.what)
    for job in stored.slow:
        out.line(
            Painted("  ✗ ", "red"),
            f"{job.worker} (job {short_id(job.id)}) has run since {local(job.started)}, far "
            "longer than any before",
        )
    for load in stored.loads:
        if load.executor != LOCAL:
            out.line(f"{_place_words(load):<10}", _load_words(load))
    for hold in stored.holds:
        out.line("held      ", held_words(hold))
    for barrier in stored.barriers:
        out.line(
            f"barrier   {barrier.number} waits for {', '.join(barrier.waiting_for)} "
            f"since {local(barrier.created)}"
        )
