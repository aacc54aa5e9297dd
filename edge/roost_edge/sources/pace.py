"""Pacing: which frame is due now, by the clock that the source was given."""

import threading

from roost_broker.clock import SECOND, Clock

_LOOK_AGAIN_S = 0.05
"""A clock that is not the machine's (simulation) moves without telling; so look at it this often."""


class Pace:
    """Frame `n` is due `n / fps` seconds after the first. Whoever is late skips rather than lags behind."""

    def __init__(self, clock: Clock, fps: float, *, realtime: bool) -> None:
        self._clock = clock
        self._period_ns = round(SECOND / fps)
        self._realtime = realtime
        self._started_ns: int | None = None
        self._stopped = threading.Event()

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped.is_set()

    def start(self) -> None:
        """Begin: frame 0 is due now, at the first `wait`."""
        self._started_ns = None
        self._stopped.clear()

    def stop(self) -> None:
        """End every waiting `wait`; safe from any thread."""
        self._stopped.set()

    def wait(self, index: int, *, skip: bool = True) -> int | None:
        """Block until frame `index` is due; returns the index to show (later than asked when late and `skip`).

        None when stopped.
        """
        if self.stopped:
            return None
        if not self._realtime:
            return index
        if self._started_ns is None:
            self._started_ns = self._clock.monotonic_ns() - index * self._period_ns
        due = self._started_ns + index * self._period_ns
        while (left := due - self._clock.monotonic_ns()) > 0:
            if self._stopped.wait(min(left / SECOND, _LOOK_AGAIN_S)):
                return None
        if skip:
            return max(index, (self._clock.monotonic_ns() - self._started_ns) // self._period_ns)
        return index
