"""Workers that every system can use: ``python -m nowcast_cli.workers.sleep CONFIG``."""
