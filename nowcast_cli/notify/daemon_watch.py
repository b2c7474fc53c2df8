"""Which daemons have gone: those that answered on their health socket, and no longer do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

GRACE = 15.0  # seconds; a restart is no news


class DaemonWatch:
    """Looks at the health of daemons.

    A daemon that has never been seen is not missed: the system may do without it.

    Parameters
    ----------
    names
        The daemons that the configuration asks for.
    answers
        Says whether the daemon of a name answers now.
    seen, down
        Daemons that have answered before, and those of them that are told as down.
    """

    def __init__(
        self,
        names: Sequence[str],
        answers: Callable[[str], bool],
        *,
        seen: Collection[str] = (),
        down: Collection[str] = (),
    ) -> None:
        self._names = names
        self._answers = answers
        self.seen = frozenset(seen) & frozenset(names)
        self.down = frozenset(down) & frozenset(names)
        self._silent_since: dict[str, float] = {}

    def look(self, now: float) -> list[tuple[str, float]]:
        """Give the daemons that are found to be down, with the seconds of silence, once each.

        ``now`` is of a clock that only goes on.
        """
        found = []
        for name in self._names:
            if self._answers(name):
                self.seen |= {name}
                self.down -= {name}
                self._silent_since.pop(name, None)
            elif name in self.seen:
                silence = now - self._silent_since.setdefault(name, now)
                if silence >= GRACE and name not in self.down:
                    self.down |= {name}
                    found.append((name, silence))
        return found
