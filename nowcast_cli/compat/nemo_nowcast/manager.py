"""``python -m nemo_nowcast.manager CONFIG``: run the manager."""

import sys

from nowcast_cli.manager.places import main

if __name__ == "__main__":
    sys.exit(main())
