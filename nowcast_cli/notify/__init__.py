"""Tells people what went wrong: follows the journal and the daemons' health, and posts.

A process of its own, ``python -m nowcast_cli.notify``, which the manager starts where the
configuration has ``notify`` or ``slack notifications``. It may be killed at any instant.
"""
