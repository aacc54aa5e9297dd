"""A model with internal state observes every request of its stream, in order, whatever then becomes of the request.

The input is acknowledged when its last word has reached the broker *and* it was observed: what a killed process had
not observed is delivered again, and a model that computes for long holds the stream back instead of a queue that grows.
"""

import asyncio
import dataclasses
import logging
from collections.abc import Callable
from functools import partial

from roost_broker.bus import Delivery
from roost_broker.messages import Request
from roost_broker.worker import Worker
from roost_models.internal_state.rebuild import Restored
from roost_models.internal_state.remembering import Remembering

_log = logging.getLogger(__name__)
_TRIES = 50
_PAUSE_S = 0.1
_CLOSE_S = 2.0


class Observing:
    """Stands between the input and the compute thread. Until `open` requests wait for their turn."""

    def __init__(self, thread: Worker, now: Callable[[], int]) -> None:
        self._thread = thread
        self._now = now
        self._under_way = 0
        self.busy_since: int | None = None
        """Since when the thread has observed nothing though it should, monotonic ns."""
        self._remembering: Remembering | None = None
        self._before: list[tuple[Request, Callable[[], None]]] = []  # bounded: none of them is acknowledged

    def take(self, request: Request, delivery: Delivery) -> Delivery:
        """Have a request observed after all before it; the delivery to go on with.

        One that is delivered again too: it counts once, and must not be acknowledged before that.
        """
        both = _Both(delivery)
        if self._remembering is None:
            self._before.append((request, both.half))
        else:
            self._observe(self._remembering, request, both.half)
        return dataclasses.replace(delivery, _ack=both.half)

    async def open(self, remembering: Remembering) -> Restored:
        """Bring the state up to date, then let it observe what waited. The decoy may be a moment behind."""
        rolled, from_snapshot = 0, False
        for _ in range(_TRIES):
            restored = await self._thread.call(remembering.restore)
            rolled += restored.rolled_forward
            from_snapshot |= restored.from_snapshot
            if not restored.behind:
                break
            await asyncio.sleep(_PAUSE_S)
        else:
            _log.warning("The archive does not hold what this model had observed; its internal state may lack some.")
        self._remembering = remembering
        before, self._before = self._before, []
        for request, half in before:
            self._observe(remembering, request, half)
        return Restored(from_snapshot, rolled, restored.behind)

    async def close(self) -> None:
        """Save. Bounded: a model that hangs must not keep its process."""
        if self._remembering is None:
            return
        closing = self._thread.call(self._remembering.close)
        await asyncio.wait({closing}, timeout=_CLOSE_S)

    def _observe(self, remembering: Remembering, request: Request, half: Callable[[], None]) -> None:
        self._under_way += 1
        if self.busy_since is None:
            self.busy_since = self._now()
        self._thread.call(remembering.observe, request).add_done_callback(partial(self._done, half))

    def _done(self, half: Callable[[], None], observed: "asyncio.Future[None]") -> None:
        self._under_way -= 1
        self.busy_since = self._now() if self._under_way else None
        if observed.cancelled():
            return
        error = observed.exception()
        if error is not None:  # the disk's, for the author's are caught: better an answer without a note than none
            _log.error("A request could not be observed.", exc_info=error)
        half()


class _Both:
    """Acknowledges a delivery at the second call."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._left = 2

    def half(self) -> None:
        """The last word has arrived, or the request was observed."""
        self._left -= 1
        if self._left == 0:
            self._delivery.ack()
