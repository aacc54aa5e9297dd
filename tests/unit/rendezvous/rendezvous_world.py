"""Drives the core as a punctual shell does, and keeps the whole history for the oracle."""

from rendezvous_oracle import Happening, expected

from roost_broker.clock import MS
from roost_rendezvous.mailbox.actions import Action, Answer, Closed, Noted
from roost_rendezvous.mailbox.core import Rendezvous
from roost_rendezvous.mailbox.events import (
    DeclinedArrived,
    Event,
    ModelGone,
    ModelUp,
    RequestArrived,
    ScheduleReplaced,
    ScoreArrived,
)
from roost_rendezvous.mailbox.policy import MailboxPolicy
from roost_rendezvous.schedule import Schedule


class World:
    """A core, its clock, what went in and what came out."""

    def __init__(self, schedule: Schedule, policy: MailboxPolicy) -> None:
        self.first_schedule = schedule
        self.policy = policy
        self.core = Rendezvous(schedule, policy)
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

    def _did(self, actions: tuple[Action, ...]) -> None:
        for action in actions:
            if isinstance(action, Answer):
                self.answers.setdefault(action.request_id, []).append((self.now, action))
            elif isinstance(action, Closed):
                self.closed.append(action.request_id)
            else:
                self.noted.append(action)

    def request(
        self, request_id: str, *, age: int = 0, deadline_ms: int = 40, override: Schedule | None = None
    ) -> tuple[Action, ...]:
        opened = self.now - age
        what = Happening(self.now, "request", request_id, opened=opened, deadline_ms=deadline_ms, override=override)
        self.opened.setdefault(request_id, what)
        return self._tell(
            RequestArrived(
                message_id=f"m{len(self.history)}",
                request_id=request_id,
                opened_ns=opened,
                deadline_ms=deadline_ms,
                override=override,
                context=request_id,
            ),
            what,
        )

    def score(self, request_id: str, model: str) -> tuple[Action, ...]:
        return self._tell(
            ScoreArrived(message_id=f"m{len(self.history)}", request_id=request_id, model=model, label=f"by-{model}"),
            Happening(self.now, "score", request_id, model),
        )

    def decline(self, request_id: str, model: str) -> tuple[Action, ...]:
        return self._tell(
            DeclinedArrived(message_id=f"m{len(self.history)}", request_id=request_id, model=model, reason="behind"),
            Happening(self.now, "decline", request_id, model),
        )

    def up(self, model: str) -> tuple[Action, ...]:
        return self._tell(
            ModelUp(message_id=f"m{len(self.history)}", model=model), Happening(self.now, "up", model=model)
        )

    def gone(self, model: str) -> tuple[Action, ...]:
        return self._tell(
            ModelGone(message_id=f"m{len(self.history)}", model=model), Happening(self.now, "gone", model=model)
        )

    def replace(self, schedule: Schedule) -> tuple[Action, ...]:
        return self._tell(
            ScheduleReplaced(message_id=f"m{len(self.history)}", schedule=schedule),
            Happening(self.now, "schedule", schedule=schedule),
        )

    def check(self) -> None:
        """Everything answered exactly once, at the right moment, by the right model, for the right cause."""
        assert self.core.open_count == 0
        schedule = self.first_schedule
        for what in self.history:
            if what.schedule is not None:
                schedule = what.schedule
            if self.opened.get(what.request_id) is not what:
                continue
            self._check_one(what, what.override or schedule)

    def _check_one(self, what: Happening, schedule: Schedule) -> None:
        given = self.answers.get(what.request_id, [])
        assert len(given) == 1, f"{what.request_id} was answered {len(given)} times"
        at, answer = given[0]
        wanted = expected(self._relevant(what), what.request_id, self.first_schedule, self.policy.early_ns, self.now)
        assert (at, answer.chosen and answer.chosen.model, answer.cause) == (wanted.at, wanted.model, wanted.cause)
        assert answer.chosen is None or answer.chosen.model not in schedule.ignore
        assert answer.context == what.request_id
        late = what.at - min(what.opened, what.at) >= what.deadline_ms * MS
        assert answer.late == late
        start = what.at if late or what.at - what.opened >= schedule.sla_ms * MS else what.opened
        assert at <= max(what.at, start + min(what.deadline_ms, schedule.sla_ms) * MS)
        assert answer.schedule_version == schedule.version

    def _relevant(self, what: Happening) -> list[Happening]:
        return [h for h in self.history if not h.request_id or h.request_id == what.request_id]
