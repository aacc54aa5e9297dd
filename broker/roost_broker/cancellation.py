"""Waiting with a bound, and ending tasks, so that a cancellation always arrives.

`asyncio.wait_for` of Python 3.11, which is Debian 12's, loses a cancellation that comes in the moment in which what is
waited for is done: it returns the result, and whoever cancelled waits for ever for a task that goes on (cpython#86296;
3.12 built it anew upon `asyncio.timeout`). A follower of a busy stream meets that moment sooner or later.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

T = TypeVar("T")

_AGAIN_S = 10.0


async def within(work: Awaitable[T], seconds: float | None) -> T:
    """`work`, cancelled after so many seconds; None: it has all the time. Raises `TimeoutError`."""
    async with asyncio.timeout(seconds):
        return await work


async def cancel_and_wait(*tasks: "asyncio.Future[Any]", again_s: float = _AGAIN_S) -> None:
    """Cancel these and wait until they are over, however they end.

    A task is cancelled again every `again_s`: libraries wait by `asyncio.wait_for` too, and what they lose is not to
    keep a process from ending.
    """
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=again_s)
    await asyncio.gather(*tasks, return_exceptions=True)  # looks at what they raised, so that nobody is warned
