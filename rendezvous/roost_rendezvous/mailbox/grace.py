"""Answered mailboxes in their grace time: late scores are counted, oldest first to be closed.

Little is kept of each, for there may be many times more of them than open ones.
"""

from collections import OrderedDict
from sys import intern

from msgspec import Struct, field

from roost_broker.messages import ModelOutcome
from roost_rendezvous.mailbox.actions import Cause, Closed
from roost_rendezvous.mailbox.box import Box, entry_of, said
from roost_rendezvous.mailbox.events import ModelWord
from roost_rendezvous.mailbox.plan import Plan
from roost_rendezvous.mailbox.timers import NEVER


class Answered(Struct, kw_only=True, gc=False):
    """What is kept of one."""

    request_id: str
    message_id: str
    plan: Plan
    opened_ns: int
    cause: Cause
    model: str
    until_ns: int
    scored: dict[str, bool]
    """Models that said something: True = a score, False = a decline."""
    late: list[ModelOutcome] = field(default_factory=list)

    def record(self, word: ModelWord, now: int) -> bool:
        """Keep a late word; whether it is a score."""
        entry = entry_of(word, now)
        self.scored[word.model] = entry.scored
        self.late.append(said(self.plan, self.opened_ns, entry))
        return entry.scored


class GraceTime:
    """Answered mailboxes by request id, oldest first."""

    def __init__(self) -> None:
        self.boxes: OrderedDict[str, Answered] = OrderedDict()
        """By request id, oldest first; to be changed by nobody else."""
        self.next_ns = NEVER
        """When the oldest is to be closed."""

    def begin(self, box: Box, cause: Cause, model: str, until_ns: int) -> None:
        """This mailbox has been answered."""
        self.boxes[box.request_id] = Answered(
            request_id=box.request_id,
            message_id=box.message_id,
            plan=box.plan,
            opened_ns=box.opened_ns,
            cause=cause,
            model=model,
            until_ns=until_ns,
            scored={intern(name): entry.scored for name, entry in box.entries.items()},
        )
        if until_ns < self.next_ns:
            self.next_ns = until_ns

    def close_oldest(self) -> Closed:
        """Close the oldest, whatever its time."""
        _, answered = self.boxes.popitem(last=False)
        self._reckon()
        return Closed(
            event_id=answered.message_id,
            request_id=answered.request_id,
            cause=answered.cause,
            model=answered.model,
            late=tuple(answered.late),
        )

    def forget(self, request_id: str) -> None:
        """Drop one without a word."""
        if self.boxes.pop(request_id, None) is not None:
            self._reckon()

    def _reckon(self) -> None:
        self.next_ns = next((answered.until_ns for answered in self.boxes.values()), NEVER)
