"""Drives the core as a punctual shell does, and keeps the whole history for the oracle."""

from typing import Literal

from rendezvous_oracle import Happening, expected

from roost_broker.clock import MS
from roost_rendezvous.mailbox.actions import Action, Answer, Closed, Noted
from roost_rendezvous.mailbox.core import Rendezvous
from roost_rendezvous.mailbox.events import (
    DeclinedArrived,
    Event,
    ModelGone,
    ModelUp,
    PredecessorGone,
    PredecessorSaid,
    RequestArrived,
    ScheduleReplaced,
    ScoreArrived,
    TransitionToken,
)
from roost_rendezvous.mailbox.policy import MailboxPolicy
from roost_rendezvous.schedule import Schedule


class World:
    """A core, its clock, what went in and what came out."""

    def __init__(self, schedule: Schedule, policy: MailboxPolicy, *, standby: bool = False) -> None:
        self.first_schedule = schedule
        self.policy = policy
        self.standby = standby
        self.core = Rendezvous(schedule, policy, standby=standby)
        self.now = 1_000 * MS
        self.history: list[Happening] = []
        self.answers: dict[str, list[tuple[int, Answer]]] = {}
        self.opened: dict[str, Happening] = {}
        self.closed: list[str] = []
        self.noted: list[Noted] = []

    def advance(self, ns: int) -> None:
        """Time passes; the core is woken whenever it asked to be."""
        end = self.now + ns
        while (due := self.core.deadline()) is not None and due <= end:
            assert due >= self.now, "a deadline in the past would make the shell spin"
            self.now = due
            self._did(self.core.expire(due))
            later = self.core.deadline()
            assert later is None or later > due, "expire left something due"
        self.now = end

    def _tell(self, event: Event, what: Happening) -> tuple[Action, ...]:
        self.history.append(what)
        actions = self.core.handle(event, self.now)
        self._did(actions)
        return actions

    def _id(self) -> str:
        return f"m{len(self.history)}"

    def _did(self, actions: tuple[Action, ...]) -> None:
        for action in actions:
            if isinstance(action, Answer):
                self.answers.setdefault(action.request_id, []).append((self.now, action))
            elif isinstance(action, Closed):
                self.closed.append(action.request_id)
            else:
                self.noted.append(action)

    def request(
        self,
        request_id: str,
        *,
        age: int = 0,
        deadline_ms: int = 40,
        override: Schedule | None = None,
        tags: dict[str, str] | None = None,
        attempt: int = 1,
    ) -> tuple[Action, ...]:
        what = Happening(
            self.now,
            "request",
            request_id,
            opened=self.now - age,
            deadline_ms=deadline_ms,
            override=override,
            tags=tags or {},
            attempt=attempt,
        )
        self.opened.setdefault(request_id, what)
        return self._tell(
            RequestArrived(
                message_id=self._id(),
                request_id=request_id,
                opened_ns=what.opened,
                deadline_ms=deadline_ms,
                override=override,
                tags=what.tags,
                attempt=attempt,
                context=request_id,
            ),
            what,
        )

    def score(self, request_id: str, model: str, label: str = "", score: float = 0.0) -> tuple[Action, ...]:
        label = label or f"by-{model}"
        return self._tell(
            ScoreArrived(message_id=self._id(), request_id=request_id, model=model, label=label, score=score),
            Happening(self.now, "score", request_id, model, label=label, score=score),
        )

    def decline(self, request_id: str, model: str) -> tuple[Action, ...]:
        return self._tell(
            DeclinedArrived(message_id=self._id(), request_id=request_id, model=model, reason="behind"),
            Happening(self.now, "decline", request_id, model),
        )

    def up(self, model: str, replica: int = 0) -> tuple[Action, ...]:
        return self._tell(
            ModelUp(message_id=self._id(), model=model, replica=replica),
            Happening(self.now, "up", model=model, replica=replica),
        )

    def gone(self, model: str, replica: int = 0) -> tuple[Action, ...]:
        return self._tell(
            ModelGone(message_id=self._id(), model=model, replica=replica),
            Happening(self.now, "gone", model=model, replica=replica),
        )

    def replace(self, schedule: Schedule) -> tuple[Action, ...]:
        return self._tell(
            ScheduleReplaced(message_id=self._id(), schedule=schedule),
            Happening(self.now, "schedule", schedule=schedule),
        )

    def token(self, side: Literal["old", "new"]) -> tuple[Action, ...]:
        return self._tell(TransitionToken(message_id=self._id(), side=side), Happening(self.now, "token", side=side))

    def predecessor_said(self, open_ids: tuple[str, ...], answered_ids: tuple[str, ...]) -> tuple[Action, ...]:
        return self._tell(
            PredecessorSaid(message_id=self._id(), open_ids=open_ids, answered_ids=answered_ids),
            Happening(self.now, "said", open_ids=open_ids, answered_ids=answered_ids),
        )

    def predecessor_gone(self) -> tuple[Action, ...]:
        return self._tell(PredecessorGone(message_id=self._id()), Happening(self.now, "ended"))

    def check(self) -> None:
        """What was to be answered was, exactly once, at the right moment, by the right model, for the right cause."""
        assert self.core.open_count == 0
        for request_id in self.opened:
            self._check_one(request_id)

    def _check_one(self, request_id: str) -> None:
        given = self.answers.get(request_id, [])
        wanted = expected(
            self._relevant(request_id),
            request_id,
            self.first_schedule,
            self.policy.early_ns,
            self.now,
            phase="standby" if self.standby else "alone",
        )
        if wanted is None:
            assert given == [], f"{request_id} was not ours to answer"
            return
        assert len(given) == 1, f"{request_id} was answered {len(given)} times"
        at, answer = given[0]
        chosen = answer.chosen and answer.chosen.model
        assert (at, chosen, answer.cause, answer.label) == (wanted.at, wanted.model, wanted.cause, wanted.label)
        assert answer.context == request_id
        assert (answer.cohort, answer.propensity) == (wanted.cohort, wanted.propensity)
        assert (answer.late, answer.schedule_version) == (wanted.late, wanted.version)
        assert at <= max(wanted.taken, wanted.start + wanted.deadline_ms * MS)

    def _relevant(self, request_id: str) -> list[Happening]:
        return [h for h in self.history if not h.request_id or h.request_id == request_id]
