"""Each message of an outbox once, and in the order in which the device sent them. Pure.

JetStream keeps order and recognises repetitions, except around the death of its leader (a message may be stored
before an earlier one) and beyond its window. Rules, for each (outbox, lane):

1. The first number seen is where the stream begins for this reader; it may have joined in the middle.
2. What follows without a hole is given at once. What comes too early is held, at most `max_held` messages in all and
   at most `wait_ns`; then the hole is named (`gaps`) and what is held is given.
3. A message that tells of a gap settles it: nobody waits for what will not come.
4. A repetition (`duplicate`) and what comes after it was given up (`late`) are counted, and not given.
5. Of at most `max_outboxes` the position is remembered; the one silent longest is forgotten first.
"""

from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from roost_broker.centre.envelope import Envelope
from roost_broker.centre.lanes import LaneName
from roost_broker.errors import Misuse

SECOND = 1_000_000_000
_KEPT_GAPS = 1000
Why: TypeAlias = Literal["told", "waited", "full"]


@dataclass(frozen=True, slots=True)
class Gap:
    """Numbers that this reader will not see: the gateway said so (`told`), or they did not come in time."""

    outbox: str
    lane: LaneName
    first: int
    last: int
    why: Why


@dataclass(slots=True)
class _Stream:
    """One outbox and lane."""

    next: int
    missed: set[int] = field(default_factory=set)
    """Numbers below `next` that were given up, so that a late one can be told from a repetition."""
    held: dict[int, Envelope] = field(default_factory=dict)
    """By the first number that each settles."""
    since: int = 0
    """When the oldest of the held ones began to wait."""


class Orderer:
    """Give each message to `take`; it returns what can be read now, in order."""

    def __init__(self, *, wait_ns: int = 5 * SECOND, max_held: int = 10_000, max_outboxes: int = 50_000) -> None:
        if wait_ns < 0 or max_held < 1 or max_outboxes < 1:
            raise Misuse("An orderer must be able to hold something.", "Use bounds of at least 1.")
        self._wait_ns = wait_ns
        self._max_held = max_held
        self._max_outboxes = max_outboxes
        self._streams: OrderedDict[tuple[str, LaneName], _Stream] = OrderedDict()
        self._held = 0
        self.counts: Counter[str] = Counter()
        """Given, held, duplicate, late, gap (messages that told of one), forgotten (positions)."""
        self.gaps: deque[Gap] = deque(maxlen=_KEPT_GAPS)
        """The newest holes."""

    def take(self, envelope: Envelope, now: int) -> tuple[Envelope, ...]:
        """What can be read now that this has come, in order; messages that tell of gaps are not given."""
        name = (envelope.outbox, envelope.lane)
        stream = self._streams.get(name)
        if stream is None:
            stream = self._streams[name] = _Stream(envelope.first_seq)
            self._forget_beyond_bound()
        self._streams.move_to_end(name)
        if envelope.seq < stream.next or envelope.first_seq in stream.held:
            missed = envelope.seq in stream.missed
            stream.missed.discard(envelope.seq)
            self.counts["late" if missed else "duplicate"] += 1
            return ()
        if envelope.first_seq > stream.next:
            return self._hold(stream, envelope, now)
        return (*self._give(stream, envelope), *self._follow_on(stream))

    def expire(self, now: int) -> tuple[Envelope, ...]:
        """Give up waiting where it has taken too long; what was held is given."""
        given: list[Envelope] = []
        for name, stream in self._streams.items():
            if stream.held and now - stream.since >= self._wait_ns:
                given += self._give_up(name, stream, "waited")
                stream.since = now
        return tuple(given)

    def deadline(self) -> int | None:
        """When `expire` will have something to do."""
        waiting = [stream.since + self._wait_ns for stream in self._streams.values() if stream.held]
        return min(waiting, default=None)

    def _hold(self, stream: _Stream, envelope: Envelope, now: int) -> tuple[Envelope, ...]:
        if not stream.held:
            stream.since = now
        stream.held[envelope.first_seq] = envelope
        self._held += 1
        self.counts["held"] += 1
        if self._held <= self._max_held:
            return ()
        name, fullest = max(self._streams.items(), key=lambda item: len(item[1].held))
        return self._give_up(name, fullest, "full")

    def _give(self, stream: _Stream, envelope: Envelope) -> tuple[Envelope, ...]:
        stream.next = envelope.seq + 1
        if envelope.gap is None:
            self.counts["given"] += 1
            return (envelope,)
        self.counts["gap"] += 1
        self.gaps.append(Gap(envelope.outbox, envelope.lane, *envelope.gap, "told"))
        return ()

    def _follow_on(self, stream: _Stream) -> tuple[Envelope, ...]:
        """What was held and now has its turn."""
        given: list[Envelope] = []
        while stream.next in stream.held:
            given += self._give(stream, stream.held.pop(stream.next))
            self._held -= 1
        return tuple(given)

    def _give_up(self, name: tuple[str, LaneName], stream: _Stream, why: Why) -> tuple[Envelope, ...]:
        """Go on behind the first hole."""
        lowest = stream.held.pop(min(stream.held))
        self._held -= 1
        if lowest.seq < stream.next:  # settled meanwhile by a gap that reached beyond it
            self.counts["late"] += 1
            return ()
        first = max(lowest.first_seq, stream.next)
        self.gaps.append(Gap(*name, stream.next, first - 1, why))
        missing = range(max(stream.next, first - _KEPT_GAPS), first)
        stream.missed = {number for number in stream.missed if number >= first - _KEPT_GAPS} | set(missing)
        stream.next = first
        return (*self._give(stream, lowest), *self._follow_on(stream))

    def _forget_beyond_bound(self) -> None:
        while len(self._streams) > self._max_outboxes:
            _, gone = self._streams.popitem(last=False)
            self._held -= len(gone.held)
            self.counts["forgotten"] += 1
