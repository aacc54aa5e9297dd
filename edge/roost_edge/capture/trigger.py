"""When is a picture asked about: the pure core between motion and requests.

An event begins with the first moving frame and ends when nothing has moved for a while. The frame that began it is the
first one asked about (promise P3); further ones follow at an interval, up to a number. Times are the pictures' own
(`Frame.media_ns`), so a film read at ten times its speed gives the same events.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from roost_broker.clock import MS
from roost_edge.capture.settings import CaptureSettings

Why: TypeAlias = Literal["interval", "event-limit", "backpressure"]


@dataclass(frozen=True, slots=True)
class Began:
    """Something moves."""


@dataclass(frozen=True, slots=True)
class Take:
    """Ask about this very frame; `nth` of its event."""

    nth: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something moves in this frame, and it is not asked about."""

    why: Why


@dataclass(frozen=True, slots=True)
class Ended:
    """Nothing moves any more."""


Action: TypeAlias = Began | Take | Skipped | Ended


@dataclass(frozen=True, slots=True)
class FrameJudged:
    """One frame: whether something moves, and whether another request may be opened."""

    moving: bool
    room: bool = True


class Trigger:
    """Feed it every frame; call `expire` before `handle`."""

    def __init__(self, settings: CaptureSettings) -> None:
        self._settings = settings
        self._taken = 0
        self._last_taken_ns = 0
        self._last_moving_ns: int | None = None

    @property
    def in_event(self) -> bool:
        """Whether an event is going on."""
        return self._last_moving_ns is not None

    def deadline(self) -> int | None:
        """When the event ends if nothing moves until then."""
        if self._last_moving_ns is None:
            return None
        return self._last_moving_ns + self._settings.event_quiet_ms * MS

    def expire(self, now: int) -> tuple[Action, ...]:
        """End an event in which nothing has moved for long enough."""
        due = self.deadline()
        return self.finish() if due is not None and now >= due else ()

    def finish(self) -> tuple[Action, ...]:
        """End the event whatever moves: there are no more frames."""
        if not self.in_event:
            return ()
        self._last_moving_ns = None
        return (Ended(),)

    def handle(self, event: FrameJudged, now: int) -> tuple[Action, ...]:
        """Decide about one frame."""
        if not event.moving:
            return ()
        begins = not self.in_event
        self._last_moving_ns = now
        if begins:
            self._taken = 0
        return (*((Began(),) if begins else ()), self._decide(event.room, now))

    def _decide(self, room: bool, now: int) -> Action:
        if self._taken and now - self._last_taken_ns < self._settings.interval_ms * MS:
            return Skipped("interval")
        if self._taken >= self._settings.max_per_event:
            return Skipped("event-limit")
        if not room:
            return Skipped("backpressure")
        self._taken += 1
        self._last_taken_ns = now
        return Take(self._taken)
