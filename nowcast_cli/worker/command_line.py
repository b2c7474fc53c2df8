"""The command line of a worker: the configuration file, ``--debug``, then the worker's own."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import arrow


class CommandLineInterface:
    """A parser for ``python -m PACKAGE.MODULE CONFIG …``, made by :meth:`build_parser`.

    Parameters
    ----------
    module_name
        Name of the module that is run.
    package
        Dotted name of the package that it is in.
    description
        What the module does, for its help.
    """

    # build_parser() makes it, which whoever makes an interface calls next
    parser: argparse.ArgumentParser = None  # type: ignore[assignment]

    def __init__(
        self, module_name: str, package: str = "nowcast", description: str | None = None
    ) -> None:
        self.module_name = module_name
        self.package = package
        self.description = description

    def build_parser(self, add_help: bool = True) -> argparse.ArgumentParser:
        """Make the parser, with the configuration file as its first argument."""
        self.parser = argparse.ArgumentParser(
            prog=f"python -m {self.package}.{self.module_name}",
            description=self.description,
            add_help=add_help,
        )
        self.parser.add_argument("config_file", help="path of the system's nowcast.yaml")
        return self.parser

    def add_argument(self, *args: Any, **kwargs: Any) -> argparse.Action:
        """Add an argument; takes what :meth:`argparse.ArgumentParser.add_argument` takes."""
        return self.parser.add_argument(*args, **kwargs)

    def add_date_option(
        self,
        name: str,
        default: arrow.Arrow,
        help: str,  # noqa: A002 (argparse's own word)
    ) -> argparse.Action:
        """Add an option that takes a date, ``YYYY-MM-DD``, and gives an Arrow in UTC."""
        return self.parser.add_argument(
            name,
            type=self.arrow_date,
            default=default,
            help=f"{help} Use YYYY-MM-DD format. Defaults to {default.format('YYYY-MM-DD')}.",
        )

    @staticmethod
    def arrow_date(string: str) -> arrow.Arrow:
        """Read ``YYYY-MM-DD`` as midnight, UTC. Raises argparse.ArgumentTypeError."""
        import arrow  # 30 ms that only workers with dates need

        try:
            return arrow.get(string, "YYYY-MM-DD")
        except (arrow.parser.ParserError, ValueError):
            raise argparse.ArgumentTypeError(
                f"{string!r} is not a date of the form YYYY-MM-DD, as 2026-11-22"
            ) from None
