"""``python -m nemo_nowcast.workers.rotate_logs CONFIG``: run the worker of that name."""

from nowcast_cli.workers.rotate_logs import NAME, failure, main, rotate_logs, success

__all__ = ["NAME", "failure", "main", "rotate_logs", "success"]

if __name__ == "__main__":
    main()
