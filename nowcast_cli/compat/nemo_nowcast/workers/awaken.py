"""``python -m nemo_nowcast.workers.awaken CONFIG``: run the worker of that name."""

from nowcast_cli.workers.awaken import NAME, awaken, failure, main, success

__all__ = ["NAME", "awaken", "failure", "main", "success"]

if __name__ == "__main__":
    main()
