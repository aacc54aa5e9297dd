"""One thread that runs blocking calls in order, for a shell on an event loop.

Not `asyncio.to_thread`: its threads are waited for when the process ends, and a camera or a model can hang for ever.
"""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Worker:
    """A daemon thread. Whoever calls bounds how much waits: each call is awaited or counted by its caller."""

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def call(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "asyncio.Future[T]":
        """Run `work` after everything asked for earlier. Cancelling the future does not stop the work."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def run() -> None:
            try:
                value = work(*args, **kwargs)
            except StopIteration as error:  # the one exception that a future refuses to hold
                stopped = RuntimeError("the work raised StopIteration")
                stopped.__cause__ = error
                _tell(loop, _fail, future, stopped)
            except BaseException as error:  # noqa: BLE001 - whatever it was goes to whoever waits
                _tell(loop, _fail, future, error)
            else:
                _tell(loop, _finish, future, value)

        self._calls.put(run)
        return future

    def stop(self) -> None:
        """End the thread after what is queued. It is not waited for."""
        self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


def _tell(loop: asyncio.AbstractEventLoop, how: Callable[..., None], *args: Any) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(how, *args)


def _finish(future: "asyncio.Future[T]", value: T) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: "asyncio.Future[Any]", error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
