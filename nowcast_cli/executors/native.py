"""What the system beneath an executor says of a job: its name and state there, and its verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Native:
    """A job as the system beneath calls it.

    Parameters
    ----------
    id
        Its id there: a job number of a batch system, a host.
    state
        Its state there, in the words of that system, such as ``PENDING``.
    reason
        Why it is in that state, such as ``Resources``; empty for none.
    unknown
        Whether the system could not be asked, so that this is the last that was known.
    """

    id: str
    state: str
    reason: str = ""
    unknown: bool = False

    @property
    def words(self) -> str:
        """The state as people read it: ``PENDING (Resources)``, ``RUNNING, as last known``."""
        state = f"{self.state} ({self.reason})" if self.reason else self.state
        return f"{state}, as last known" if self.unknown else state

    def to_json(self) -> dict[str, Any]:
        """Give it as it is stored and shown."""
        return {
            "id": self.id,
            "state": self.state,
            "reason": self.reason,
            "unknown": self.unknown,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Native:
        """Read what :meth:`to_json` gave. Raises KeyError."""
        return cls(
            id=str(value["id"]),
            state=str(value["state"]),
            reason=str(value.get("reason", "")),
            unknown=bool(value.get("unknown", False)),
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a job ended that could not tell it itself, in a sentence for people.

    ``crashed`` and ``timed out`` are what the system beneath knows of its end; ``lost`` is that
    its processes have gone for certain, and nobody knows more.
    """

    kind: Literal["lost", "crashed", "timed out"]
    reason: str


GONE = Verdict("lost", "its process and its runner have gone without a word")
