"""The newest requests' messages in memory, bounded in bytes: traces, results and scores, joined by request. Pure.

Rules:

1. A message counts once, by its id. A second copy is `DUPLICATE`.
2. Payloads are kept as bytes, so that the bound in bytes is a bound of memory (with `OVERHEAD` for each).
3. A request of which nothing was heard for `settle_ns` is `Settled`: everybody has had their say. Only traced ones are
   kept after that; of the others only what ran on after the answer is wanted. A word that comes later opens it anew.
4. What must make room goes as `Settled` first, oldest first: nothing is forgotten silently.
"""

from collections import OrderedDict
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct, field

OVERHEAD = 250
"""Bytes that Python needs for one kept message beside its payload: the bytes object, its id, the entry."""
MAX_PARTS = 128
"""Messages of one request."""


class Kind(StrEnum):
    """Named outcomes, counted by name."""

    DUPLICATE = "duplicate-part"
    TOO_MANY = "too-many-parts"
    """Of one request; the message is left out."""
    TOO_LARGE = "too-large-part"
    """It alone would fill a quarter of the ring; left out."""
    MADE_ROOM = "made-room"
    """The oldest request went before its time."""


class Part(Struct, frozen=True, gc=False):
    """One message about one request. `traced` says that it is a trace."""

    request_id: str
    task: str
    message_id: str
    payload: bytes
    traced: bool


class Noted(Struct, frozen=True, gc=False):
    """Count this."""

    kind: Kind
    request_id: str


class Settled(Struct, frozen=True, gc=False):
    """Everything that was said about one request, as far as known. May come again when more was said."""

    request_id: str
    task: str
    traced: bool
    unsaved: bool
    """Whether some of it was not given out by `fresh` yet."""
    parts: dict[str, bytes]
    """By message id, in the order of arrival."""


class Fresh(Struct, frozen=True, gc=False):
    """A traced request with all its messages by id, as it is to be stored now."""

    request_id: str
    task: str
    parts: dict[str, bytes]


class _Entry(Struct, gc=False):
    task: str
    touched_ns: int
    parts: dict[str, bytes] = field(default_factory=dict)
    bytes: int = 0
    traced: bool = False


Action: TypeAlias = Noted | Settled


class TraceRing:
    """See the module. Times are of one monotonic clock, in nanoseconds."""

    def __init__(self, *, max_bytes: int, max_requests: int, settle_ns: int) -> None:
        self._max_bytes = max_bytes
        self._max_requests = max_requests
        self._settle_ns = settle_ns
        self._entries: OrderedDict[str, _Entry] = OrderedDict()  # by last word, so the first is the oldest
        self._open: OrderedDict[str, None] = OrderedDict()  # not settled, by last word
        self._unsaved: OrderedDict[str, None] = OrderedDict()
        self.bytes = 0
        """Payloads and overhead of all that is kept."""

    def __len__(self) -> int:
        """Requests in the ring."""
        return len(self._entries)

    def handle(self, part: Part, now: int) -> tuple[Action, ...]:
        """Keep one message."""
        size = len(part.payload) + OVERHEAD
        if size > self._max_bytes // 4:
            return (Noted(Kind.TOO_LARGE, part.request_id),)
        entry = self._entries.get(part.request_id)
        if entry is None:
            entry = self._entries[part.request_id] = _Entry(part.task, now)
            entry.bytes = OVERHEAD
            self.bytes += OVERHEAD
        elif part.message_id in entry.parts:
            return (Noted(Kind.DUPLICATE, part.request_id),)
        elif len(entry.parts) >= MAX_PARTS:
            return (Noted(Kind.TOO_MANY, part.request_id),)
        entry.parts[part.message_id] = part.payload
        entry.bytes += size
        self.bytes += size
        entry.touched_ns = now
        entry.traced = entry.traced or part.traced
        self._entries.move_to_end(part.request_id)
        self._open[part.request_id] = None
        self._open.move_to_end(part.request_id)
        if entry.traced:
            self._unsaved[part.request_id] = None
        return self._make_room()

    def expire(self, now: int) -> tuple[Action, ...]:
        """Settle what has been quiet for long enough."""
        actions: list[Action] = []
        while self._open:
            request_id = next(iter(self._open))
            entry = self._entries[request_id]
            if entry.touched_ns + self._settle_ns > now:
                break
            del self._open[request_id]
            actions.append(self._settled(request_id, entry))
            if not entry.traced:
                self._remove(request_id)
        return tuple(actions)

    def deadline(self) -> int | None:
        """When the next request will have been quiet for long enough."""
        for request_id in self._open:
            return self._entries[request_id].touched_ns + self._settle_ns
        return None

    def finish(self) -> tuple[Action, ...]:
        """Settle everything: nobody will listen any more."""
        actions = tuple(self._settled(request_id, self._entries[request_id]) for request_id in self._open)
        self._open.clear()
        return actions

    def fresh(self) -> tuple[Fresh, ...]:
        """Traced requests of which something was heard since the last call; oldest word first."""
        found = []
        for request_id in self._unsaved:
            entry = self._entries[request_id]
            found.append(Fresh(request_id, entry.task, dict(entry.parts)))
        self._unsaved.clear()
        return tuple(found)

    def _make_room(self) -> tuple[Action, ...]:
        actions: list[Action] = []
        while self.bytes > self._max_bytes or len(self._entries) > self._max_requests:
            request_id, entry = next(iter(self._entries.items()))
            if request_id in self._open:
                del self._open[request_id]
                actions += [Noted(Kind.MADE_ROOM, request_id), self._settled(request_id, entry)]
            self._remove(request_id)
        return tuple(actions)

    def _settled(self, request_id: str, entry: _Entry) -> Settled:
        unsaved = self._unsaved.pop(request_id, False) is None
        return Settled(request_id, entry.task, entry.traced, unsaved, dict(entry.parts))

    def _remove(self, request_id: str) -> None:
        self.bytes -= self._entries.pop(request_id).bytes
