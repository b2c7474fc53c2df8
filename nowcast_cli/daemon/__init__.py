"""What every daemon of a system shares: one of a name, its signals, its health, its start.

Imported by name from the modules (``daemon.health``, ``daemon.signals``, ``daemon.lock``,
``daemon.main``), so that a command that only asks for health loads nothing else.
"""
