"""A configuration of the size and form that production deployments of NEMO_Nowcast have."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from nowcast_cli.config import Config, system_paths
from nowcast_cli.config.check import check
from nowcast_cli.config.logging_layout import process_logging
from nowcast_cli.config.logging_section import log_files
from nowcast_cli.config.registry import registry_of
from nowcast_cli.config.settings import endpoints

HEAD = """\
# Bay of Fundy forecast system
checklist file: $(NOWCAST.ENV.NOWCAST_LOGS)/nowcast_checklist.yaml
python: $(NOWCAST.ENV.NOWCAST_ENV)/bin/python

logging:
  aggregator:
    version: 1
    disable_existing_loggers: False
    formatters:
      simple:
        format: '%(asctime)s %(levelname)s [%(logger_name)s] %(message)s'
    handlers:
      console:
        class: logging.StreamHandler
        level: 100
        formatter: simple
        stream: ext://sys.stdout
      info_text:
        class: logging.handlers.RotatingFileHandler
        level: INFO
        formatter: simple
        filename: $(NOWCAST.ENV.NOWCAST_LOGS)/nowcast.log
        backupCount: 7
      debug_text:
        class: logging.handlers.RotatingFileHandler
        level: DEBUG
        formatter: simple
        filename: $(NOWCAST.ENV.NOWCAST_LOGS)/nowcast.debug.log
        backupCount: 7
      hindcast_text:
        class: logging.handlers.TimedRotatingFileHandler
        when: midnight
        level: INFO
        formatter: simple
        filename: $(NOWCAST.ENV.NOWCAST_LOGS)/hindcast.log
    loggers:
      run_hindcast:
        qualname: run_hindcast
        level: INFO
        propagate: False
        handlers: [hindcast_text]
    root:
      level: DEBUG
      handlers: [console, info_text, debug_text]
  publisher:
    version: 1
    disable_existing_loggers: False
    formatters:
      simple:
        format: '%(asctime)s %(levelname)s [%(name)s] %(message)s'
    handlers:
      console:
        class: logging.StreamHandler
        level: 100
        formatter: simple
        stream: ext://sys.stdout
      zmq_pub:
        class: zmq.log.handlers.PUBHandler
        level: DEBUG
        formatter: simple
        interface_or_socket: tcp://*:5555
      checklist:
        class: logging.handlers.RotatingFileHandler
        level: INFO
        formatter: simple
        filename: $(NOWCAST.ENV.NOWCAST_LOGS)/checklist.log
        backupCount: 7
    loggers:
      checklist:
        qualname: checklist
        level: INFO
        propagate: False
        handlers: [checklist]
      matplotlib:
        level: WARNING
        formatter: simple
    root:
      level: DEBUG
      handlers: [console, zmq_pub]

zmq:
  host: forecast-gw.example.org
  ports:
    manager: 5554
    workers: 5555
    logging:
      message_broker: 5560
      manager: 5561
      workers: [5562, 5563, 5564, 5565, 5566]
      run_model: [5570, 'cluster.example.org:5571']
      watch_model: 'cluster.example.org:5572'
      make_forcing: ['cluster.example.org:5573', 'east.example.org:5573']

run:
  ssh key: fundy_id_rsa
  remote hosts: [east, cluster]
  hindcast host: cluster
  enabled hosts:
    localhost:
      envvars: /opt/fundy/envvars.sh
      python: /opt/fundy/env/bin/python
      config file: /opt/fundy/config/nowcast.yaml
    cluster:
      ssh key name in ~/.ssh: fundy_id_rsa
      envvars: /nfs/fundy/envvars.sh
      python: /nfs/fundy/env/bin/python
      config file: /nfs/fundy/config/nowcast.yaml
      users: allen,doug
      shared storage: False
      mpi decomposition: 11x18
      run types:
        nowcast: {results: /nfs/results/nowcast/, duration: 1}
        forecast: {results: /nfs/results/forecast/, duration: 1.5}
    east: {}
  duration: {1: nowcast, 2: forecast}

scheduled workers:
  - nowcast.workers.download_weather:
      every: day
      at: '11:40'
      cmd line opts: '00 2.5km'
  - nowcast.workers.worker_00:
      every: monday
      at: '05:15:30'
      cmd line opts: null

slack notifications:
  SLACK_FUNDY_DAILY: [download_weather, worker_00]
  SLACK_FUNDY_OPS:
    - worker_01
  website log url: https://fundy.example.org/nowcast/logs/nowcast.log
  website checklist url: https://fundy.example.org/nowcast/logs/nowcast_checklist.yaml

"""
REGISTRY = """\
message registry:
  manager:
    ack: message acknowledged
    checklist cleared: system checklist cleared
    unregistered worker: ERROR - message received from unregistered worker
    unregistered message type: ERROR - unregistered message type received from worker
    no after_worker function: ERROR - after_worker function not found in next_workers module
  next workers module: nowcast.next_workers
  workers:
    clear_checklist:
      clear checklist: request that manager clear system state checklist
      success: checklist cleared
      failure: checklist clearance failed
      crash: clear_checklist worker crashed
    rotate_logs:
      checklist key: log rotation
      success: log files rotated
      failure: log files rotation failed
      crash: rotate_logs worker crashed
    download_weather:
      checklist key: weather forecast
      success 00: weather forecast of 00 hours downloaded
      success 06: weather forecast of 06 hours downloaded
      failure 00: >
        weather forecast of 00 hours
        download failed
      need: request for the times of what was downloaded
      crash: download_weather worker crashed
"""
OWN = """\
weather:
  download:
    2.5 km:
      url template: 'https://weather.example.org/{date}/{hour:02d}/{variable}.grib2'
      file mode: '0664'
      forecast duration: 48
      hours: &hours ['00', '06', '12', '18']
      variables:
        - [UGRD, 10]
        - [VGRD, 10]
    10 km:
      hours: *hours
      limit: 1_000
observations:
  tide gauges:
    40: {name: Saint John, lat: 45.25, lon: -66.06, msl: 4.43, since: 1896-01-01}
    65: {name: Yarmouth, lat: 43.83, lon: -66.12, msl: 2.6, since: 1900-05-01}
  1: {0: 0.5}
archive start: 2014-09-12
hindcast:
  dates: [2013-01-01, 2017-12-31]
  last run: 2026-11-20 06:30:00
domains: {1: bay, 2: gulf, -1: none}
figures: {storage path: /results/figures/, dev: true, grid dir: ~, sizes: [1e3, 2.5]}
"""


def configuration() -> str:
    """Write about as many lines as a production system has."""
    text = HEAD + REGISTRY
    for number in range(41):
        text += (
            f"    worker_{number:02d}:\n"
            f"      checklist key: key {number // 2}\n"
            f"      success nowcast: step {number} of the nowcast succeeded\n"
            f"      failure nowcast: step {number} of the nowcast failed\n"
            f"      success forecast2: step {number} of the second forecast succeeded\n"
            f"      failure forecast2: step {number} of the second forecast failed\n"
            f"      crash: worker_{number:02d} worker crashed\n"
        )
    text += OWN
    for number in range(80):
        text += f"section {number}:\n" + "".join(
            f"  setting {row}: {{2014: [{row}, '{number}'], path: /data/{number}/{row}}}\n"
            for row in range(11)
        )
    return text


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    python = tmp_path / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch(mode=0o755)
    monkeypatch.setenv("NOWCAST_ENV", str(tmp_path / "env"))
    monkeypatch.setenv("NOWCAST_LOGS", str(tmp_path / "logs"))
    file = tmp_path / "nowcast.yaml"
    file.write_text(configuration())
    return file


def test_it_has_no_errors_and_no_warning_but_of_its_open_ports(file: Path) -> None:
    assert file.read_text().count("\n") > 1400
    (warning,) = check(file)
    assert warning.severity == "warning"
    assert warning.path == "zmq.host"
    assert "without authentication" in warning.message


def test_it_loads_with_its_variables_and_users_values(file: Path, tmp_path: Path) -> None:
    config = Config()
    config.load(file)
    assert config["checklist file"] == str(tmp_path / "logs/nowcast_checklist.yaml")
    assert config["python"] == str(tmp_path / "env/bin/python")
    assert config["observations"]["tide gauges"][40]["since"] == date(1896, 1, 1)
    assert config["domains"][-1] == "none"
    assert endpoints(config).host == "forecast-gw.example.org"
    assert system_paths(config).state == tmp_path / "logs"
    registry = registry_of(config)
    assert len(registry.workers) == 44
    assert not registry.workers["clear_checklist"].has_checklist_key
    failure = registry.workers["download_weather"].messages["failure 00"]
    assert failure == "weather forecast of 00 hours download failed\n"


def test_its_log_files_are_named_once_each(file: Path) -> None:
    config = Config()
    config.load(file)
    names = [path.name for path in log_files(config)]
    assert names == ["nowcast.log", "nowcast.debug.log", "hindcast.log", "checklist.log"]


def test_each_process_writes_the_files_and_publishes_nothing(file: Path, tmp_path: Path) -> None:
    config = Config()
    config.load(file)
    layout = process_logging(config["logging"], tmp_path, rotate=False, debug=False)
    classes = {name: handler["class"] for name, handler in layout["handlers"].items()}
    assert classes == {
        "publisher.console": "logging.StreamHandler",
        "publisher.checklist": "logging.handlers.WatchedFileHandler",
        "aggregator.console": "logging.StreamHandler",
        "aggregator.info_text": "logging.handlers.WatchedFileHandler",
        "aggregator.debug_text": "logging.handlers.WatchedFileHandler",
        "aggregator.hindcast_text": "logging.handlers.WatchedFileHandler",
    }
    assert "publisher.zmq_pub" not in layout["root"]["handlers"]
