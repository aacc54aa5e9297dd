"""Whose turn it is: one injector hands over to the next in the middle of the stream, by tokens (the book's ch. 6).

    active ──transition token, I am `old`──▶ over
    standby ──transition token, I am `new`──▶ waiting ──the token is on input, or the other is gone──▶ active

Rules:

1. A token is passed on in line with the requests, whatever it is for; only the injector whose turn it is passes on.
2. The old one's last word is the transition token: nothing behind it is injected by it.
3. The new one holds what is behind the token until it has seen the token on `input`. Then all that was before it is
   there too, and the order is that of one injector.
4. When the old one is gone, or silent for `wait_ns`, the new one injects first what it has seen on `raw` and not on
   `input`, then the token, then what it held: nothing is lost. (An old one that was merely asleep may repeat some of
   it later; readers know a request by its id.)
5. After a lost connection the broker delivers again what was not acknowledged, and what was waited for is asked for
   anew: nothing is decided twice.

Pure. `T` is whatever the shell needs to go on with one message of `raw`.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, Literal, TypeAlias, TypeVar

from roost_broker.clock import SECOND
from roost_broker.messages import Token

T = TypeVar("T")
Side: TypeAlias = Literal["active", "standby", "waiting", "over"]

WAIT_NS = SECOND
MAX_KEPT = 1000


@dataclass(frozen=True, slots=True)
class Inject(Generic[T]):
    """Add the state and put it on `input`."""

    item: T


@dataclass(frozen=True, slots=True)
class PassOn(Generic[T]):
    """Put the token on `input` as it is. `last`: then end, and let the broker forget the session."""

    item: T
    last: bool = False


@dataclass(frozen=True, slots=True)
class Leave(Generic[T]):
    """Acknowledge and do nothing: the other one's, or nobody's any more."""

    item: T


@dataclass(frozen=True, slots=True)
class WriteSnapshot:
    """Before the token is passed on: what is known, into this folder."""

    location: str


@dataclass(frozen=True, slots=True)
class ReadSnapshot:
    """The predecessor has written; go on from it."""

    location: str


@dataclass(frozen=True, slots=True)
class Watch:
    """Listen to the state of this role: it may be gone."""

    role: str


@dataclass(frozen=True, slots=True)
class TookOver:
    """From here on requests are this one's. `how`: token, gone, waited."""

    how: Literal["token", "gone", "waited"]


Action: TypeAlias = Inject[T] | PassOn[T] | Leave[T] | WriteSnapshot | ReadSnapshot | Watch | TookOver


class Turn(Generic[T]):
    """See the module's rules. `role` is this injector's role name."""

    def __init__(self, role: str, *, standby: bool = False, wait_ns: int = WAIT_NS, max_kept: int = MAX_KEPT) -> None:
        self.side: Side = "standby" if standby else "active"
        self.counts: Counter[str] = Counter()
        """handover-passed (tokens), handover-left (requests that were the other's), handover-held, handover-overdue
        (too many held, the oldest were injected by neither or by both)."""
        self._role = role
        self._wait_ns = wait_ns
        self._max_kept = max_kept
        self._unseen: OrderedDict[str, T] = OrderedDict()
        self._held: list[tuple[Token | None, T]] = []
        self._mark: tuple[Token, T] | None = None
        self._due: int | None = None
        self._on_input: set[str] = set()
        self._gone = False

    # -- what is on raw -----------------------------------------------------------------------------------------

    def request(self, request_id: str, item: T) -> tuple[Action[T], ...]:
        """A request, in line."""
        if self.side == "active":
            return (Inject(item),)
        if self.side == "waiting":
            return self._hold(None, item)
        self.counts["handover-left"] += 1
        if self.side == "standby":
            self._unseen[request_id] = item
            if len(self._unseen) > self._max_kept:
                self._unseen.popitem(last=False)
        return (Leave(item),)

    def token(self, token: Token, item: T, now: int) -> tuple[Action[T], ...]:
        """A token, in line."""
        ours = token.component == "injector"
        if self.side == "waiting":
            return self._hold(token, item)
        if self.side == "active":
            self.counts["handover-passed"] += 1
            if not ours or token.old != self._role:
                return (PassOn(item),)
            if token.kind == "snapshot":
                return (WriteSnapshot(token.location), PassOn(item))
            self.side = "over"
            return (PassOn(item, last=True),)
        if self.side == "standby" and ours and token.kind == "transition" and token.new == self._role:
            return self._marked(token, item, now)
        return (Leave(item),)

    # -- what is on input, and what the other one says ----------------------------------------------------------

    def on_input(self, seen: str | Token) -> tuple[Action[T], ...]:
        """A request (its id) or a token that the other one has put on `input`."""
        if isinstance(seen, str):
            self._unseen.pop(seen, None)
            return ()
        if seen.component != "injector" or seen.new != self._role or self.side not in ("standby", "waiting"):
            return ()
        if seen.kind == "snapshot":
            return (ReadSnapshot(seen.location),)
        self._on_input = {seen.handover_id}
        if self._mark is not None and self._mark[0].handover_id == seen.handover_id:
            return self._take_over("token")
        return ()

    def predecessor(self, state: str) -> tuple[Action[T], ...]:
        """The other one's retained state."""
        self._gone = state in ("gone", "stopped", "failed")
        return self._take_over("gone") if self._gone and self.side == "waiting" else ()

    def watch_lost(self) -> None:
        """What was put on `input` meanwhile is not known: nothing seen before may be injected again."""
        self._unseen.clear()

    def connection_lost(self, *, last_word_said: bool) -> None:
        """Everything not acknowledged comes again, the token too."""
        if self.side == "waiting":
            self.side, self._mark, self._due = "standby", None, None
            self._held.clear()
        elif self.side == "over" and not last_word_said:
            self.side = "active"

    # -- time ---------------------------------------------------------------------------------------------------

    def deadline(self) -> int | None:
        """When to call `expire`."""
        return self._due

    def expire(self, now: int) -> tuple[Action[T], ...]:
        """The old one said nothing for too long."""
        return self._take_over("waited") if self._due is not None and now >= self._due else ()

    def _marked(self, token: Token, item: T, now: int) -> tuple[Action[T], ...]:
        self.side, self._mark, self._due = "waiting", (token, item), now + self._wait_ns
        if token.handover_id in self._on_input:
            return self._take_over("token")
        return (Watch(token.old), *(self._take_over("gone") if self._gone else ()))

    def _hold(self, token: Token | None, item: T) -> tuple[Action[T], ...]:
        self.counts["handover-held"] += 1
        self._held.append((token, item))
        if len(self._held) <= self._max_kept:
            return ()
        self.counts["handover-overdue"] += 1
        return self._take_over("waited")

    def _mine(self) -> bool:
        return self.side == "active"

    def _take_over(self, how: Literal["token", "gone", "waited"]) -> tuple[Action[T], ...]:
        return tuple(self._taking_over(how))

    def _taking_over(self, how: Literal["token", "gone", "waited"]) -> Iterator[Action[T]]:
        unseen, self._unseen = self._unseen, OrderedDict()
        held, self._held = self._held, []
        mark, self._mark, self._due = self._mark, None, None
        self.side = "active"
        yield TookOver(how)
        if how != "token":  # else all that was before the token is on input before it
            yield from (Inject(item) for item in unseen.values())
        if mark is not None:
            yield Leave(mark[1]) if how == "token" else PassOn(mark[1])
        for number, (token, item) in enumerate(held):
            if token is None:
                yield from self.request("", item)
            else:
                yield from self.token(token, item, 0)
            if not self._mine():  # handed over in its turn: what is behind is the next one's
                yield from (Leave(later) for _, later in held[number + 1 :])
                return
