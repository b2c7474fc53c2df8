"""What worker modules use, where NEMO_Nowcast has it."""

from nowcast_cli.worker.errors import WorkerError
from nowcast_cli.worker.next_worker import NextWorker
from nowcast_cli.worker.nowcast_worker import NowcastWorker
from nowcast_cli.worker.web_data import get_web_data

__all__ = ["NextWorker", "NowcastWorker", "WorkerError", "get_web_data"]
