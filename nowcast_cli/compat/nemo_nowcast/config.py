"""The configuration, where NEMO_Nowcast has it."""

from nowcast_cli.config.config import Config

__all__ = ["Config"]
