"""Keeps the daemons of a system up: supervisord on a generated configuration, and what asks it.

Used by name: ``supervisor.control`` starts and stops, ``supervisor.observe`` only looks and is
quick. Who may run is in ``supervisor.daemons``; the rest are their parts.
"""
