"""The form of nowcast.yaml, as pydantic models. Imported only by those who check it.

Deployments keep settings of their own beside ours, so sections of NEMO_Nowcast's form allow
unknown keys; sections that are ours alone forbid them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SkipValidation

from nowcast_cli.config.model_products import ProductEntry
from nowcast_cli.config.model_sections import ClosedSection, Section
from nowcast_cli.config.model_services import ServiceEntry
from nowcast_cli.config.model_values import (
    Addresses,
    Duration,
    LoggingPort,
    Module,
    Port,
    Seconds,
    WorkersToNotify,
    no_handlers,
)
from nowcast_cli.config.model_workers import (
    ResourcesSettings,
    WorkerRegistration,
)

EventKind = Literal["failure", "crash", "lost", "overdue", "slow", "stuck", "daemon down"]


class Ports(Section):
    """The ports that the daemons listen on."""

    workers: Port = Field(description="Where workers send their messages.")
    manager: Port = Field(description="Where the manager gets them from the message broker.")
    logs: Port | None = Field(
        default=None,
        description="Where the log aggregator gets the log records of processes on other hosts. "
        "Default: the first free number after the other ports, unless zmq.host is localhost.",
    )
    events: Port | None = Field(
        default=None,
        description="Where other hosts, and who may not enter the run folder, subscribe to events. "
        "Default: nowhere.",
    )
    logging: dict[str, LoggingPort] = Field(
        default={},
        description="Ports of log publishers in NEMO_Nowcast's distributed logging: a port, "
        "a list of local ports, 'host:port', or a list of those.",
    )


class Zmq(Section):
    """Where the daemons of the system meet."""

    host: str = Field(
        default="localhost",
        min_length=1,
        description="The host of the message broker; sockets bind to loopback when it is "
        "localhost.",
    )
    ports: Ports


class MessageRegistry(Section):
    """Who may send which messages, and what they mean."""

    manager: dict[str, str] = Field(
        default={}, description="The replies of the manager, with their words for the log."
    )
    next_workers_module: Module = Field(
        default="next_workers", description="The module that holds the after_ functions."
    )
    workers: dict[str, WorkerRegistration] = Field(
        default={}, description="The workers, by name, each with its message types."
    )


class RemoteHost(Section):
    """A host on which workers are run by ssh; its name is what ssh is given."""

    envvars: str | None = Field(default=None, description="A file to source before a worker.")
    python: str | None = Field(
        default=None, description="The Python of the workers there, 3.9 or newer."
    )
    config_file: str | None = Field(
        default=None, description="The configuration there, which its workers are given."
    )
    state_directory: str | None = Field(
        default=None,
        description="Where the folders of jobs are kept there; ~/.cache/nowcast by default.",
    )
    shared_storage: bool = Field(
        default=True,
        description="Whether it has the files of this machine; if not, inputs and outputs of "
        "steps are sent and fetched by rsync.",
    )
    ssh_options: dict[str, str | int | bool] | None = Field(
        default=None, description="Options as in ~/.ssh/config, such as Port or IdentityFile."
    )


class Run(Section):
    """Where workers run, and whatever the deployment keeps about its runs."""

    enabled_hosts: dict[str, RemoteHost | None] = Field(
        default={}, description="The hosts on which workers may be run, besides localhost."
    )


class ExecutorSettings(ClosedSection):
    """One executor. Shows the form; ``config.executors`` reads and checks it."""

    kind: Literal["local", "ssh", "slurm", "sge", "pbs", "agents"] | None = Field(
        default=None, description="What runs its jobs."
    )
    host: str | None = Field(
        default=None,
        description="The enabled host on which the commands of the batch system are run by ssh. "
        "Default: this machine.",
    )
    poll: str | float | None = Field(
        default=None, description="How often the batch system is asked for its jobs; 10s."
    )
    python: str | None = Field(
        default=None, description="The Python that runs its jobs, 3.9 or newer."
    )
    resources: ResourcesSettings | None = Field(
        default=None, description="What its jobs ask for where their worker says nothing."
    )
    directives: list[str] | None = Field(
        default=None, description="Lines for the head of the script that a batch system is given."
    )
    parallel_environment: str | None = Field(
        default=None,
        description="The parallel environment of Grid Engine in which jobs with several processors "
        "run; smp.",
    )


class ExecutorsSettings(BaseModel):
    """Where workers run: executors by name, and which one is the default."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, ExecutorSettings]

    default: str | None = Field(
        default=None, description="Runs the workers that name none; local where it is left out."
    )


class ScheduledWorker(ClosedSection):
    """When a worker is launched. Shows the form; ``config.schedule`` reads and checks it."""

    name: str | None = Field(default=None, description="What the item is called; stays the same.")
    every: str | int | None = Field(
        default=None, description="day, hour, monday, …, or a length of time such as 3h."
    )
    at: str | None = Field(default=None, description="The time of day, quoted: '05:15'.")
    cron: str | None = Field(default=None, description="A cron expression of five fields.")
    time_zone: str | None = Field(default=None, description="A name such as America/Vancouver.")
    cmd_line_opts: str | None = Field(default=None, description="Arguments of the worker.")
    catch_up: Literal["none", "last", "all"] | None = Field(
        default=None, description="What to do about launches that were missed."
    )
    within: str | float | None = Field(
        default=None, description="How late a launch may be, such as 2h."
    )
    jitter: str | float | None = Field(
        default=None, description="By how much a launch may be put off by chance, such as 10 min."
    )


class MessageDelivery(ClosedSection):
    """How workers send their messages."""

    repeat: Literal["always", "never"] = Field(
        default="always",
        description="never: for a system that still has a manager of NEMO_Nowcast.",
    )
    deadline: Seconds = Field(
        default=60, description="Seconds after which a worker no longer waits for an answer."
    )


class JobsSettings(ClosedSection):
    """How the jobs of the whole system are run."""

    concurrency: Annotated[int, Field(gt=0)] | None = Field(
        default=None, description="How many jobs may run at once, of all workers together."
    )


class NextWorkersSettings(ClosedSection):
    """How the after_ functions are run."""

    deadline: Seconds = Field(
        default=30, description="Seconds after which an after_ function counts as stuck."
    )


class NotifyTarget(ClosedSection):
    """Who is told of what."""

    to: Addresses = Field(description="One address of apprise, or a list of them.")
    events: list[EventKind] | None = Field(
        default=None, description="What is told: all of these where the key is left out."
    )
    workers: list[str] | None = Field(
        default=None, description="The workers that matter here: all where the key is left out."
    )
    period: Duration = Field(
        default="15 min",
        description="The length of time in which one kind of event of one worker is told once; "
        "how many more there were is told at its end.",
    )


class LogsSettings(ClosedSection):
    """What the log aggregator follows beside the jobs. ``config.log_settings`` reads it."""

    follow: list[str] | None = Field(
        default=None, description="Files whose lines go into the logs, as paths with wildcards."
    )
    watch: Literal["auto", "inotify", "poll"] | None = Field(
        default=None, description="How changes are noticed. auto: poll on network file systems."
    )


class RetentionSettings(ClosedSection):
    """How long `nowcast clean` keeps things: lengths of time such as 30d."""

    # read and checked by config.log_settings
    jobs: SkipValidation[str | None] = Field(default="30d", description="Folders of ended jobs.")
    scratch: SkipValidation[str | None] = Field(
        default="7d", description="Scratch folders of jobs that have ended."
    )
    logs: SkipValidation[str | None] = Field(default="90d", description="Rotated log files.")
    journal: SkipValidation[str | None] = Field(
        default="365d", description="Messages and jobs in the store, from a day on."
    )
    events: SkipValidation[str | None] = Field(default="30d", description="Events, from a day on.")


class LimitsSettings(ClosedSection):
    """What is too much: sizes such as 32 MB, and numbers."""

    # read and checked by config.limits
    message_size: SkipValidation[str | int | None] = Field(
        default="32 MB", description="The longest message that is sent or taken."
    )
    payload_depth: SkipValidation[int | None] = Field(
        default=100, description="Levels of mappings and lists within each other, at most 100."
    )
    payload_values: SkipValidation[int | None] = Field(
        default=1_000_000, description="Values of a message, keys too, once aliases are followed."
    )
    waiting_messages: SkipValidation[int | None] = Field(
        default=10_000, description="Requests without an answer that the message broker keeps."
    )
    waiting_size: SkipValidation[str | int | None] = Field(
        default="512 MB", description="The bytes of those requests together."
    )


class AgentsSettings(ClosedSection):
    """How agents are kept in touch with. Shows the form; ``config.agents`` reads and checks it."""

    lease: SkipValidation[str | float | None] = Field(
        default="60s", description="How long an agent may be silent before it is offline."
    )
    report_every: SkipValidation[str | float | None] = Field(
        default="5s", description="How often an agent says what its host uses."
    )


class Handler(Section):
    """A place where log messages go, in the form of Python's logging.config.dictConfig."""

    filename: str | None = Field(default=None, description="The file that is written.")
    formatter: str | None = None


class LoggingLayout(Section):
    """A logging configuration in the form of Python's logging.config.dictConfig."""

    version: Literal[1] = 1
    formatters: dict[str, dict[str, Any]] = Field(default={})
    # An empty list stands for no handlers, as in configurations made for tests.
    handlers: Annotated[dict[str, Handler], BeforeValidator(no_handlers)] = Field(default={})
    loggers: dict[str, dict[str, Any]] = Field(default={})
    root: dict[str, Any] = Field(default={})


class Logging(LoggingLayout):
    """Where log messages go: one layout, or the pair of a distributed system."""

    aggregator: LoggingLayout | None = Field(
        default=None, description="What collects the log messages of all processes."
    )
    publisher: LoggingLayout | None = Field(
        default=None, description="What each process does with its log messages."
    )


class NowcastYaml(Section):
    """The configuration of a nowcast system."""

    checklist_file: str | None = Field(
        default=None,
        description="The file that shows the state of the system. Default: "
        "nowcast_checklist.yaml in the state directory.",
    )
    state_directory: str | None = Field(
        default=None,
        description="The folder of everything the system writes. Default: the folder of the "
        "checklist file.",
    )
    jobs_directory: str | None = Field(
        default=None,
        description="The folder of the folders of jobs, where the nodes of a cluster see it. "
        "Default: jobs in the state directory.",
    )
    python: str | None = Field(
        default=None, description="The Python that runs workers. Default: the one of nowcast."
    )
    standby: bool = Field(
        default=False,
        description="true: a second manager waits, and takes over at once when the first ends or "
        "is frozen.",
    )
    logging: Logging | None = None
    logs: LogsSettings | None = Field(
        default=None, description="Asks for the log aggregator, and says what it follows."
    )
    retention: RetentionSettings | None = Field(
        default=None, description="How long nowcast clean keeps files."
    )
    limits: LimitsSettings | None = Field(
        default=None, description="How large, deep and many messages may be."
    )
    agents: SkipValidation[AgentsSettings | None] = Field(
        default=None, description="How the agents of other hosts are kept in touch with."
    )
    zmq: Zmq
    security: Literal["curve", "none"] | None = Field(
        default=None,
        description="curve: who connects needs a key, and all ports are encrypted. none: "
        "loopback alone, without keys.",
    )
    message_registry: MessageRegistry
    worker_packages: list[Module] = Field(
        default=["workers", "nowcast.workers"],
        description="The packages in which workers are looked up by name.",
    )
    messages: MessageDelivery | None = None
    next_workers: NextWorkersSettings | None = None
    jobs: JobsSettings | None = Field(
        default=None, description="How the jobs of the whole system are run."
    )
    run: Run | None = None
    # read and checked by config.executors
    executors: SkipValidation[ExecutorsSettings | None] = Field(
        default=None,
        description="Where workers run besides this machine, and which is the default.",
    )
    scheduled_workers: SkipValidation[list[dict[str, ScheduledWorker]] | None] = Field(
        default=None, description="Workers that are started by the clock."
    )
    # read and checked by the room flows
    flows: SkipValidation[dict[str, dict[str, Any]] | None] = Field(
        default=None, description="Flows by name: steps, and what each of them comes after."
    )
    action_workers: SkipValidation[int | None] = Field(  # checked by config.action_workers
        default=None, description="How many processes call actions; 2 where actions.ini maps any."
    )
    action_memory: SkipValidation[str | int | None] = Field(
        default="1 GB", description="By how much an action worker grows before it is replaced."
    )
    # read and checked by config.services
    services: SkipValidation[dict[str, ServiceEntry] | None] = Field(
        default=None, description="Programs that run for as long as the system does, by name."
    )
    products: SkipValidation[dict[str, ProductEntry | None] | None] = Field(
        default=None, description="Operational files that are made and delivered, by name."
    )
    slack_notifications: dict[str, WorkersToNotify] | None = Field(
        default=None,
        description="Names of environment variables that hold a Slack address, each with the "
        "workers whose messages go there.",
    )
    notify: dict[str, NotifyTarget] | None = Field(
        default=None, description="Who is told when something goes wrong, each under a name."
    )
