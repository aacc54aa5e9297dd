"""Which requests are asked again for the gateway's sake: the pure core of "safe on its way to the centre".

A broker that is killed after the decoy has an input and before the gateway has it leaves a request that is archived
and answered here and missing at the centre. So where the device has a gateway that gives receipts:

1. A request whose gateway's receipt was not seen stays *behind* when it is closed. It takes no room of open ones: a
   gateway that is off holds up no capture.
2. What is behind is published again when the gateway says that it is ready, which it says at every connection and
   every few seconds: never while it is off, and each not before its own pause, which doubles, is over.
3. At most `republish_at_once` of them are on their way at a time.
4. At most `max_unforwarded` are remembered; beyond it the oldest are given up for the centre. The archive has them.
"""

from dataclasses import dataclass
from typing import TypeAlias

from roost_broker.clock import MS
from roost_edge.capture.redelivery import Publish
from roost_edge.capture.settings import CaptureSettings


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing more is to be done for this request: forget it. `given_up`: without the gateway's receipt."""

    request_id: str
    given_up: bool = False


Action: TypeAlias = Publish | Done


@dataclass(slots=True)
class _Behind:
    attempts: int
    due_ns: int
    pause_ns: int
    on_its_way: bool = False


class Forwarding:
    """See the module's rules. Without a gateway (`expected` false) every request is done when it is closed."""

    def __init__(self, settings: CaptureSettings, *, expected: bool) -> None:
        self._settings = settings
        self.expected = expected
        self._awaited: set[str] = set()  # open ones; bounded by whoever accepts
        self._behind: dict[str, _Behind] = {}
        self._ready_ns = -1

    def __len__(self) -> int:
        """Requests that are closed here and not known to be on their way to the centre."""
        return len(self._behind)

    def accepted(self, request_id: str) -> None:
        """It is open, and the gateway has not told of it."""
        if self.expected:
            self._awaited.add(request_id)

    def closed(self, request_id: str, attempts: int, now: int) -> tuple[Action, ...]:
        """It is archived and answered here."""
        if request_id not in self._awaited:
            return (Done(request_id),)
        self._awaited.discard(request_id)
        pause = self._settings.republish_after_ms * MS
        self._behind[request_id] = _Behind(attempts, now + pause, pause)
        if len(self._behind) <= self._settings.max_unforwarded:
            return ()
        oldest = next(iter(self._behind))
        del self._behind[oldest]
        return (Done(oldest, given_up=True),)

    def receipt(self, request_id: str) -> tuple[Action, ...]:
        """The gateway has it safely."""
        self._awaited.discard(request_id)
        return () if self._behind.pop(request_id, None) is None else (Done(request_id),)

    def gateway_ready(self, now: int) -> tuple[Action, ...]:
        """The gateway listens at this moment."""
        self._ready_ns = now
        return self._due(now)

    def ended(self, request_id: str, now: int) -> tuple[Action, ...]:
        """A publication was taken over by the broker, or failed."""
        if (entry := self._behind.get(request_id)) is not None:
            entry.on_its_way = False
        return self._due(now)

    def _due(self, now: int) -> tuple[Action, ...]:
        free = self._settings.republish_at_once - sum(entry.on_its_way for entry in self._behind.values())
        actions: list[Action] = []
        for request_id, entry in self._behind.items():
            if free <= 0:
                break
            if entry.on_its_way or entry.due_ns > self._ready_ns:
                continue
            free -= 1
            entry.attempts += 1
            entry.on_its_way = True
            entry.due_ns = now + entry.pause_ns
            entry.pause_ns = min(2 * entry.pause_ns, self._settings.republish_max_ms * MS)
            actions.append(Publish(request_id, entry.attempts))
        return tuple(actions)
