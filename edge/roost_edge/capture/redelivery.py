"""Which accepted requests are published when: the pure core of "asked until archived and answered".

1. A request is open until both the decoy's receipt and an official result have been seen.
2. An open request is published when it is accepted, again when the broker is back (it may have forgotten everything),
   and again when it has been open for long since; the pause doubles up to a ceiling. After a reconnect it begins
   short: the others may not be back yet when we are, and a broker that forgot them takes a request for nobody.
3. Nothing is published while the broker is away, nor while an earlier publication of the same request is on its way:
   the bus sends that one itself.
4. At most `republish_at_once` repeated publications are on their way at a time, who has waited longest first. First
   ones are not held up by them.

Not done here: bytes, topics, the log.
"""

from dataclasses import dataclass, field
from typing import TypeAlias

from roost_broker.clock import MS, SECOND
from roost_edge.capture.settings import CaptureSettings

_SOON_NS = 250 * MS
"""First pause after a reconnect."""
_SETTLING_NS = 2 * SECOND
"""How long after a reconnect a newly accepted request begins with it too."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A request is in the log; `attempts` publications were made before (by an earlier process)."""

    request_id: str
    attempts: int = 0
    receipt: bool = False
    result: bool = False


@dataclass(frozen=True, slots=True)
class PublicationEnded:
    """The broker has taken a publication over, or it failed."""

    request_id: str


@dataclass(frozen=True, slots=True)
class ReceiptSeen:
    """The decoy has archived it, and the log says so."""

    request_id: str


@dataclass(frozen=True, slots=True)
class ResultSeen:
    """It is answered, and the log says so."""

    request_id: str


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """The broker is reachable again, or no more."""

    up: bool


@dataclass(frozen=True, slots=True)
class Publish:
    """Publish this request; 1 is the first attempt."""

    request_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Closed:
    """Archived and answered."""

    request_id: str
    attempts: int = field(default=1, compare=False)


Event: TypeAlias = Accepted | PublicationEnded | ReceiptSeen | ResultSeen | LinkChanged
Action: TypeAlias = Publish | Closed


@dataclass(slots=True)
class _Open:
    attempts: int
    receipt: bool
    result: bool
    due_ns: int
    pause_ns: int
    on_its_way: bool = False


class Redelivery:
    """See the module's rules. Bounded by whoever accepts."""

    def __init__(self, settings: CaptureSettings) -> None:
        self._settings = settings
        self._open: dict[str, _Open] = {}
        self._up = False
        self._connected_before = False
        self._settled_ns = 0

    def __len__(self) -> int:
        """Open requests."""
        return len(self._open)

    def deadline(self) -> int | None:
        """When the next publication is due; None while nothing can be done before an event."""
        if not self._up or self._repeats_on_their_way() >= self._settings.republish_at_once:
            return None
        return min((entry.due_ns for entry in self._open.values() if not entry.on_its_way), default=None)

    def expire(self, now: int) -> tuple[Action, ...]:
        """Everything that is due."""
        if not self._up:
            return ()
        free = self._settings.republish_at_once - self._repeats_on_their_way()
        actions: list[Action] = []
        due = [(name, entry) for name, entry in self._open.items() if not entry.on_its_way and now >= entry.due_ns]
        # Who has waited longest is first: in the order of the log the first few would be asked again and again.
        for request_id, entry in sorted(due, key=lambda one: one[1].due_ns):
            if entry.attempts:
                if free <= 0:
                    continue
                free -= 1
            entry.attempts += 1
            entry.on_its_way = True
            entry.due_ns = now + entry.pause_ns
            entry.pause_ns = min(2 * entry.pause_ns, self._settings.republish_max_ms * MS)
            actions.append(Publish(request_id, entry.attempts))
        return tuple(actions)

    def handle(self, event: Event, now: int) -> tuple[Action, ...]:
        """Take note of an event. What is unknown or repeated changes nothing: the log names and counts those."""
        match event:
            case Accepted(request_id, attempts, receipt, result):
                if request_id not in self._open and not (receipt and result):
                    self._open[request_id] = _Open(attempts, receipt, result, now, self._first_pause(now))
                return self.expire(now)
            case PublicationEnded(request_id):
                if (entry := self._open.get(request_id)) is not None:
                    entry.on_its_way = False
                return self.expire(now)
            case ReceiptSeen(request_id):
                if (entry := self._open.get(request_id)) is not None:
                    entry.receipt = True
                return self._close(request_id)
            case ResultSeen(request_id):
                if (entry := self._open.get(request_id)) is not None:
                    entry.result = True
                return self._close(request_id)
            case LinkChanged(up):
                self._up = up
                if up:
                    if self._connected_before:
                        self._settled_ns = now + _SETTLING_NS
                    self._connected_before = True
                    for entry in self._open.values():
                        entry.due_ns, entry.pause_ns = now, self._first_pause(now)
                return self.expire(now)

    def _first_pause(self, now: int) -> int:
        usual = self._settings.republish_after_ms * MS
        return min(usual, _SOON_NS) if now < self._settled_ns else usual

    def _repeats_on_their_way(self) -> int:
        return sum(entry.on_its_way and entry.attempts > 1 for entry in self._open.values())

    def _close(self, request_id: str) -> tuple[Action, ...]:
        entry = self._open.get(request_id)
        if entry is None or not (entry.receipt and entry.result):
            return ()
        del self._open[request_id]
        return (Closed(request_id, entry.attempts),)
