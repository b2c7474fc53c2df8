"""The command ``nowcast``: one module a command or command group; nothing imports this room."""
