"""Distributed logging in NEMO_Nowcast's layout: publishers on other hosts, and their subscriber."""

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
import zmq

from helpers import wait_until
from nowcast_cli.config.log_publishing import is_elsewhere
from nowcast_cli.config.log_records import record_of
from nowcast_cli.config.logging_ports import publisher_addresses, publisher_ports
from nowcast_cli.logs.published import Published, PublishedRecord, read_published
from ports import free_ports

ELSEWHERE = "192.0.2.1"  # of a network that is there for documentation alone


def distributed(folder, host, ports):
    return {
        "checklist file": str(folder / "checklist.yaml"),
        "zmq": {"host": host, "ports": {"workers": 1, "manager": 2, "logging": ports}},
        "logging": {
            "aggregator": {
                "version": 1,
                "formatters": {"simple": {"format": "%(levelname)s [%(logger_name)s] %(message)s"}},
                "handlers": {
                    "text": {
                        "class": "logging.handlers.RotatingFileHandler",
                        "formatter": "simple",
                        "filename": str(folder / "nowcast.log"),
                    }
                },
                "root": {"level": "DEBUG", "handlers": ["text"]},
            },
            "publisher": {
                "version": 1,
                "formatters": {
                    "simple": {"format": "%(asctime)s %(levelname)s [%(name)s] %(message)s"}
                },
                "handlers": {
                    "zmq_pub": {
                        "class": "zmq.log.handlers.PUBHandler",
                        "level": "DEBUG",
                        "formatter": "simple",
                    }
                },
                "root": {"level": "DEBUG", "handlers": ["zmq_pub"]},
            },
        },
    }


WORKER = """
import logging, sys
from nowcast_cli.config import Config
from nowcast_cli.config.logging_section import configure_logging
from nowcast_cli.messages.log_sending import send_records
config = Config()
config.load(sys.argv[1])
where = configure_logging(config, "run_model")
send_records(config)
logger = logging.getLogger("run_model")
logger.info(where)
for number in range(int(sys.argv[2])):
    logger.debug("step %d", number)
try:
    1 / 0
except ZeroDivisionError:
    logger.critical("unhandled exception:", exc_info=True)
logging.getLogger("run_model.mpi").warning("slow :: node")
"""


def run_worker_elsewhere(folder, ports, steps=3):
    folder.mkdir()
    file = folder / "nowcast.yaml"
    file.write_text(yaml.safe_dump(distributed(folder, ELSEWHERE, ports)))
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(file), str(steps)], cwd=folder, stderr=subprocess.PIPE
    )


@pytest.fixture
def subscribe():
    opened = []

    def subscribe(*ports):
        opened.append(Published([f"127.0.0.1:{port}" for port in ports]))
        return opened[-1]

    yield subscribe
    for published in opened:
        published.close()


@pytest.fixture
def logged():
    """Collect what is logged in this process."""
    records = []

    class Collector(logging.Handler):
        def emit(self, record):
            records.append((record.logger_name, record.levelname, record.getMessage()))

    collector = Collector()
    root = logging.getLogger()
    level = root.level
    root.addHandler(collector)
    root.setLevel(logging.DEBUG)
    yield records
    root.removeHandler(collector)
    root.setLevel(level)


def test_every_line_of_a_worker_elsewhere_arrives_from_its_first_to_its_last(
    tmp_path, subscribe, logged
):
    [port] = free_ports(1)
    published = subscribe(port)
    process = run_worker_elsewhere(tmp_path / "cluster", {"run_model": f"cluster:{port}"}, 500)

    def everything():
        published.log_what_has_come()
        return logged and logged[-1][1] == "WARNING"

    wait_until(everything, timeout=20, what="the last line")
    assert process.wait(10) == 0
    assert logged[0] == ("run_model", "INFO", "publishing log messages to the log aggregator")
    assert logged[1:501] == [("run_model", "DEBUG", f"step {number}") for number in range(500)]
    name, level, text = logged[501]
    assert (name, level) == ("run_model", "CRITICAL")
    assert text.startswith("unhandled exception:\nTraceback")
    assert logged[502:] == [("run_model", "WARNING", "slow :: node")]
    assert published.strange == 0
    assert not (tmp_path / "cluster" / "nowcast.log").exists()


PAUSING = """
import logging, sys, time
from pathlib import Path
from nowcast_cli.config import Config
from nowcast_cli.config.logging_section import configure_logging
config = Config()
config.load(sys.argv[1])
configure_logging(config, "run_model")
logger = logging.getLogger("run_model")
for stage in ("one", "two", "three"):
    logger.info("stage %s", stage)
    Path(f"after-{stage}").touch()
    while not Path(f"go-on-{stage}").exists():
        time.sleep(0.01)
"""


@pytest.fixture
def pausing(tmp_path):
    """Start a worker elsewhere that logs, and goes on when it is told to."""
    folder = tmp_path / "cluster"
    folder.mkdir()
    [port] = free_ports(1)
    file = folder / "nowcast.yaml"
    file.write_text(yaml.safe_dump(distributed(folder, ELSEWHERE, {"workers": [port]})))
    process = subprocess.Popen([sys.executable, "-c", PAUSING, str(file)], cwd=folder)
    yield folder, port, process
    process.kill()
    process.wait()


def connections(port):
    """Count those that a port has and that were not ended by its own side, too."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    established, ended_there = "01", "08"
    return sum(
        row[1].endswith(f":{port:04X}") and row[3] in (established, ended_there) for row in rows
    )


def wait_until_it_is_alone(port):
    wait_until(lambda: not connections(port), what="the worker to see that nobody is there")
    time.sleep(0.3)  # its thread for the network tells that to the other one a moment later


def test_lines_wait_for_an_aggregator_that_is_away(pausing, subscribe, logged):
    folder, port, process = pausing
    published = subscribe(port)
    wait_until((folder / "after-one").exists, what="the first stage")
    wait_until(lambda: published.log_what_has_come() or logged, what="the first line")
    published.close()
    wait_until_it_is_alone(port)
    (folder / "go-on-one").touch()
    wait_until((folder / "after-two").exists, what="the second stage")

    published = subscribe(port)
    (folder / "go-on-three").touch()
    time.sleep(1.5)  # as does a new subscription: the worker has nothing to say of it
    (folder / "go-on-two").touch()
    wait_until(lambda: published.log_what_has_come() or len(logged) == 3, timeout=15)
    assert [text for _, _, text in logged] == ["stage one", "stage two", "stage three"]
    assert process.wait(10) == 0
    assert not list(folder.rglob("*unpublished*"))


def test_lines_that_nobody_has_taken_at_the_end_are_in_a_file_of_that_host(
    pausing, subscribe, logged
):
    folder, port, process = pausing
    published = subscribe(port)
    wait_until((folder / "after-one").exists, what="the first stage")
    wait_until(lambda: published.log_what_has_come() or logged, what="the first line")
    published.close()
    wait_until_it_is_alone(port)
    for stage in ("one", "two", "three"):
        (folder / f"go-on-{stage}").touch()
    assert process.wait(20) == 0
    [spare] = folder.glob("spool/records/*.jsonl")
    records = [record_of(line) for line in spare.read_bytes().splitlines()]
    assert [(record.name, record.levelname, record.getMessage()) for record in records] == [
        ("run_model", "INFO", "stage two"),
        ("run_model", "INFO", "stage three"),
    ]


def test_a_port_that_is_taken_is_passed_over(tmp_path, subscribe, logged):
    taken, free = free_ports(2)
    with socket.socket() as other:
        other.bind(("0.0.0.0", taken))
        other.listen()
        published = subscribe(free)
        process = run_worker_elsewhere(tmp_path / "cluster", {"workers": [taken, free]})
        wait_until(
            lambda: published.log_what_has_come() or len(logged) == 6, timeout=20, what="the lines"
        )
        assert process.wait(10) == 0


@pytest.mark.parametrize("taken", [True, False], ids=["no free port", "no aggregator"])
def test_a_worker_that_cannot_publish_keeps_its_records_and_lives(tmp_path, taken):
    [port] = free_ports(1)
    with socket.socket() as other:
        if taken:
            other.bind(("0.0.0.0", port))
            other.listen()
        process = run_worker_elsewhere(tmp_path / "cluster", {"workers": [port]})
        assert b"log records wait in" in process.communicate(timeout=20)[1]
        assert process.returncode == 0
    [spare] = (tmp_path / "cluster").glob("spool/records/*.jsonl")
    records = [record_of(line) for line in spare.read_bytes().splitlines()]
    assert records[0].getMessage() == "sending log messages to the log aggregator"
    assert "step 2" in [record.getMessage() for record in records]


def test_upstreams_publisher_is_understood_in_its_own_format_too(subscribe, logged):
    """A plain PUB socket, which waits for nobody, with the format of a publisher's section."""
    [port] = free_ports(1)
    published = subscribe(port)
    with zmq.Context() as context, context.socket(zmq.PUB) as publisher:
        publisher.linger = 0
        publisher.bind(f"tcp://127.0.0.1:{port}")

        def arrived():
            head = b"2026-11-22 06:00:00,123 INFO [watch_model] "
            publisher.send_multipart([b"watch_model.INFO", head + b"53% complete\n"])
            time.sleep(0.02)
            published.log_what_has_come()
            return logged

        wait_until(arrived, what="a line of the publisher")
        assert set(logged) == {("watch_model", "INFO", "53% complete")}
        publisher.send_multipart([b"nonsense"])
        publisher.send_multipart([b"watch_model.LOUD", b"x"])
        wait_until(lambda: published.log_what_has_come() or published.strange == 2)


def test_without_addresses_nothing_is_opened():
    published = Published([])
    assert published.descriptors() == []
    assert published.log_what_has_come() is False
    published.close()


def test_the_aggregator_writes_what_is_published_elsewhere(tmp_path, make_system):
    """The daemon itself: it follows a reload to another port, and idles without work."""
    first, second = free_ports(2)
    settings = distributed(tmp_path, "localhost", {"run_model": f"127.0.0.1:{first}"})
    system = make_system(settings={"logging": settings["logging"]})
    system.settings["zmq"]["ports"]["logging"] = {"run_model": f"127.0.0.1:{first}"}
    system.write_config()
    system.start("log_aggregator")
    assert run_worker_elsewhere(tmp_path / "one", {"run_model": f"cluster:{first}"}).wait(20) == 0
    log = tmp_path / "nowcast.log"
    wait_until(lambda: "WARNING [run_model] slow :: node" in log.read_text(), what="its last line")
    assert log.read_text().count("DEBUG [run_model] step") == 3

    system.settings["zmq"]["ports"]["logging"] = {"run_model": f"127.0.0.1:{second}"}
    system.write_config()
    os.kill(system.pid("log_aggregator"), signal.SIGHUP)
    wait_until(lambda: "again" in log.read_text(), what="the reload")
    assert run_worker_elsewhere(tmp_path / "two", {"run_model": f"cluster:{second}"}).wait(20) == 0
    wait_until(lambda: log.read_text().count("slow :: node") == 2, what="its last line")
    assert system.stop("log_aggregator") == 0


@pytest.mark.parametrize(
    ("frames", "record"),
    [
        ([b"tides.INFO", b"high\n"], PublishedRecord("tides", logging.INFO, "high")),
        ([b"tides.ERROR.std", b"low"], PublishedRecord("tides", logging.ERROR, "std::low")),
        (
            [b"tides.INFO", b"2026-11-22 06:00:00,123 INFO [other] kept"],
            PublishedRecord("tides", logging.INFO, "2026-11-22 06:00:00,123 INFO [other] kept"),
        ),
        ([b"tides.INFO", b"\xff"], PublishedRecord("tides", logging.INFO, "\ufffd")),
        ([b"INFO", b"no process"], None),
        ([b".INFO", b"no name"], None),
        ([b"tides.INFO"], None),
    ],
)
def test_a_record_is_a_topic_and_a_text(frames, record):
    assert read_published(frames) == record


PORTS = {
    "message_broker": 5560,
    "workers": [5562, 5563],
    "run_model": ["cluster:5570", 5571],
    "watch_model": "cluster:5572",
    "odd": [None, "cluster:", True, 0],
}


def test_ports_of_a_process_are_its_own_then_those_of_all_workers():
    config = {"zmq": {"host": "gw", "ports": {"logging": PORTS}}}
    assert publisher_ports(config, "run_model") == (5570, 5571, 5562, 5563)
    assert publisher_ports(config, "make_plots") == (5562, 5563)
    assert publisher_ports({"zmq": {"ports": {"workers": 1}}}, "make_plots") == ()


def test_addresses_are_those_of_all_publishers():
    config = {"zmq": {"host": "gw", "ports": {"logging": PORTS}}}
    assert publisher_addresses(config) == (
        ("cluster:5570", "cluster:5572"),
        ("gw:5560", "gw:5562", "gw:5563", "gw:5571"),
    )
    assert publisher_addresses({}) == ((), ())


@pytest.mark.parametrize(
    ("host", "elsewhere"),
    [("localhost", False), ("127.0.0.1", False), (ELSEWHERE, True), ("no.such.invalid", True)],
)
def test_a_host_is_elsewhere_when_none_of_its_addresses_is_here(host, elsewhere):
    assert is_elsewhere(host) is elsewhere
    assert is_elsewhere(socket.gethostname()) is False
