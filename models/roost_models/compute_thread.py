"""The one thread in which a model computes, so that the loop can decline at once meanwhile.

A daemon thread, not an executor's: executors are waited for when the process ends, and a model can hang for ever.
"""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class ComputeThread:
    """Runs calls in order. Bounded by its user: a scaffold has one evaluation under way."""

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def call(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        """Run `work`; the future is done on this loop. Cancelling it does not stop the work."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def run() -> None:
            try:
                value = work()
            except Exception as error:  # noqa: BLE001 — it belongs to whoever waits
                _post(loop, lambda error=error: None if future.done() else future.set_exception(error))  # type: ignore[misc] # mypy cannot infer a lambda's default
            else:
                _post(loop, lambda: None if future.done() else future.set_result(value))

        self._calls.put(run)
        return future

    def end(self) -> None:
        """Let the thread end after its present call; it is not waited for."""
        self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


def _post(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(callback)
