"""supervisord as it is, but quick to bring a daemon back: ``python -m`` runs it.

Its loop looks for ended children once a second, and starts them again a second later. A chain of
workers would stand still for both, so here it looks more often; idle it still costs next to
nothing.
"""

from __future__ import annotations

from typing import Any

from supervisor import poller, supervisord  # type: ignore[import-untyped]

LOOK_EVERY = 0.25  # seconds

_Poller: Any = poller.Poller


class _PromptPoller(_Poller):  # type: ignore[misc]
    def poll(self, timeout: float) -> Any:
        return super().poll(min(timeout, LOOK_EVERY))


def main() -> None:
    """Run supervisord with the arguments of the process."""
    poller.Poller = _PromptPoller
    supervisord.main()


if __name__ == "__main__":
    main()
