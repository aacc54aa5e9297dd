"""Who waits for which result: the pure core of the proxy.

1. Each waiter gets exactly one of `Give` (its result), `GiveUp` (its time is over) and `Refuse` (no room), or leaves.
2. Several may wait for the same request (a POST repeated with the same key): it is published once, all are told.
3. A result nobody waits for is called by its name: repeated, late or unknown. Nothing is kept for it.
4. What is open is published again, with the next attempt, when the connection to the broker is back.
"""

import heapq
from collections import OrderedDict
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct


class Asked(Struct, frozen=True):
    """`waiter` (a number of its own) wants the result of a request, no later than `deadline_ns`."""

    request_id: str
    waiter: int
    deadline_ns: int


class ResultArrived(Struct, frozen=True):
    """A result came to the proxy's return address."""

    request_id: str
    result: object


class Left(Struct, frozen=True):
    """A waiter is gone: its connection was closed."""

    waiter: int


class Reconnected(Struct, frozen=True):
    """The broker is back; it may have forgotten what it was given."""


Event: TypeAlias = Asked | ResultArrived | Left | Reconnected


class Kind(StrEnum):
    """What happened, where nothing else tells."""

    JOINED = "joined"
    FULL = "full"
    LEFT = "left"
    UNKNOWN_WAITER = "unknown-waiter"
    REPEATED_RESULT = "repeated-result"
    LATE_RESULT = "late-result"
    UNKNOWN_RESULT = "unknown-result"


class Publish(Struct, frozen=True):
    """Put the request on `raw`; the first attempt is 1."""

    request_id: str
    attempt: int


class Give(Struct, frozen=True):
    """This is the waiter's result."""

    waiter: int
    result: object


class GiveUp(Struct, frozen=True):
    """Tell the waiter that there was no result in time."""

    waiter: int


class Refuse(Struct, frozen=True):
    """Tell the waiter that too many wait already."""

    waiter: int


class Noted(Struct, frozen=True):
    """To be counted."""

    kind: Kind
    request_id: str


Action: TypeAlias = Publish | Give | GiveUp | Refuse | Noted


class _Past(Struct):
    attempts: int = 0
    answered: bool = False


class Waiting:
    """See the module. `max_waiting` bounds the waiters, `remember` the ended requests kept in mind."""

    def __init__(self, *, max_waiting: int, remember: int) -> None:
        self._max_waiting = max_waiting
        self._remember = remember
        self._open: dict[str, set[int]] = {}
        self._waiters: dict[int, str] = {}
        self._due: list[tuple[int, int]] = []
        self._past: OrderedDict[str, _Past] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiters)

    @property
    def full(self) -> bool:
        """Whether the next waiter would be refused."""
        return len(self._waiters) >= self._max_waiting

    def is_open(self, request_id: str) -> bool:
        """Whether anybody waits for this request."""
        return request_id in self._open

    def deadline(self) -> int | None:
        """When to call `expire` next; monotonic nanoseconds."""
        while self._due and self._due[0][1] not in self._waiters:
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def expire(self, now: int) -> tuple[Action, ...]:
        """Those whose time is over. Call it on every wake, before `handle`."""
        actions: list[Action] = []
        while self._due and self._due[0][0] <= now:
            _, waiter = heapq.heappop(self._due)
            if waiter in self._waiters:
                self._forget(waiter)
                actions.append(GiveUp(waiter))
        return tuple(actions)

    def handle(self, event: Event, now: int) -> tuple[Action, ...]:
        """What is to be done about it."""
        del now  # everything that depends on the time is in `expire`
        if isinstance(event, Asked):
            return self._asked(event)
        if isinstance(event, ResultArrived):
            return self._result(event)
        if isinstance(event, Left):
            return self._left(event)
        return tuple(self._publish(request_id) for request_id in self._open)

    def _asked(self, event: Asked) -> tuple[Action, ...]:
        if self.full:
            return Refuse(event.waiter), Noted(Kind.FULL, event.request_id)
        self._waiters[event.waiter] = event.request_id
        heapq.heappush(self._due, (event.deadline_ns, event.waiter))
        others = self._open.get(event.request_id)
        if others is not None:
            others.add(event.waiter)
            return (Noted(Kind.JOINED, event.request_id),)
        self._open[event.request_id] = {event.waiter}
        return (self._publish(event.request_id),)

    def _publish(self, request_id: str) -> Publish:
        past = self._past.pop(request_id, None) or _Past()
        past.attempts += 1
        self._past[request_id] = past
        if len(self._past) > self._remember:
            self._past.popitem(last=False)
        return Publish(request_id, past.attempts)

    def _result(self, event: ResultArrived) -> tuple[Action, ...]:
        waiters = self._open.pop(event.request_id, None)
        past = self._past.get(event.request_id)
        if waiters is None:
            if past is None:
                return (Noted(Kind.UNKNOWN_RESULT, event.request_id),)
            kind = Kind.REPEATED_RESULT if past.answered else Kind.LATE_RESULT
            past.answered = True
            return (Noted(kind, event.request_id),)
        if past is not None:
            past.answered = True
        for waiter in waiters:
            del self._waiters[waiter]
        self._tidy()
        return tuple(Give(waiter, event.result) for waiter in sorted(waiters))

    def _left(self, event: Left) -> tuple[Action, ...]:
        request_id = self._waiters.get(event.waiter)
        if request_id is None:
            return (Noted(Kind.UNKNOWN_WAITER, ""),)
        self._forget(event.waiter)
        return (Noted(Kind.LEFT, request_id),)

    def _forget(self, waiter: int) -> None:
        request_id = self._waiters.pop(waiter)
        self._open[request_id].discard(waiter)
        if not self._open[request_id]:
            del self._open[request_id]
        self._tidy()

    def _tidy(self) -> None:
        """Waiters that ended early leave their moment behind; it must not be kept for long deadlines' sake."""
        if len(self._due) > 2 * len(self._waiters) + 64:
            self._due = [entry for entry in self._due if entry[1] in self._waiters]
            heapq.heapify(self._due)
