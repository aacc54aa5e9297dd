"""What leaves next: all lanes together, by priority and within the budgets. Pure.

* Lanes go in the order of their priority: what is fresh in an earlier lane overtakes every later lane's backlog.
* At most `window_bytes` are on their way over all lanes, and the byte rate is kept. Alerts wait for neither; what they
  use is missing to the others afterwards.
* On a metered link only the lanes meant for it leave.
* A lane that fails (its stream is missing, full or without a leader) waits by itself; the others go on.

Time is an argument, nanoseconds of the monotonic clock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from roost_broker.centre.lanes import LANE_NAMES, LaneName
from roost_broker.clock import MS, SECOND
from roost_broker.gateway.budget import TokenBucket
from roost_broker.gateway.cursor import Cursor
from roost_broker.gateway.rows import Row
from roost_broker.gateway.settings import GatewaySettings

URGENT: Final[LaneName] = "alerts"
_RENEW_AGAIN = SECOND


@dataclass(frozen=True, slots=True)
class LaneStanding:
    """What the outbox knows of a lane at the start."""

    settled: int = 0
    last: int = 0
    position: int | None = None


@dataclass(frozen=True, slots=True)
class Linked:
    """The centre is reachable, or no more."""

    up: bool


@dataclass(frozen=True, slots=True)
class Stored:
    """The outbox has messages up to these numbers."""

    last: Mapping[LaneName, int]


@dataclass(frozen=True, slots=True)
class Loaded:
    """The answer to `Load`."""

    lane: LaneName
    after: int
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Acked:
    """The centre has it safely."""

    lane: LaneName
    seq: int
    place: int
    again: bool = False
    """It had this number before."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The centre did not take it. `forever`: nor will it at any other time."""

    lane: LaneName
    seq: int
    cause: str
    forever: bool = False


@dataclass(frozen=True, slots=True)
class Fates:
    """The answer to `Ask`; `present` None when there was none."""

    lane: LaneName
    present: Mapping[int, int] | None
    tail: int = 0


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the lane's stream what it holds of ours behind this place; None: only where it ends."""

    lane: LaneName
    position: int | None


@dataclass(frozen=True, slots=True)
class Load:
    """Load messages behind this number from the outbox."""

    lane: LaneName
    after: int


@dataclass(frozen=True, slots=True)
class Send:
    """Publish this to the lane's stream."""

    row: Row


@dataclass(frozen=True, slots=True)
class Settle:
    """The outbox may forget the lane up to this number."""

    lane: LaneName
    through: int
    position: int | None


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Put a gap in the place of this message: it can never be sent."""

    lane: LaneName
    seq: int


@dataclass(frozen=True, slots=True)
class Renew:
    """The stream holds numbers that this outbox never gave (it went back in time, or has a twin): take a new name.

    For this lane; nothing of it is on its way any more: what the stream holds of us now can be told by asking it.
    `renewed` is the answer; without it this is said again a little later.
    """

    lane: LaneName


@dataclass(frozen=True, slots=True)
class Noted:
    """Something with a name happened, to be counted."""

    outcome: str


Event: TypeAlias = Linked | Stored | Loaded | Acked | Failed | Fates
Action: TypeAlias = Ask | Load | Send | Settle | GiveUp | Renew | Noted


class Dispatcher:
    """See the module."""

    def __init__(
        self, settings: GatewaySettings, standing: Mapping[LaneName, LaneStanding], bucket: TokenBucket
    ) -> None:
        self._settings = settings
        self._bucket = bucket
        self._cursors: dict[LaneName, Cursor] = {}
        for lane in LANE_NAMES:
            self._cursors[lane] = self._cursor(lane, standing.get(lane, LaneStanding()))
        self._sizes: dict[tuple[LaneName, int], int] = {}  # of what is on its way, alerts left out
        self._flying_bytes = 0
        self._starved_until: int | None = None
        self._renewing: dict[LaneName, int] = {}  # these wait for a new name → when to say so; nothing of them leaves
        self._told: dict[LaneName, int] = {lane: cursor.settled for lane, cursor in self._cursors.items()}

    def _cursor(self, lane: LaneName, known: LaneStanding) -> Cursor:
        return Cursor(
            lane,
            window=self._settings.window,
            ack_timeout=self._settings.ack_timeout_ms * MS,
            settled=known.settled,
            last=known.last,
            position=known.position,
        )

    @property
    def waiting(self) -> int:
        """Messages that are not settled."""
        return sum(cursor.waiting for cursor in self._cursors.values())

    @property
    def flying(self) -> int:
        """Messages on their way."""
        return sum(cursor.flying for cursor in self._cursors.values())

    @property
    def idle(self) -> bool:
        """Whether no message that may travel now waits: pictures may."""
        return not any(
            cursor.waiting and cursor.state in ("open", "probing", "asking", "draining") and self._allowed(lane)
            for lane, cursor in self._cursors.items()
        )

    def state(self, lane: LaneName) -> str:
        """The state of a lane's cursor."""
        return self._cursors[lane].state

    def position(self, lane: LaneName) -> int | None:
        """A place in the lane's stream before which nothing of what is not settled can lie."""
        return self._cursors[lane].position

    def oldest(self) -> tuple[Row, ...]:
        """The oldest loaded message of each lane that has one."""
        return tuple(row for cursor in self._cursors.values() if (row := cursor.oldest) is not None)

    def deadline(self) -> int | None:
        """When `expire` has something to do."""
        times = [self._starved_until]
        for lane, cursor in self._cursors.items():
            if lane in self._renewing and not cursor.flying:
                times.append(None if cursor.state == "away" else self._renewing[lane])
            else:
                times.append(cursor.deadline())
        return min((time for time in times if time is not None), default=None)

    def expire(self, now: int) -> tuple[Action, ...]:
        """Everything that is due."""
        actions: list[Action] = []
        for lane, cursor in self._cursors.items():
            for seq in cursor.expire(now):
                self._landed(lane, seq)
                actions.append(Noted("failed-timeout"))
            if lane not in self._renewing and cursor.asks_again(now):
                actions.append(Ask(lane, cursor.position))
        return (*actions, *self._next(now))

    def handle(self, event: Event, now: int) -> tuple[Action, ...]:
        """Take note of an event; returns what follows, what may leave now included."""
        match event:
            case Linked(up):
                actions = self._linked() if up else self._unlinked()
            case Stored(last):
                actions = []
                for lane, number in last.items():
                    self._cursors[lane].stored(number)
            case Loaded(lane, after, rows):
                actions = []
                self._cursors[lane].rows_loaded(after, rows)
            case Acked(lane, seq, place, again):
                self._landed(lane, seq)
                outcome = self._cursors[lane].acked(seq, place, again=again)
                if outcome == "twin":
                    outcome = "outbox-has-twin"
                    self._renewing.setdefault(lane, now)
                actions = [Noted(outcome)]
                self._cursors[lane].drained(now)
            case Failed():
                actions = self._failed(event, now)
            case Fates():
                actions = self._fates(event, now)
        return (*actions, *self._settled(), *self._next(now))

    def _linked(self) -> list[Action]:
        linked = [(lane, cursor) for lane, cursor in self._cursors.items() if cursor.linked()]
        return [Ask(lane, cursor.position) for lane, cursor in linked if lane not in self._renewing]

    def _unlinked(self) -> list[Action]:
        lost = self.flying
        for cursor in self._cursors.values():
            cursor.unlinked()
        self._sizes.clear()
        self._flying_bytes = 0
        return [Noted("unlinked"), *[Noted("fate-unknown")] * lost]

    def _failed(self, event: Failed, now: int) -> list[Action]:
        cursor = self._cursors[event.lane]
        self._landed(event.lane, event.seq)
        if event.forever:
            cursor.given_up(event.seq)
            cursor.drained(now)
            return [Noted(f"given-up-{event.cause}"), GiveUp(event.lane, event.seq)]
        outcome = cursor.failed(event.seq, now)
        return [Noted(f"{outcome}-{event.cause}")]

    def _fates(self, event: Fates, now: int) -> list[Action]:
        cursor = self._cursors[event.lane]
        if event.present is None:
            cursor.ask_failed(now)
            return [Noted("ask-failed")]
        outcome = cursor.fates(event.present, event.tail)
        if outcome == "ahead":
            self._renewing.setdefault(event.lane, now)
            return [Noted("outbox-went-back")]
        return [Noted(f"fates-{outcome}"), *[Noted("found-at-centre")] * len(event.present)]

    def _landed(self, lane: LaneName, seq: int) -> None:
        self._flying_bytes -= self._sizes.pop((lane, seq), 0)

    def _settled(self) -> Sequence[Action]:
        """What the outbox may forget since the last time."""
        actions: list[Action] = []
        for lane, cursor in self._cursors.items():
            if cursor.settled > self._told[lane]:
                self._told[lane] = cursor.settled
                actions.append(Settle(lane, cursor.settled, cursor.position))
        return actions

    def _next(self, now: int) -> Sequence[Action]:
        """What may leave now, in the order of priority, and what must be loaded for it."""
        actions: list[Action] = []
        self._starved_until = None  # until `_affordable` says otherwise
        for lane, cursor in self._cursors.items():
            if not self._allowed(lane) or lane in self._renewing:
                continue
            while (row := cursor.ready()) is not None and self._affordable(lane, row, now):
                cursor.sent(row, now)
                actions.append(Send(row))
            if cursor.wants_more:
                actions.append(Load(lane, cursor.load()))
            if self._starves():
                break  # else small messages of later lanes would use up what an earlier lane saves for
        for lane, due in self._renewing.items():
            cursor = self._cursors[lane]
            if now >= due and not cursor.flying and cursor.state != "away":
                self._renewing[lane] = now + _RENEW_AGAIN
                actions.append(Renew(lane))
        return actions

    def renewed(self, lane: LaneName, standing: LaneStanding) -> None:
        """The lane has a new name and new numbers; the link is about to be made anew."""
        self._renewing.pop(lane, None)
        for other, seq in [key for key in self._sizes if key[0] == lane]:
            self._landed(other, seq)
        self._cursors[lane] = self._cursor(lane, standing)
        self._told[lane] = standing.settled

    def _starves(self) -> bool:
        return self._starved_until is not None

    def _allowed(self, lane: LaneName) -> bool:
        return not self._settings.metered or lane in self._settings.metered_lanes

    def _affordable(self, lane: LaneName, row: Row, now: int) -> bool:
        size = row.size
        if lane == URGENT:
            return self._bucket.take(size, now, urgent=True)
        if self._flying_bytes and self._flying_bytes + size > self._settings.window_bytes:
            return False
        if not self._bucket.take(size, now):
            self._starved_until = self._bucket.ready_at(size, now)
            return False
        self._sizes[lane, row.seq] = size
        self._flying_bytes += size
        return True
