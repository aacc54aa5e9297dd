"""The place of one lane in its outbox: which message goes next, what is on its way, what is settled. Pure.

Rules:

1. Messages leave in the order of their numbers, at most `window` without acknowledgement.
2. Settled is what the centre has acknowledged, or what was found in its stream. Only the settled prefix is forgotten.
3. After a failure (no acknowledgement in time, a refusal that time may mend, a lost link) nothing new leaves until the
   fate of everything on its way is known: acknowledged, failed, or the link gone. Then, after a pause, the stream is
   asked what of this lane it holds. What it holds is settled; the rest goes again, oldest first, one at a time until
   the first success.
4. So a message whose acknowledgement was lost is recognised however long the link was away: JetStream's own window for
   repetitions need only cover what was still in the network when we asked.
5. `position` is a place in the stream before which nothing of what is not settled can lie: asking from there is
   enough, and cheap. A message sent now lies behind every place that was known when it was sent first.

        away ──linked──▶ asking ──fates──▶ probing ──first success──▶ open
         ▲                  ▲                  │ failure               │ failure
         └── link lost      └──── pause ◀──── draining ◀───────────────┘
"""

from collections import deque
from collections.abc import Mapping
from typing import Literal, TypeAlias

from roost_broker.centre.lanes import LaneName
from roost_broker.clock import MS, SECOND
from roost_broker.gateway.rows import Row

State: TypeAlias = Literal["away", "pausing", "asking", "probing", "open", "draining"]

_FIRST_PAUSE = 100 * MS
_LONGEST_PAUSE = 30 * SECOND


class Cursor:
    """See the module's rules. Bounded: it holds what was loaded, and `wants_more` says when to load."""

    def __init__(
        self, lane: LaneName, *, window: int, ack_timeout: int, settled: int, last: int, position: int | None
    ) -> None:
        self.lane = lane
        self.state: State = "away"
        self.settled = settled
        """Everything up to this number is settled."""
        self.last = last
        """The newest number in the outbox."""
        self._window = window
        self._ack_timeout = ack_timeout
        self._rows: deque[Row] = deque()  # loaded, above `settled`, in order
        self._loaded = settled
        self._loading = False
        self._flying: dict[int, int] = {}  # number → when its acknowledgement is overdue; in order of sending
        self._done: dict[int, int] = {}  # settled, but not yet with everything before it → place in the stream
        self._next = 0  # index in _rows of what to send next
        self._floors: dict[int, int] = {}  # number → `known` when it was sent first
        self._known = position  # nothing that is not settled and was never sent can lie up to this place
        self._first_time: set[int] = set()  # on their way, and certainly never sent before
        self._failures = 0
        self._again_at = 0
        self._reach = last  # numbers up to here may have been sent: by an earlier process, later by this one

    # -- what is asked of it --------------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Messages that are not settled."""
        return self.last - self.settled - len(self._done)

    @property
    def flying(self) -> int:
        """Messages on their way."""
        return len(self._flying)

    @property
    def oldest(self) -> Row | None:
        """The oldest message that is loaded."""
        return self._rows[0] if self._rows else None

    @property
    def position(self) -> int | None:
        """See rule 5; None while the stream was never asked."""
        if self._known is None:
            return None
        floor = self._floors.get(self._rows[0].seq, self._known) if self._rows else self._known
        # What is settled out of turn is forgotten with the process, and must be found again.
        return min((floor, *(place - 1 for place in self._done.values())))

    @property
    def wants_more(self) -> bool:
        """Whether rows should be loaded from the outbox."""
        if self._loading or self._loaded >= self.last or self.state == "away":
            return False
        return len(self._rows) - self._next < self._window

    def load(self) -> int:
        """Rows are being loaded; returns the number after which to begin."""
        self._loading = True
        return self._loaded

    def ready(self) -> Row | None:
        """What may leave now; None when nothing may."""
        room = {"open": self._window, "probing": 1}.get(self.state, 0)
        if len(self._flying) >= room:
            return None
        while self._next < len(self._rows):
            row = self._rows[self._next]
            if row.seq not in self._done and row.seq not in self._flying:
                return row
            self._next += 1
        return None

    def deadline(self) -> int | None:
        """When `expire` has something to do."""
        if self.state == "pausing":
            return self._again_at
        return next(iter(self._flying.values()), None)  # equal timeouts: the first sent is the first due

    # -- what happens ---------------------------------------------------------------------------------------------

    def stored(self, last: int) -> None:
        """The outbox has messages up to `last`."""
        self.last = max(self.last, last)

    def rows_loaded(self, after: int, rows: tuple[Row, ...]) -> None:
        """What `load` asked for; without effect when something else was decided meanwhile (`given_up`)."""
        self._loading = False
        if after != self._loaded or not rows:
            return
        self._rows.extend(rows)
        self._loaded = rows[-1].seq
        self._advance()

    def linked(self) -> bool:
        """The centre is reachable; True when the stream must be asked now."""
        if self.state != "away":
            return False
        self.state = "asking"
        return True

    def unlinked(self) -> None:
        """The link is gone, and with it every acknowledgement that was on its way."""
        self.state = "away"
        self._flying.clear()
        self._first_time.clear()
        self._failures = 0

    def fates(self, present: Mapping[int, int], tail: int) -> str:
        """The answer to what was asked: number → place in the stream; `tail`: the stream's newest place.

        Returns "ahead" when the stream holds a number that was never sent from here (the outbox went back in time, or
        has a twin).
        """
        if self.state != "asking":
            return "unasked"
        if present and max(present) > self._reach:
            return "ahead"
        self._known = max(tail, *present.values()) if present else tail
        self._floors.clear()  # what is not there now can only come to lie behind `tail`
        self._done.update({seq: place for seq, place in present.items() if seq > self.settled})
        self._advance()
        self._next = 0
        self.state = "probing"
        return "known"

    def ask_failed(self, now: int) -> None:
        """The stream did not tell."""
        if self.state == "asking":
            self._pause(now)

    def sent(self, row: Row, now: int) -> None:
        """`row`, which was `ready`, leaves now."""
        self._flying[row.seq] = now + self._ack_timeout
        if row.seq > self._reach:
            self._first_time.add(row.seq)
            self._reach = row.seq
        self._floors.setdefault(row.seq, self._known or 0)
        self._next += 1

    def acked(self, seq: int, place: int, *, again: bool = False) -> str:
        """The centre has `seq` safely, at `place` of its stream. Returns the outcome's name.

        `again`: the centre had that number before. For one that was never sent before this is "twin": another gateway
        gives the same numbers, and ours is not there.
        """
        if again and seq in self._first_time:
            self._first_time.discard(seq)
            self._flying.pop(seq, None)
            return "twin"
        self._first_time.discard(seq)
        if seq <= self.settled or seq in self._done:
            self._flying.pop(seq, None)
            return "acked-twice"
        outcome = "sent" if self._flying.pop(seq, None) is not None else "acked-late"
        self._known = max(self._known or 0, place)
        self._done[seq] = place
        self._advance()
        if self.state == "probing" and outcome == "sent":
            self.state = "open"
            self._failures = 0
        return outcome

    def failed(self, seq: int, now: int) -> str:
        """No acknowledgement will come for `seq`, or none came in time."""
        self._first_time.discard(seq)
        if self._flying.pop(seq, None) is None:
            return "failed-late"
        if self.state in ("open", "probing"):
            self.state = "draining"
        self._drained(now)
        return "failed"

    def given_up(self, seq: int) -> None:
        """`seq` can never be sent: the outbox holds a gap in its place, which is to be loaded."""
        self._flying.pop(seq, None)
        while self._rows and self._rows[-1].seq >= seq:
            self._rows.pop()
        self._loaded = seq - 1
        self._next = min(self._next, len(self._rows))

    def expire(self, now: int) -> tuple[int, ...]:
        """Everything that is due: returns numbers whose acknowledgement is overdue; they have failed."""
        overdue = tuple(seq for seq, due in self._flying.items() if now >= due)
        for seq in overdue:
            self.failed(seq, now)
        return overdue

    def asks_again(self, now: int) -> bool:
        """Whether the pause is over and the stream is to be asked now."""
        if self.state != "pausing" or now < self._again_at:
            return False
        self.state = "asking"
        return True

    def drained(self, now: int) -> None:
        """Look again whether everything on its way has met its fate."""
        self._drained(now)

    def _drained(self, now: int) -> None:
        if self.state == "draining" and not self._flying:
            self._pause(now)

    def _pause(self, now: int) -> None:
        self.state = "pausing"
        self._again_at = now + min(_LONGEST_PAUSE, _FIRST_PAUSE << min(self._failures, 16))
        self._failures += 1

    def _advance(self) -> None:
        while self._rows and self._rows[0].seq in self._done:
            row = self._rows.popleft()
            self.settled = row.seq
            del self._done[row.seq]
            self._floors.pop(row.seq, None)
            self._next = max(0, self._next - 1)
            if row.gap_first is not None:  # numbers within the gap that the centre had all the same
                self._done = {seq: place for seq, place in self._done.items() if seq > row.seq}
