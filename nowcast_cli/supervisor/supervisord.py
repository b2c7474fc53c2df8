"""supervisord as it is, but quick to bring a daemon back: ``python -m`` runs it.

Its loop looks for ended children once a second, and starts them again a second later. A chain of
workers would stand still for both, so here it looks more often; idle it still costs next to
nothing. Nor does it cry out over what is meant to be so.
"""

from __future__ import annotations

from typing import Any

from supervisor import options, poller, supervisord  # type: ignore[import-untyped]

LOOK_EVERY = 0.25  # seconds

_Poller: Any = poller.Poller
_ServerOptions: Any = options.ServerOptions


class _PromptPoller(_Poller):  # type: ignore[misc]
    def poll(self, timeout: float) -> Any:
        return super().poll(min(timeout, LOOK_EVERY))


class _CalmOptions(_ServerOptions):  # type: ignore[misc]
    def set_uid_or_exit(self) -> None:
        """Stay who started it, root too: nothing asks for another user."""

    def make_http_servers(self, supervisor: Any) -> Any:
        """Ask for no password, silently: only its user can reach the socket."""
        critical, self.logger.critical = self.logger.critical, self.logger.debug
        try:
            return super().make_http_servers(supervisor)
        finally:
            self.logger.critical = critical


def main() -> None:
    """Run supervisord with the arguments of the process."""
    poller.Poller = _PromptPoller
    supervisord.ServerOptions = _CalmOptions
    supervisord.main()


if __name__ == "__main__":
    main()
