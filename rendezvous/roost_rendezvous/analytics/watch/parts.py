"""What the watch gives out, who keeps its windows, and the one signal that it makes itself: the clock."""

from typing import Any, Final, Protocol

import msgspec

from roost_rendezvous.analytics.alarms.episode import Episode, Step
from roost_rendezvous.analytics.reading import Reading, Signal
from roost_rendezvous.analytics.rows import Row
from roost_rendezvous.analytics.watch.observed import Asked, Decided

CLOCK: Final = Signal(task="", kind="health", subject="clock", part="set", side="operational")


class Told(msgspec.Struct, frozen=True):
    """Something to tell people."""

    key: str
    step: Step
    episode: Episode


class Windows(Protocol):
    """Who keeps distributions by window (`windowing`)."""

    def row(self, row: Row) -> None:
        """A row has settled."""
        ...

    def observed(self, one: Asked | Decided) -> None:
        """A request came, or was answered."""
        ...

    def look(self, now: int) -> None:
        """Time has passed."""
        ...

    def take(self) -> list[Any]:
        """Windows that are closed, as plain values; they are forgotten."""
        ...

    def snapshot(self) -> Any:
        """Plain values: the windows that are open."""
        ...

    def restore(self, kept: Any) -> None:
        """What `snapshot` gave."""
        ...


def clock_reading(by: float, now: int) -> Reading:
    """By how many seconds the clock was set since the last look."""
    said = f"the clock was set by {by:.0f} s" if by else "the clock was not set"
    return Reading(signal=CLOCK, at=now, surprise=by, normal=0.0, now=by, unit="s", sentence=said)
