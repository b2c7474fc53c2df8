"""``python -m nowcast_cli.cli`` is the command ``nowcast``."""

import sys

from nowcast_cli.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
