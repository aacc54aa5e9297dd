"""The server's part in a hand-over, on either side of it (see the package `handover`).

    old   snapshot token: writes what it knows · transition token: writes what is left, finishes it, and ends
    new   stands by · reads the snapshot · transition token: is in charge · learns what the old one goes on with

What is answered twice hangs on three things: the order of the input stream, in which both meet the same token; the
journal, which both read; and the word of the old one, who alone knows what is still open there.

The broker may die with a token in hand. So each watches the other's state as well: when the other one says that it has
met a transition token and ours has not come within `TOKEN_LOST_S`, we act as if it had.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from roost_broker.errors import Malformed
from roost_broker.ids import is_id
from roost_broker.messages import RoleState, Token
from roost_rendezvous.handover import files, words
from roost_rendezvous.handover.files import RendezvousKnowledge
from roost_rendezvous.mailbox.events import Event, PredecessorGone, PredecessorSaid, TransitionToken

_log = logging.getLogger(__name__)

COMPONENT: Literal["rendezvous"] = "rendezvous"
TOKEN_LOST_S = 1.0
_LOOK_S = 0.01
_LOOK_FOR_S = 30.0
_ENDED = ("stopped", "gone", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """What the succession may do with its server."""

    tell: Callable[[Event], None]
    """Tell the core, and do what it wants done."""
    knowledge: Callable[[str], RendezvousKnowledge]
    """What the server knows now, for the hand-over of this id."""
    answered: Callable[[], tuple[str, ...]]
    """Ids of all answers that can be repeated, the other slot's newest ones included; oldest first."""
    say: Callable[[str], object]
    """Publish the role's state with this detail."""
    in_charge: Callable[[str], None]
    """Remember over restarts that this role is in charge from now on."""
    idle: Callable[[], bool]
    """Whether nothing is open, waited for or on its way out."""
    end: Callable[[], None]
    """End the role in order."""
    defect: Callable[[BaseException], None]
    """End the role loudly."""


class Succession:
    """See the module. `role` and `other` are the names of the two slots' roles."""

    def __init__(
        self, role: str, other: str, folder: Path, *, standby: bool, counts: Counter[str], hands: Hands
    ) -> None:
        self.side: Literal["active", "standby", "finishing"] = "standby" if standby else "active"
        self.detail = words.STANDBY if standby else ""
        self._role, self._other = role, other
        self._folder = folder
        self._counts = counts
        self._hands = hands
        self._has_predecessor = False
        self._other_ended = False
        self._at_snapshot: RendezvousKnowledge | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def close(self) -> None:
        """Look at nothing any more."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def resume(self) -> None:
        """It met its transition token in an earlier process: go on from the newest hand-over, without saying so yet."""
        place = files.newest(self._folder)
        self._begin_charge(place, place.name)

    def token(self, token: Token) -> None:
        """A token on the input stream. Raises `PeerError` for one that cannot be meant so."""
        if token.component != COMPONENT or self._role not in (token.old, token.new):
            self._counts["tokens-of-others"] += 1
            return
        place = files.checked_location(self._folder, token)
        mine = token.old == self._role
        if token.kind == "snapshot":
            if mine:
                self._write_snapshot(place, token)
            elif self.side == "standby":
                self._look("snapshot", files.snapshot_path(place), self._has_snapshot)
        elif mine:
            self._hand_over(place, token.handover_id, token.message_id)
        else:
            self._take_over(place, token.handover_id, token.message_id)

    def other_said(self, state: RoleState | None) -> None:
        """The state of the other slot's role; None when its topic was cleared."""
        self._other_ended = state is None or state.state in _ENDED
        detail = state.detail if state is not None else ""
        theirs = self.side == "active" and not self._has_predecessor and words.says_in_charge(detail)
        ours = self.side == "standby" and words.has_handed_over(detail)
        if ours or theirs:
            self._later("token lost", TOKEN_LOST_S, lambda: self._token_lost(detail))
        if self._other_ended:
            self._predecessor_gone()

    # the old one

    def _write_snapshot(self, place: Path, token: Token) -> None:
        if self.side != "active":
            self._counts["token-out-of-turn"] += 1
            return
        self._at_snapshot = self._hands.knowledge(token.handover_id)
        self._write(files.snapshot_path(place), self._at_snapshot)
        self._counts["snapshots"] += 1

    def _hand_over(self, place: Path, handover_id: str, event_id: str) -> None:
        self._hands.tell(TransitionToken(message_id=event_id, side="old"))
        if self.side != "active":
            return
        self.side, self.detail = "finishing", words.finishing(handover_id)
        self._hands.in_charge(self._other)
        known = self._hands.knowledge(handover_id)
        before = set(self._at_snapshot.answered) if self._at_snapshot is not None else set()
        self._write(files.final_path(place), known.since(before))
        self._hands.say(self.detail)
        self._finish()

    def _finish(self) -> None:
        if self._hands.idle():
            self._hands.end()
        else:
            self._later("finish", 5 * _LOOK_S, self._finish)

    def _write(self, path: Path, known: RendezvousKnowledge) -> None:
        """A card that is full must not cost an answer: the conductor misses the snapshot and says so."""
        try:
            files.write(path, known)
        except OSError as error:
            self._counts["handover-file-failed"] += 1
            _log.warning("%s cannot be written: %s", path, error)

    # the new one

    def _has_snapshot(self, known: RendezvousKnowledge) -> None:
        mine = self._hands.knowledge(known.handover_id)
        if mine.schedule_version != known.schedule_version:
            self.detail = words.no_snapshot(
                f"the schedule there is {known.schedule_version}, here it is {mine.schedule_version}"
            )
        else:
            self._at_snapshot = known
            self.detail = words.has_snapshot(known.handover_id)
        self._hands.say(self.detail)

    def _take_over(self, place: Path, handover_id: str, event_id: str) -> None:
        if self.side == "standby":
            self._hands.in_charge(self._role)  # before the first request behind the token
            self._begin_charge(place, handover_id, event_id)
            self._hands.say(self.detail)
        else:
            self._hands.tell(TransitionToken(message_id=event_id, side="new"))

    def _begin_charge(self, place: Path, handover_id: str, event_id: str = "") -> None:
        self.side, self.detail = "active", words.in_charge(handover_id)
        self._has_predecessor = True
        self._hands.tell(TransitionToken(message_id=event_id, side="new"))
        self._look("final", files.final_path(place), self._predecessor_said)
        if self._other_ended:
            self._predecessor_gone()

    def _predecessor_said(self, known: RendezvousKnowledge) -> None:
        if self._has_predecessor:  # else all of its answers are in the journal already
            self._hands.tell(
                PredecessorSaid(message_id=known.handover_id, open_ids=known.open, answered_ids=self._hands.answered())
            )

    def _predecessor_gone(self) -> None:
        """What it answered to its very end is in the journal; what it left open is new when it is asked again."""
        if self.side == "active" and self._has_predecessor:
            self._has_predecessor = False
            self._cancel("final")
            self._hands.tell(PredecessorSaid(message_id="", open_ids=(), answered_ids=self._hands.answered()))
            self._hands.tell(PredecessorGone(message_id=""))

    # what got lost

    def _token_lost(self, detail: str) -> None:
        handover_id = detail.rsplit(" ", 1)[-1]
        if not is_id(handover_id):  # it becomes the name of a folder
            self._counts["tokens-of-others"] += 1
            return
        place = files.location(self._folder, handover_id)
        if self.side == "standby":
            self._counts["token-lost"] += 1
            self._take_over(place, handover_id, "")
        elif self.side == "active" and not self._has_predecessor:
            self._counts["token-lost"] += 1
            self._hand_over(place, handover_id, "")

    # files and timers

    def _look(
        self, name: str, path: Path, then: Callable[[RendezvousKnowledge], None], left_s: float = _LOOK_FOR_S
    ) -> None:
        """Wait for a file without blocking: now, and every hundredth of a second for a while."""
        try:
            known = files.read(path, RendezvousKnowledge)
        except Malformed:
            self._counts["handover-file-unreadable"] += 1
            return
        if known is not None:
            then(known)
        elif left_s > 0:
            self._later(name, _LOOK_S, lambda: self._look(name, path, then, left_s - _LOOK_S))

    def _later(self, name: str, delay_s: float, call: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                call()
            except Exception as error:  # noqa: BLE001 - a defect: the process ends loudly
                self._hands.defect(error)

        self._cancel(name)
        self._timers[name] = asyncio.get_running_loop().call_later(delay_s, guarded)

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()
