"""The message, where NEMO_Nowcast has it."""

from nowcast_cli.messages.message import Message

__all__ = ["Message"]
