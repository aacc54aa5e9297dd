"""Whose request is whose while one server hands over to the next (the book's ch. 6): a mark in the stream decides.

    standby ──token: we are new──▶ successor ──token: we are old──▶ finishing
    alone ─────────────────────────────────────token: we are old──▶ finishing

* Standby: everything is the predecessor's; nothing is opened or kept.
* Successor: what comes behind the token is ours. A request that was asked before may be the predecessor's, so one
  that we do not know is held until the predecessor has said what it has, or is gone, or a short time is over.
* Finishing: what was open at the token is ours to the end, its repetitions included; all else is the successor's.

Pure: time is an argument. The core opens what is let go here.
"""

from collections import OrderedDict
from collections.abc import Iterable
from enum import StrEnum
from typing import Literal

from roost_rendezvous.mailbox.actions import Kind
from roost_rendezvous.mailbox.events import RequestArrived
from roost_rendezvous.mailbox.timers import NEVER


class Phase(StrEnum):
    """Where in a hand-over this server is."""

    ALONE = "alone"
    STANDBY = "standby"
    SUCCESSOR = "successor"
    FINISHING = "finishing"


_AFTER: dict[tuple[Phase, str], tuple[Phase, Kind]] = {
    (Phase.STANDBY, "new"): (Phase.SUCCESSOR, Kind.TOOK_OVER),
    (Phase.ALONE, "old"): (Phase.FINISHING, Kind.FINISHING),
    (Phase.SUCCESSOR, "old"): (Phase.FINISHING, Kind.FINISHING),
}
"""All legal transitions: where a token leads, by the side that it gives us."""


class Handover:
    """What one server keeps for the hand-overs it takes part in. Bounded by `max_held` and `max_ids`."""

    def __init__(self, *, standby: bool, max_held: int, max_ids: int) -> None:
        self.phase = Phase.STANDBY if standby else Phase.ALONE
        self._max_held = max_held
        self._max_ids = max_ids
        self._held: OrderedDict[str, tuple[int, RequestArrived]] = OrderedDict()
        self.next_ns = NEVER
        """When the first of the held requests is opened without any news; they are not in order."""
        self._theirs: set[str] = set()
        self._spoken = False
        self._gone = False
        self._own: frozenset[str] = frozenset()

    def token(self, side: Literal["old", "new"], open_ids: Iterable[str]) -> Kind | None:
        """The transition token; `open_ids` are open here. None when it is out of turn."""
        after = _AFTER.get((self.phase, side))
        if after is None:
            return None
        self.phase, kind = after
        if self.phase is Phase.FINISHING:
            self._own = frozenset(open_ids)
        return kind

    def has_predecessor(self) -> bool:
        """Whether news of one can concern us."""
        return self.phase in (Phase.STANDBY, Phase.SUCCESSOR)

    def of_request(self, request_id: str, attempt: int) -> Kind | None:
        """Why a request that is not open here is not opened now; None = it is ours. `HELD_REQUEST`: hold it.

        Ids that we have answered are asked about only when finishing.
        """
        if self.phase is Phase.STANDBY:
            return Kind.STANDBY
        if self.phase is Phase.FINISHING:
            return None if request_id in self._own else Kind.HANDED_OVER
        if request_id in self._theirs:
            return Kind.WITH_PREDECESSOR
        if request_id in self._held:
            return Kind.DUPLICATE_REQUEST
        waiting = self.phase is Phase.SUCCESSOR and not self._spoken
        return Kind.HELD_REQUEST if waiting and attempt > 1 else None

    def of_word(self, request_id: str) -> Kind | None:
        """Why a score or decline for a request that we do not know is not held for it; None = it is."""
        if self.phase is Phase.STANDBY:
            return Kind.STANDBY
        if self.phase is Phase.FINISHING:
            return Kind.HANDED_OVER
        return Kind.WITH_PREDECESSOR if request_id in self._theirs else None

    def claims(self, request_id: str) -> bool:
        """Whether a request that is neither open nor answered here is nevertheless taken care of."""
        if self.phase is Phase.FINISHING:
            return request_id not in self._own
        return self.phase is Phase.STANDBY or request_id in self._held or request_id in self._theirs

    # requests held until the predecessor speaks

    def hold(self, request: RequestArrived, until: int) -> RequestArrived | None:
        """Keep a request; the one that had to make room for it, if one had."""
        _, oldest = self._held.popitem(last=False)[1] if len(self._held) >= self._max_held else (0, None)
        self._held[request.request_id] = (until, request)
        self._reckon()
        return oldest

    def overdue(self, now: int) -> list[RequestArrived]:
        """Held requests whose time is over, in order of arrival."""
        if self.next_ns > now:
            return []
        due = [request for until, request in self._held.values() if until <= now]
        for request in due:
            del self._held[request.request_id]
        self._reckon()
        return due

    def release(self) -> list[RequestArrived]:
        """All held requests, in order of arrival."""
        held = [request for _, request in self._held.values()]
        self._held.clear()
        self._reckon()
        return held

    def said(self, open_ids: list[str]) -> list[str]:
        """The predecessor has said what is open there; it replaces what it said before. Returns what we believe."""
        self._spoken = True
        believed = [] if self._gone else open_ids[: self._max_ids]
        self._theirs = set(believed)
        return believed

    def gone(self) -> None:
        """The predecessor has ended: nothing is open there."""
        self._spoken = self._gone = True
        self._theirs.clear()

    def _reckon(self) -> None:
        self.next_ns = min((until for until, _ in self._held.values()), default=NEVER)
