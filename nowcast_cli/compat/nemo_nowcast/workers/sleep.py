"""``python -m nemo_nowcast.workers.sleep CONFIG``: run the worker of that name."""

from nowcast_cli.workers.sleep import NAME, failure, main, sleep, success

__all__ = ["NAME", "failure", "main", "sleep", "success"]

if __name__ == "__main__":
    main()
