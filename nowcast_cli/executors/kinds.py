"""The kinds of executors that run jobs elsewhere: who makes one, and who tells how it is.

Whatever a kind needs is imported when the first executor of it is: most systems have none.
"""

from __future__ import annotations

from collections.abc import Mapping

from nowcast_cli.executors.remote_executor import Maker, RemoteExecutor, Surroundings, Target


def _ssh(target: Target, around: Surroundings) -> RemoteExecutor:
    from nowcast_cli.executors.ssh import SshExecutor

    return SshExecutor(target, around.paths.run, keys=around.keys)


MAKERS: Mapping[str, Maker] = {"ssh": _ssh}
