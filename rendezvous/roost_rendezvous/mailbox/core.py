"""The heart of Roost: a mailbox for each request, and exactly one official answer out of each, in time.

Rules kept here (Dunning & Friedman, ch. 3 "Rendezvous Style"; the order of judgement is in `box.judge`):

* Every request is answered exactly once, never after its default's time while the core is called in time.
* An ignored model (canary, decoy, preproduction) is recorded and never official.
* A schedule that is replaced counts for the next request; open mailboxes keep theirs.
* After its answer a mailbox stays open for a grace time, so that late scores are counted.
* Duplicates, strangers, late and early words, and everything over a bound have a named outcome.
* All is bounded by `MailboxPolicy`. An event costs O(log open); a model's death looks at every open mailbox once.

Not done here: reading messages, clocks, publishing, remembering the bytes of answers (see the package `server`).
Time is an argument, in nanoseconds, and never goes back. `handle` first does what is due, so a word that comes
at the very moment of the default comes after it.
"""

import heapq
from collections import OrderedDict
from collections.abc import Iterable
from sys import intern

from msgspec import Struct, field

from roost_broker.clock import MS
from roost_broker.messages import ModelOutcome
from roost_rendezvous.mailbox.actions import Action, Answer, Cause, Closed, Kind, Noted
from roost_rendezvous.mailbox.box import Box, Commit, Entry, improves, judge, outcomes, said
from roost_rendezvous.mailbox.early import EarlyWords
from roost_rendezvous.mailbox.events import (
    DeclinedArrived,
    Event,
    ModelGone,
    ModelUp,
    ModelWord,
    RequestArrived,
    ScheduleReplaced,
    ScoreArrived,
)
from roost_rendezvous.mailbox.plan import Plan
from roost_rendezvous.mailbox.policy import MailboxPolicy
from roost_rendezvous.mailbox.roster import Roster
from roost_rendezvous.schedule import Schedule


class _Answered(Struct, kw_only=True, gc=False):
    """What is kept of a mailbox in its grace time: little, for there may be many times more of them than open ones."""

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


class Rendezvous:
    """See the module's rules. `answered` are ids answered before a restart, oldest first."""

    def __init__(
        self, schedule: Schedule, policy: MailboxPolicy | None = None, *, answered: Iterable[str] = ()
    ) -> None:
        self._policy = policy or MailboxPolicy()
        self._plan = Plan(schedule)
        self._roster = Roster(self._policy.max_models)
        self._early = EarlyWords(self._policy.max_early, self._policy.early_ns)
        self._open: dict[str, Box] = {}
        self._grace: OrderedDict[str, _Answered] = OrderedDict()
        self._answered: OrderedDict[str, None] = OrderedDict()
        self._timers: list[tuple[int, int, Box]] = []
        self._timer_count = 0
        self._now = 0
        for request_id in answered:
            self._remember(request_id)

    @property
    def open_count(self) -> int:
        """Requests not answered yet."""
        return len(self._open)

    @property
    def schedule_version(self) -> str:
        """Version of the schedule that the next request gets."""
        return self._plan.version

    def is_open(self, request_id: str) -> bool:
        """Whether this request waits for its answer."""
        return request_id in self._open

    def knows(self, request_id: str) -> bool:
        """Whether this request is open, or its answer remembered."""
        return request_id in self._open or request_id in self._answered or request_id in self._grace

    def forget(self, request_id: str) -> None:
        """The bytes of this answer are lost: should the request come again, it is a new one."""
        self._answered.pop(request_id, None)
        self._grace.pop(request_id, None)

    def handle(self, event: Event, now: int) -> tuple[Action, ...]:
        """Take an event in. What was due before it is done first."""
        actions = list(self.expire(now))
        if isinstance(event, ScoreArrived | DeclinedArrived):
            self._word(event, actions)
        elif isinstance(event, RequestArrived):
            self._request(event, actions)
        elif isinstance(event, ModelUp | ModelGone):
            self._model(event, actions)
        else:
            self._replace(event, actions)
        return tuple(actions)

    def expire(self, now: int) -> tuple[Action, ...]:
        """Everything that is due: official steps, defaults, ends of grace times, strangers."""
        self._now = now = max(now, self._now)
        actions: list[Action] = []
        timers = self._timers
        while timers and timers[0][0] <= now:
            when, _, box = heapq.heappop(timers)
            if box.armed_ns == when:
                box.armed_ns = -1
                self._judge(box, box.message_id, actions)
        while self._grace and (first := next(iter(self._grace.values()))).until_ns <= now:
            self._close(first, actions)
        for word in self._early.expire(now):
            actions.append(Noted(Kind.STRANGER, word.message_id, word.request_id, word.model))
        return tuple(actions)

    def deadline(self) -> int | None:
        """When `expire` must be called next; None = nothing is waiting for time."""
        timers = self._timers
        while timers and timers[0][2].armed_ns != timers[0][0]:
            heapq.heappop(timers)
        candidates = [timers[0][0]] if timers else []
        if self._grace:
            candidates.append(next(iter(self._grace.values())).until_ns)
        early = self._early.deadline()
        if early is not None:
            candidates.append(early)
        return min(candidates, default=None)

    # requests

    def _request(self, event: RequestArrived, actions: list[Action]) -> None:
        request_id = event.request_id
        if request_id in self._open:
            actions.append(Noted(Kind.DUPLICATE_REQUEST, event.message_id, request_id))
            return
        if request_id in self._answered or request_id in self._grace:
            actions.append(Noted(Kind.REPEATED_REQUEST, event.message_id, request_id))
            return
        box = self._new_box(event)
        if box.late:
            actions.append(Noted(Kind.LATE_REQUEST, event.message_id, request_id))
        if not self._room_for_one(event, actions):
            actions.append(Noted(Kind.OVER_CAPACITY, event.message_id, request_id))
            actions.append(self._answer(box, Commit(None, "over capacity"), event.message_id))
            self._remember(request_id)
            return
        self._open[request_id] = box
        for word in self._early.take(request_id):
            self._record(box, word, actions)
        self._judge(box, event.message_id, actions)

    def _new_box(self, event: RequestArrived) -> Box:
        now = self._now
        plan = self._plan if event.override is None else Plan(event.override)
        opened = min(event.opened_ns, now)
        age, deadline = now - opened, event.deadline_ms * MS
        late = age >= deadline
        # Older than the SLA, the promise is broken already: an answer from now on is better than a default at once.
        start = now if late or age >= plan.sla_ms * MS else opened
        left = deadline if late else deadline - (start - opened)
        return Box(
            request_id=event.request_id,
            message_id=event.message_id,
            plan=plan,
            opened_ns=opened,
            start_ns=start,
            default_ns=start + plan.default_after_ns(left),
            late=late,
            override=event.override is not None,
            context=event.context,
        )

    def _room_for_one(self, event: RequestArrived, actions: list[Action]) -> bool:
        if len(self._open) + len(self._grace) < self._policy.max_open:
            return True
        if not self._grace:
            return False
        self._cut_grace_short(event.message_id, actions)
        return True

    def _cut_grace_short(self, event_id: str, actions: list[Action]) -> None:
        oldest = next(iter(self._grace.values()))
        actions.append(Noted(Kind.GRACE_CUT, event_id, oldest.request_id))
        self._close(oldest, actions)

    # what models say

    def _word(self, word: ModelWord, actions: list[Action]) -> None:
        box = self._open.get(word.request_id)
        if box is not None:
            if self._record(box, word, actions):
                self._judge(box, word.message_id, actions)
            return
        grace = self._grace.get(word.request_id)
        if grace is not None:
            self._record_late(grace, word, actions)
        elif word.request_id in self._answered:
            actions.append(_noted(Kind.LATE_SCORE, Kind.LATE_DECLINE, word))
        else:
            actions.append(_noted(Kind.EARLY_WORD, Kind.EARLY_WORD, word))
            for dropped in self._early.hold(word, self._now):
                actions.append(_noted(Kind.STRANGER, Kind.STRANGER, dropped))

    def _record(self, box: Box, word: ModelWord, actions: list[Action]) -> bool:
        """Put a word into the mailbox; whether a judgement may have changed by it."""
        before = box.entries.get(word.model)
        scored = None if before is None else isinstance(before.word, ScoreArrived)
        kind = self._refusal(box.plan, scored, len(box.entries), word)
        if kind is not None:
            actions.append(_noted(kind, kind, word))
            return False
        box.entries[word.model] = Entry(word, self._now)
        if isinstance(word, DeclinedArrived):
            return True
        if word.model in box.plan.ignored:
            actions.append(_noted(Kind.IGNORED_SCORE, Kind.IGNORED_SCORE, word))
            return False
        if improves(box, word):
            box.best = word
            return True
        if box.plan.official_ns(word.model) is None:
            actions.append(_noted(Kind.UNLISTED_SCORE, Kind.UNLISTED_SCORE, word))
        return False

    def _refusal(self, plan: Plan, scored: bool | None, count: int, word: ModelWord) -> Kind | None:
        """Why a word is not taken; `scored` is what the same model said before, `count` how many models spoke.

        A score after the same model's decline is taken: it is the better news. A model that the schedule names always
        has room, however many strangers flood the mailbox.
        """
        if scored is None:
            full = count >= self._policy.max_models and not plan.lists(word.model)
            return Kind.TOO_MANY_MODELS if full else None
        if isinstance(word, DeclinedArrived):
            return Kind.DUPLICATE_DECLINE
        return Kind.DUPLICATE_SCORE if scored else None

    def _record_late(self, grace: _Answered, word: ModelWord, actions: list[Action]) -> None:
        kind = self._refusal(grace.plan, grace.scored.get(word.model), len(grace.scored), word)
        if kind is None:
            score = isinstance(word, ScoreArrived)
            kind = Kind.LATE_SCORE if score else Kind.LATE_DECLINE
            grace.scored[word.model] = score
            grace.late.append(said(grace.plan, grace.opened_ns, Entry(word, self._now)))
        actions.append(_noted(kind, kind, word))

    # models and schedules

    def _model(self, event: ModelUp | ModelGone, actions: list[Action]) -> None:
        before = self._roster.get(event.model)
        taken = self._roster.note(event, listed=self._plan.lists(event.model))
        if taken != "taken":
            kind = Kind.STALE_STATE if taken == "stale" else Kind.TOO_MANY_MODELS
            actions.append(Noted(kind, event.message_id, model=event.model))
            return
        died = isinstance(event, ModelGone) and before is not None and before.up
        if died or before is None:  # a repeated state, or a return, settles nothing
            for box in list(self._open.values()):
                self._judge(box, event.message_id, actions)

    def _replace(self, event: ScheduleReplaced, actions: list[Action]) -> None:
        self._plan = Plan(event.schedule)
        actions.append(Noted(Kind.SCHEDULE_APPLIED, event.message_id))

    # answers

    def _judge(self, box: Box, event_id: str, actions: list[Action]) -> None:
        verdict = judge(box, self._roster, self._now)
        if isinstance(verdict, Commit):
            self._commit(box, verdict, event_id, actions)
        elif box.armed_ns < 0 or verdict < box.armed_ns:
            self._arm(box, verdict)

    def _commit(self, box: Box, commit: Commit, event_id: str, actions: list[Action]) -> None:
        del self._open[box.request_id]
        box.armed_ns = -1
        answer = self._answer(box, commit, event_id)
        actions.append(answer)
        self._remember(box.request_id)
        self._grace[box.request_id] = _Answered(
            request_id=box.request_id,
            message_id=box.message_id,
            plan=box.plan,
            opened_ns=box.opened_ns,
            cause=answer.cause,
            model=commit.chosen.model if commit.chosen is not None else "",
            until_ns=self._now + self._policy.grace_ns,
            scored={intern(model): isinstance(entry.word, ScoreArrived) for model, entry in box.entries.items()},
        )
        if len(self._grace) > self._policy.max_grace:
            self._cut_grace_short(event_id, actions)
        # A timer that no longer counts may keep the box for a while; what was in it is let go now.
        box.entries, box.best, box.context = {}, None, None

    def _answer(self, box: Box, commit: Commit, event_id: str) -> Answer:
        chosen = commit.chosen
        cause: Cause = "default"
        if chosen is not None:
            cause = "override" if box.override else "preferred" if box.plan.prefers(chosen.model) else "fallback"
        return Answer(
            event_id=event_id,
            request_id=box.request_id,
            cause=cause,
            reason=commit.reason,
            chosen=chosen,
            label=box.plan.label if chosen is None else chosen.label,
            elapsed_ns=self._now - box.opened_ns,
            sla_ms=box.plan.sla_ms,
            late=box.late,
            schedule_version=box.plan.version,
            outcomes=outcomes(box, self._roster),
            context=box.context,
        )

    def _close(self, grace: _Answered, actions: list[Action]) -> None:
        del self._grace[grace.request_id]
        actions.append(
            Closed(
                event_id=grace.message_id,
                request_id=grace.request_id,
                cause=grace.cause,
                model=grace.model,
                late=tuple(grace.late),
            )
        )

    def _remember(self, request_id: str) -> None:
        self._answered[request_id] = None
        if len(self._answered) > self._policy.remember_answered:
            self._answered.popitem(last=False)

    def _arm(self, box: Box, when: int) -> None:
        """One timer counts for each box; those that no longer count are skipped, and swept out when they are many."""
        box.armed_ns = when
        self._timer_count += 1
        heapq.heappush(self._timers, (when, self._timer_count, box))
        if len(self._timers) > 1024 + 3 * len(self._open):
            self._timers[:] = [timer for timer in self._timers if timer[2].armed_ns == timer[0]]
            heapq.heapify(self._timers)


def _noted(score: Kind, decline: Kind, word: ModelWord) -> Noted:
    kind = score if isinstance(word, ScoreArrived) else decline
    return Noted(kind, word.message_id, word.request_id, word.model)
