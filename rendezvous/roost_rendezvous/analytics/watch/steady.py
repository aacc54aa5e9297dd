"""The time that detectors live in: it runs like the machine's own clock, and survives restarts. Pure.

The wall clock of a device may be set by a day while it works (S4), and a device without a battery begins in the past.
So between restarts time is that of the machine's own clock, laid on the wall clock once. What the wall clock does is
told (`look`), not followed; only the first credible time after a start without one is. A new process of the same boot
goes on where the last one was; after a reboot the wall clock counts, but never to before what was already seen.
"""

from typing import Any

import msgspec

SECOND = 1_000_000_000
STEP_NS = 2 * SECOND
"""A smaller difference is nothing that anybody set."""


class _Kept(msgspec.Struct, array_like=True):
    boot: str
    base: int
    """What to add to the machine's clock of that boot."""
    reached: int
    told: int


class Steady:
    """`boot` names this boot of this machine; times in nanoseconds."""

    def __init__(self, boot: str, monotonic: int, wall: int, *, credible: bool, kept: Any = None) -> None:
        self._boot = boot
        self._credible = credible
        self._told = 0
        """How far the wall clock was away when it was last told."""
        self.away = 0
        """So long nobody watched, when this was made: the device was off."""
        last = msgspec.convert(kept, _Kept) if kept is not None else None
        if last is not None and last.boot == boot:
            self._base, self._reached, self._told = last.base, last.reached, last.told
            return
        begin = wall if last is None else max(wall, last.reached)
        self._base, self._reached = begin - monotonic, begin
        self.away = begin - last.reached if last is not None else 0

    def now(self, monotonic: int) -> int:
        """Steady time; it never goes back."""
        self._reached = max(self._reached, monotonic + self._base)
        return self._reached

    def of(self, wall: int, monotonic: int, *, within: int) -> int:
        """Steady time of something that says its wall time itself, such as a message that waited at the broker.

        What lies in the future, or longer ago than `within`, is not believed: it is now.
        """
        now = self.now(monotonic)
        then = wall - self._told
        return then if now - within <= then <= now else now

    def look(self, monotonic: int, wall: int, *, credible: bool) -> int:
        """By how much the wall clock was set since the last look; 0: it was not."""
        now = self.now(monotonic)
        if credible and not self._credible:  # the clock of a board without a battery is set for the first time
            self._credible = True
            self.away += max(0, wall - now)
            self._base, self._told = max(self._base, wall - monotonic), 0
            return 0
        by = wall - now - self._told
        if abs(by) < STEP_NS:
            return 0
        self._told += by
        return by

    def snapshot(self) -> Any:
        """Plain values."""
        return msgspec.to_builtins(_Kept(self._boot, self._base, self._reached, self._told))
