"""``python -m nemo_nowcast.workers.clear_checklist CONFIG``: run the worker of that name."""

from nowcast_cli.workers.clear_checklist import NAME, clear_checklist, failure, main, success

__all__ = ["NAME", "clear_checklist", "failure", "main", "success"]

if __name__ == "__main__":
    main()
