"""An asyncio event loop whose time is a `VirtualClock`: waiting costs nothing, and nothing is ever early or late.

When no callback is ready the loop jumps to the next timer. Everything that runs on it must be free of threads and
sockets, as the memory bus is.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from roost_broker.clock import VirtualClock

T = TypeVar("T")


class _JumpingSelector(selectors.SelectSelector):
    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("The simulation stands still: nobody waits for time or for anybody.")
        if not ready and timeout:
            self._clock.advance(int(timeout * 1e9) + 1)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its `time()` is the clock's monotonic time in seconds."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(_JumpingSelector(clock))
        self._virtual = clock

    def time(self) -> float:
        return self._virtual.monotonic_ns() / 1e9


def simulate(work: Coroutine[Any, Any, T], clock: VirtualClock) -> T:
    """Run one coroutine to its end in virtual time."""
    loop = VirtualLoop(clock)
    try:
        return loop.run_until_complete(work)
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
