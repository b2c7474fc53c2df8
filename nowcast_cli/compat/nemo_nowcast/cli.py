"""The command line of workers, where NEMO_Nowcast has it."""

from nowcast_cli.worker.command_line import CommandLineInterface

__all__ = ["CommandLineInterface"]
