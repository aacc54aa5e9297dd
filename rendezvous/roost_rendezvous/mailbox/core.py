"""The heart of Roost: a mailbox for each request, and exactly one official answer out of each, in time.

Rules kept here (Dunning & Friedman, ch. 3 "Rendezvous Style"; the order of judgement is in `box.judge`):

* Every request is answered exactly once, never after its default's time while the core is called in time.
* An ignored model (canary, decoy, preproduction) is recorded and never official.
* A schedule that is replaced counts for the next request; open mailboxes keep theirs.
* After its answer a mailbox stays open for a grace time, so that late scores are counted.
* In a hand-over every request is the old server's or the new one's, never both (see `handover`).
* Duplicates, strangers, late and early words, and everything over a bound have a named outcome.
* All is bounded by `MailboxPolicy`. An event costs O(log open); a model's death looks at every open mailbox once.

Not done here: reading messages, clocks, publishing, remembering the bytes of answers (see the package `server`).
Time is an argument, in nanoseconds, and never goes back. `handle` first does what is due, so a word that comes
at the very moment of the default comes after it.
"""

from collections import OrderedDict
from collections.abc import Iterable

from roost_rendezvous.mailbox.actions import Action, Answer, Cause, Kind, Noted
from roost_rendezvous.mailbox.box import Box, Commit, entry_of, improves, judge, official_from, outcomes, poll
from roost_rendezvous.mailbox.early import EarlyWords
from roost_rendezvous.mailbox.events import (
    DeclinedArrived,
    Event,
    ModelGone,
    ModelUp,
    ModelWord,
    PredecessorGone,
    PredecessorSaid,
    RequestArrived,
    ScheduleReplaced,
    ScoreArrived,
    TransitionToken,
)
from roost_rendezvous.mailbox.grace import Answered, GraceTime
from roost_rendezvous.mailbox.handover import Handover, Phase
from roost_rendezvous.mailbox.opening import open_box
from roost_rendezvous.mailbox.plan import Plan, Plans
from roost_rendezvous.mailbox.policy import MailboxPolicy
from roost_rendezvous.mailbox.roster import Roster
from roost_rendezvous.mailbox.timers import NEVER, Timers
from roost_rendezvous.schedule import Schedule

_WORDS = (ScoreArrived, DeclinedArrived)  # made once: a union would be made anew for each event


class Rendezvous:
    """See the module's rules. `answered` are ids answered before a restart, oldest first.

    `standby`: another server still runs; this one follows schedule and models, and waits for its transition token.
    """

    def __init__(
        self,
        schedule: Schedule,
        policy: MailboxPolicy | None = None,
        *,
        answered: Iterable[str] = (),
        standby: bool = False,
    ) -> None:
        self._policy = policy = policy or MailboxPolicy()
        self._plans = Plans(schedule)
        self._roster = Roster(policy.max_models)
        self._early = EarlyWords(policy.max_early, policy.max_early_bytes, policy.early_ns)
        self._handover = Handover(standby=standby, max_held=policy.max_held, max_ids=policy.max_open)
        self._open: dict[str, Box] = {}
        self._open_bytes = 0
        self._grace = GraceTime()
        self._answered: OrderedDict[str, None] = OrderedDict()
        self._timers = Timers()
        self._now = 0
        self._wake_ns = NEVER
        """Nothing is due before; what is armed lowers it."""
        for request_id in answered:
            self._remember(request_id)

    @property
    def open_count(self) -> int:
        """Requests not answered yet."""
        return len(self._open)

    @property
    def schedule_version(self) -> str:
        """Version of the schedule that the next request gets."""
        return self._plans.version

    @property
    def standby(self) -> bool:
        """Whether this server waits for its transition token."""
        return self._handover.phase is Phase.STANDBY

    @property
    def finishing(self) -> bool:
        """Whether this server has handed over and only ends what is open."""
        return self._handover.phase is Phase.FINISHING

    def open_ids(self) -> tuple[str, ...]:
        """Requests not answered yet, oldest first."""
        return tuple(self._open)

    def is_open(self, request_id: str) -> bool:
        """Whether this request waits for its answer."""
        return request_id in self._open

    def knows(self, request_id: str) -> bool:
        """Whether this request is taken care of: open, its answer remembered, held, or another server's."""
        known = request_id in self._open or request_id in self._answered or request_id in self._grace.boxes
        return known or self._handover.claims(request_id)

    def forget(self, request_id: str) -> None:
        """The bytes of this answer are lost: should the request come again, it is a new one."""
        self._answered.pop(request_id, None)
        self._grace.forget(request_id)

    def handle(self, event: Event, now: int) -> tuple[Action, ...]:
        """Take an event in. What was due before it is done first."""
        actions: list[Action] = []
        if now >= self._wake_ns:
            actions += self.expire(now)
        elif now > self._now:
            self._now = now
        if isinstance(event, _WORDS):
            self._word(event, actions)
        elif isinstance(event, RequestArrived):
            self._request(event, actions)
        elif isinstance(event, ModelUp | ModelGone):
            self._model(event, actions)
        elif isinstance(event, ScheduleReplaced):
            self._plans = Plans(event.schedule)
            actions.append(Noted(Kind.SCHEDULE_APPLIED, event.message_id))
        elif isinstance(event, TransitionToken):
            self._token(event, actions)
        else:
            self._predecessor(event, actions)
        return tuple(actions)

    def expire(self, now: int) -> tuple[Action, ...]:
        """Everything that is due: official steps, defaults, ends of grace times, strangers, held requests."""
        self._now = now = max(now, self._now)
        actions: list[Action] = []
        for request in self._handover.overdue(now):
            self._take(request, actions)
        while (box := self._timers.due(now)) is not None:
            self._judge(box, box.message_id, actions)
        while self._grace.next_ns <= now:
            actions.append(self._grace.close_oldest())
        for word in self._early.expire(now):
            actions.append(_noted(Kind.STRANGER, word))
        self.deadline()
        return tuple(actions)

    def deadline(self) -> int | None:
        """When `expire` must be called next; None = nothing is waiting for time."""
        due = min(self._timers.deadline(), self._grace.next_ns, self._early.next_ns, self._handover.next_ns)
        self._wake_ns = due
        return None if due == NEVER else due

    # requests

    def _request(self, event: RequestArrived, actions: list[Action]) -> None:
        request_id, phase = event.request_id, self._handover.phase
        if request_id in self._open:
            actions.append(Noted(Kind.DUPLICATE_REQUEST, event.message_id, request_id))
            return
        kind = None if phase is Phase.ALONE else self._handover.of_request(request_id, event.attempt)
        answered = request_id in self._answered or request_id in self._grace.boxes
        if answered and kind is not Kind.STANDBY and kind is not Kind.HANDED_OVER:
            kind = Kind.REPEATED_REQUEST
        if kind is None:
            self._take(event, actions)
            return
        actions.append(Noted(kind, event.message_id, request_id))
        if kind is Kind.HELD_REQUEST:
            self._hold(event, actions)

    def _take(self, event: RequestArrived, actions: list[Action]) -> None:
        """Open the mailbox of a request that is ours."""
        request_id = event.request_id
        box = open_box(event, self._plans, self._now)
        if box.late:
            actions.append(Noted(Kind.LATE_REQUEST, event.message_id, request_id))
        if not self._room_for_one(event, actions):
            actions.append(Noted(Kind.OVER_CAPACITY, event.message_id, request_id))
            actions.append(self._answer(box, Commit(None, "over capacity"), event.message_id))
            self._remember(request_id)
            return
        self._open[request_id] = box
        self._open_bytes += box.size
        for word in self._early.take(request_id):
            self._record(box, word, actions)
        self._judge(box, event.message_id, actions)

    def _room_for_one(self, event: RequestArrived, actions: list[Action]) -> bool:
        if self._open_bytes + event.size > self._policy.max_open_bytes:
            return False
        if len(self._open) + len(self._grace.boxes) < self._policy.max_open:
            return True
        if not self._grace.boxes:
            return False
        self._cut_grace_short(event.message_id, actions)
        return True

    def _cut_grace_short(self, event_id: str, actions: list[Action]) -> None:
        closed = self._grace.close_oldest()
        actions.append(Noted(Kind.GRACE_CUT, event_id, closed.request_id))
        actions.append(closed)

    # what models say

    def _word(self, word: ModelWord, actions: list[Action]) -> None:
        box = self._open.get(word.request_id)
        if box is not None:
            if self._record(box, word, actions):
                self._judge(box, word.message_id, actions)
            return
        grace = self._grace.boxes.get(word.request_id)
        if grace is not None:
            self._record_late(grace, word, actions)
        elif word.request_id in self._answered:
            actions.append(_noted(_late(word), word))
        elif (kind := self._handover.of_word(word.request_id)) is not None:
            actions.append(_noted(kind, word))
        else:
            actions.append(_noted(Kind.EARLY_WORD, word))
            for dropped in self._early.hold(word, self._now):
                actions.append(_noted(Kind.STRANGER, dropped))
            self._wake_ns = min(self._wake_ns, self._early.next_ns)

    def _record(self, box: Box, word: ModelWord, actions: list[Action]) -> bool:
        """Put a word into the mailbox; whether a judgement may have changed by it."""
        plan = box.plan
        before = box.entries.get(word.model)
        if before is not None or plan.quorums or len(box.entries) >= self._policy.max_models:
            kind = self._refusal(plan, None if before is None else before.scored, len(box.entries), word)
            if kind is not None:
                actions.append(_noted(kind, word))
                return False
        box.entries[word.model] = entry_of(word, self._now)
        if isinstance(word, DeclinedArrived):
            return True
        changed = self._improve(box, word)
        juries = plan.jurors.get(word.model, ()) if plan.jurors else ()
        for name in juries:
            vote = poll(box, name, word.message_id, self._now)
            changed = (vote is not None and self._improve(box, vote)) or changed
        if word.model in plan.ignored:
            actions.append(_noted(Kind.IGNORED_SCORE, word))
        elif not juries and plan.official_ns(word.model) is None:
            actions.append(_noted(Kind.UNLISTED_SCORE, word))
        return changed

    def _improve(self, box: Box, score: ScoreArrived) -> bool:
        """Make this score the candidate if it is the best so far."""
        if not improves(box, score):
            return False
        more = score.size - (0 if box.best is None else box.best.size)
        box.best = score
        box.size += more
        self._open_bytes += more
        return True

    def _refusal(self, plan: Plan, scored: bool | None, count: int, word: ModelWord) -> Kind | None:
        """Why a word is not taken; `scored` is what the same model said before, `count` how many models spoke.

        A score after the same model's decline is taken: it is the better news. A model that the schedule names always
        has room, however many strangers flood the mailbox.
        """
        if word.model in plan.quorums:
            return Kind.NAMESAKE
        if scored is None:
            full = count >= self._policy.max_models and not plan.counts_on(word.model)
            return Kind.TOO_MANY_MODELS if full else None
        if isinstance(word, DeclinedArrived):
            return Kind.DUPLICATE_DECLINE
        return Kind.DUPLICATE_SCORE if scored else None

    def _record_late(self, grace: Answered, word: ModelWord, actions: list[Action]) -> None:
        kind = self._refusal(grace.plan, grace.scored.get(word.model), len(grace.scored), word)
        if kind is None:
            kind = _late(word)
            grace.record(word, self._now)
        actions.append(_noted(kind, word))

    # models

    def _model(self, event: ModelUp | ModelGone, actions: list[Action]) -> None:
        before = self._roster.get(event.model)
        taken = self._roster.note(event, listed=self._plans.counts_on(event.model))
        if taken != "taken":
            kind = Kind.STALE_STATE if taken == "stale" else Kind.TOO_MANY_MODELS
            actions.append(Noted(kind, event.message_id, model=event.model))
            return
        died = before is not None and before.up and self._roster.gone(event.model)
        if died or before is None:  # a repeated state, or a return, settles nothing
            for box in list(self._open.values()):
                self._judge(box, event.message_id, actions)

    # hand-over

    def _token(self, event: TransitionToken, actions: list[Action]) -> None:
        handover = self._handover
        if event.side == "old" and handover.phase is Phase.SUCCESSOR:  # those before this token are ours
            self._take_all(handover.release(), actions)
        kind = handover.token(event.side, self._open)
        actions.append(Noted(kind or Kind.TOKEN_OUT_OF_TURN, event.message_id))
        if kind is Kind.FINISHING:
            for word in self._early.drop_all():
                actions.append(_noted(Kind.HANDED_OVER, word))

    def _hold(self, event: RequestArrived, actions: list[Action]) -> None:
        """Keep a request that the predecessor may have; in a hurry no longer than half of the time that is left."""
        left = open_box(event, self._plans, self._now).default_ns - self._now
        until = self._now + max(0, min(self._policy.hold_ns, left // 2))
        crowded_out = self._handover.hold(event, until)
        self._wake_ns = min(self._wake_ns, until)
        if crowded_out is not None:
            self._take(crowded_out, actions)

    def _predecessor(self, event: PredecessorSaid | PredecessorGone, actions: list[Action]) -> None:
        handover = self._handover
        if not handover.has_predecessor():
            actions.append(Noted(Kind.TOKEN_OUT_OF_TURN, event.message_id))
            return
        held = handover.release()
        if isinstance(event, PredecessorGone):
            handover.gone()
            self._take_all(held, actions)
            return
        for request_id in event.answered_ids:
            if request_id not in self._open:
                self._remember(request_id)
                self._drop_early(request_id, actions)
        here = (self._open, self._answered, self._grace.boxes)
        theirs = [request_id for request_id in event.open_ids if not any(request_id in table for table in here)]
        for request_id in handover.said(theirs):
            self._drop_early(request_id, actions)
        for request in held:
            self._request(request, actions)

    def _take_all(self, requests: list[RequestArrived], actions: list[Action]) -> None:
        for request in requests:
            self._take(request, actions)

    def _drop_early(self, request_id: str, actions: list[Action]) -> None:
        for word in self._early.take(request_id):
            actions.append(_noted(Kind.WITH_PREDECESSOR, word))

    # answers

    def _judge(self, box: Box, event_id: str, actions: list[Action]) -> None:
        verdict = judge(box, self._roster, self._now)
        if isinstance(verdict, Commit):
            self._commit(box, verdict, event_id, actions)
        elif box.armed_ns < 0 or verdict < box.armed_ns:
            self._timers.arm(box, verdict, len(self._open))
            self._wake_ns = verdict if verdict < self._wake_ns else self._wake_ns

    def _commit(self, box: Box, commit: Commit, event_id: str, actions: list[Action]) -> None:
        del self._open[box.request_id]
        self._open_bytes -= box.size
        box.armed_ns = -1
        answer = self._answer(box, commit, event_id)
        actions.append(answer)
        self._remember(box.request_id)
        model = commit.chosen.model if commit.chosen is not None else ""
        until = self._now + self._policy.grace_ns
        self._grace.begin(box, answer.cause, model, until)
        self._wake_ns = until if until < self._wake_ns else self._wake_ns
        if len(self._grace.boxes) > self._policy.max_grace:
            self._cut_grace_short(event_id, actions)
        # A timer that no longer counts may keep the box for a while; what was in it is let go now.
        box.entries, box.best, box.context = {}, None, None

    def _answer(self, box: Box, commit: Commit, event_id: str) -> Answer:
        chosen, plan = commit.chosen, box.plan
        cause: Cause = "default"
        if chosen is not None:
            cause = "override" if box.override else "preferred" if plan.prefers(chosen.model) else "fallback"
        return Answer(
            event_id=event_id,
            request_id=box.request_id,
            cause=cause,
            reason=commit.reason,
            chosen=chosen,
            label=plan.label if chosen is None else chosen.label,
            elapsed_ns=self._now - box.opened_ns,
            sla_ms=plan.sla_ms,
            late=box.late,
            schedule_version=plan.version,
            outcomes=outcomes(box, self._roster),
            context=box.context,
            cohort=plan.cohort,
            propensity=plan.propensity,
            early_ns=0 if chosen is None else max(0, official_from(box, chosen.model) - self._now),
            override=box.override,
        )

    def _remember(self, request_id: str) -> None:
        self._answered[request_id] = None
        if len(self._answered) > self._policy.remember_answered:
            self._answered.popitem(last=False)


def _late(word: ModelWord) -> Kind:
    return Kind.LATE_SCORE if isinstance(word, ScoreArrived) else Kind.LATE_DECLINE


def _noted(kind: Kind, word: ModelWord) -> Noted:
    return Noted(kind, word.message_id, word.request_id, word.model)
