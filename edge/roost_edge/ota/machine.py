"""One line's installation: what to fetch, to try, to run beside, to let answer and to take back. Pure.

Rules:

1. What answers was verified, passed its goldens and became warm here, or is the bundle of the settings. It goes on
   answering until another one may.
2. A new bundle goes into the slot that does not answer, and only when the schedule in force already ignores that slot.
3. It answers when the roll-out's document says so and its process is ready: the schedule is told, nothing is started.
4. The slot that answered before stays beside it as fallback. A process is ended only when the schedule in force does
   not count on it any more.
5. A bundle that failed here, or was returned here, is rejected: it is not tried again until somebody on the device
   says so (another digest may be).
6. `Remember` stands before what follows from it, so a power cut finds the standing before or after, never neither.
7. A return is never put off; an installation is, while the device is busy, up to a limit.

What it never does: touch a file, a process or a clock, or judge whether a bundle is good; `gates` of the roll-out do.
"""

from roost_edge.ota import events as e
from roost_edge.ota.goal import Goal
from roost_edge.ota.planning import Bring, Drop, Plan, Rest, Swap, plan
from roost_edge.ota.standing import rejection_of
from roost_edge.ota.steps import WITH_JOB, Step, Steps


class LineMachine(Steps):
    """See the module; `Steps` for its arguments."""

    # -- the three calls ----------------------------------------------------------------------------------

    def handle(self, event: e.Event, now: int) -> tuple[e.Action, ...]:
        """One event; `now` in nanoseconds."""
        match event:
            case e.Restarted():
                self._restarted(event)
            case e.DocumentSeen():
                self._document(event.goal, now)
            case e.Progress() | e.Fetched() | e.FetchFailed() | e.Verified() | e.VerifyFailed():
                self._of_job(event, now)
            case e.GoldensPassed() | e.GoldensFailed():
                self._of_job(event, now)
            case e.ScheduleInForce() | e.ScheduleFailed():
                self._of_schedule(event, now)
            case e.ModelReady():
                self._model_ready(event, now)
            case e.ModelGone():
                self._model_gone(event, now)
            case e.SlotFailed():
                self._slot_failed(event, now)
            case e.TrialCounted():
                self._trial(event, now)
            case e.BusyChanged():
                self.busy = (event.why or "busy") if event.busy else ""
                self._advance(now)
            case e.OperatorReturn():
                self._take_back(f"returned by hand: {event.why}" if event.why else "returned by hand", now)
            case e.OperatorAllow():
                self._allow(event.digest, now)
        return self._taken()

    def expire(self, now: int) -> tuple[e.Action, ...]:
        """Everything that is due."""
        for slot, due in list(self._start_again.items()):
            if now >= due:
                del self._start_again[slot]
                if slot in self.standing.running:
                    self._do(e.StartSlot(slot))
        if self._due is not None and now >= self._due:
            self._due = None
            if self._step in ("hide", "agree"):
                self._publish("again")
            elif self._step == "warm":
                self._reject_beside("its process did not become ready in time", now)
        if self._step in (None, "defer-trial"):
            self._advance(now)
        return self._taken()

    def deadline(self) -> int | None:
        """When to be woken next."""
        dues = [*self._start_again.values()]
        if self._due is not None:
            dues.append(self._due)
        if self._step is None and self.phase == "failed" and (due := self._setbacks.due) is not None:
            dues.append(due)
        if self.phase == "deferred" and self._deferred_at is not None:
            dues.append(self._deferred_at + self._policy.defer_limit_ns)
        return min(dues, default=None)

    # -- events ----------------------------------------------------------------------------------

    def _restarted(self, event: e.Restarted) -> None:
        self._ready = self.standing.other in event.ready
        for slot in self.standing.running:
            self._do(e.StartSlot(slot))
        # Also where nothing was ever filled: a cut may have left a schedule that ignores what never came.
        self._agree("as it was before the restart")

    def _document(self, goal: Goal, now: int) -> None:
        known = self.goal
        newest = (known.rollout, known.generation) if known else (self.standing.rollout, self.standing.generation)
        if goal.rollout == newest[0] and goal.generation < newest[1]:
            self._do(e.Noted("stale-document"))
            return
        if goal == known:
            self._do(e.Noted("known-document"))
            return
        self.goal = goal
        self._do(e.ReportState())
        wanted = self._plan()
        if self._step in WITH_JOB and not (isinstance(wanted, Bring) and wanted.content == self._target):
            self._cancel()
        elif self._step == "warm":
            self._step = self._due = None
        self._advance(now)

    def _of_job(self, event: e.Event, now: int) -> None:
        steps: dict[type, Step] = {
            e.Progress: "fetch",
            e.Fetched: "fetch",
            e.FetchFailed: "fetch",
            e.Verified: "verify",
            e.VerifyFailed: "verify",
            e.GoldensPassed: "try",
            e.GoldensFailed: "try",
        }
        if getattr(event, "job", 0) != self._job or self._step != steps[type(event)] or self._target is None:
            self._do(e.Noted("late-job"))
            return
        match event:
            case e.Progress():
                if (event.done, event.total) != self.progress:
                    self.progress = (event.done, event.total)
                    self._do(e.ReportState())
            case e.Fetched():
                self._verify(self._target)
            case e.Verified():
                self._step = "defer-trial"
                self._advance(now)
            case e.GoldensPassed():
                self._hide(self._target)
            case e.FetchFailed():
                self._failed(event.reason, now, final=False)
            case e.VerifyFailed():
                self._failed(event.reason, now, final=event.final)
            case e.GoldensFailed():
                often = self._setbacks.too_often_undecided(self._target.digest)
                self._failed(event.reason, now, final=event.final or often)
            case _:
                raise AssertionError(event)

    def _of_schedule(self, event: e.ScheduleInForce | e.ScheduleFailed, now: int) -> None:
        if event.turn != self._turn or self._step not in ("hide", "agree"):
            self._do(e.Noted("late-schedule"))
            return
        if isinstance(event, e.ScheduleFailed):
            self._turn_failures += 1
            self._due = now + self._policy.schedule_wait(self._turn_failures)
            self._complain(event.reason)
            return
        self._turn_failures, self._due, self.problem = 0, None, ""
        if self._step == "hide" and self._target is not None:
            self._fill(self._target, now)
            return
        self._step = None
        if self.standing.beside == "rejected":
            self._do(e.StopSlot(self.standing.other))
            self._do(e.Tidy())
        self._advance(now)

    def _model_ready(self, event: e.ModelReady, now: int) -> None:
        content = self.standing.slots.get(event.slot)
        if event.slot not in self.standing.running or content is None or content.digest != event.digest:
            self._do(e.Noted("ready-with-another-bundle"))
            return
        if event.slot == self.standing.active or self._ready:
            self._do(e.Noted("ready"))
            return
        self._ready = True
        if self._step == "warm":
            self._step = self._due = None
            self._start_again.pop(event.slot, None)
            self.problem = ""
            self._move("shadow")
            self._do(e.Marker("ota-shadow", f"{content.title} is ready and evaluates beside the one that answers."))
            self._advance(now)

    def _model_gone(self, event: e.ModelGone, now: int) -> None:
        content = self.standing.slots.get(event.slot)
        if event.slot not in self.standing.running or content is None or content.digest != event.digest:
            self._do(e.Noted("gone-with-another-bundle"))
            return
        deaths = self._setbacks.died(event.slot, now)
        too_many = deaths >= self._policy.deaths
        why = f"its process ended {deaths} times: {event.reason}"
        if event.slot == self.standing.active:
            if too_many and self.standing.beside == "fallback":
                self._take_back(why, now)
            return
        self._ready = False
        if self.standing.beside != "shadow":
            return
        if too_many:
            self._reject_beside(why, now)
        elif self._step is None:
            self._await_ready(now)

    def _slot_failed(self, event: e.SlotFailed, now: int) -> None:
        if event.slot not in self.standing.running:
            self._do(e.Noted("late-slot"))
            return
        self._start_again[event.slot] = now + self._policy.wait(1, self._chance())
        if self._step == "warm":
            self._due = self._start_again[event.slot] + self._policy.warm_ns
        self._complain(event.reason)

    def _trial(self, event: e.TrialCounted, now: int) -> None:
        few = event.requests < self._policy.min_requests
        if few or event.answered >= event.requests * self._policy.min_answered:
            return
        why = f"it answered {event.answered} of {event.requests} requests"
        besides = self.standing.besides
        if event.digest == self.standing.serving.digest and self.standing.beside == "fallback":
            self._take_back(why, now)
        elif besides is not None and event.digest == besides.digest and self.standing.beside == "shadow":
            self._reject_beside(why, now)
        else:
            self._do(e.Noted("poor-trial"))

    def _allow(self, digest: str, now: int) -> None:
        if self.standing.rejection(digest) is None:
            self._do(e.Noted("not-rejected"))
            return
        self._remember(self.standing.allowing(digest))
        self._setbacks.came()
        self.problem = ""
        self._advance(now)

    # -- what is done next ----------------------------------------------------------------------------------

    def _plan(self) -> Plan:
        return plan(self.standing, self.goal, self._delivered, ready=self._ready)

    def _advance(self, now: int) -> None:
        """Begin whatever is next, unless something is under way."""
        if self._step == "defer-trial":
            if self._may_begin(now) and self._target is not None:
                self._step = "try"
                self._move("testing")
                self._do(e.TryInChild(self._job, self._target))
            return
        if self._step is not None:
            return
        match self._plan():
            case Swap(back, beside):
                self._swap(beside, back=back)
            case Bring(content):
                self._bring(content, now)
            case Drop():
                self._remember(self.standing.with_beside("rejected"))
                self._ready = False
                self._do(e.StopSlot(self.standing.other))
                self._do(e.Tidy())
                self._settle("idle")
                self._advance(now)
            case Rest(phase, problem):
                self._deferred_at = None
                self._setbacks.came()  # nothing is to be brought, so nothing is tried again
                if problem:
                    self._complain(problem)
                elif phase != "failed":
                    self.problem = ""
                if self.standing.beside == "shadow" and not self._ready:
                    self._await_ready(now)
                else:
                    self._settle(phase)

    # -- what went wrong ----------------------------------------------------------------------------------

    def _failed(self, why: str, now: int, *, final: bool) -> None:
        """The bundle that is on its way did not come to be tried; it is tried later, or never."""
        target = self._target
        if target is None:
            return
        self._step = self._target = None
        if final:
            self._remember(self.standing.with_rejection(rejection_of(target, why)))
            self._do(e.Marker("ota-rejected", f"{target.title}: {why}"))
            self._do(e.Tidy())
            self._setbacks.came()
        else:
            self._setbacks.failed(target.digest, now, self._chance())
        self._move("failed")
        self._complain(why)

    def _reject_beside(self, why: str, now: int) -> None:
        """The bundle in shadow is no good."""
        content = self.standing.besides
        if content is None:
            return
        self._ready = False
        self._remember(self.standing.with_rejection(rejection_of(content, why)).with_beside("rejected"))
        self._do(e.Marker("ota-rejected", f"{content.title}: {why}"))
        if self._step == "agree":  # the schedule in force may still count on it: it is ended when that one does not
            self._settle("failed")
            self._agree(f"{content.title} is rejected")
        else:
            self._do(e.StopSlot(self.standing.other))
            self._do(e.Tidy())
            if self._step not in WITH_JOB:  # another bundle that is on its way comes all the same
                self._step = self._due = None
                self._settle("failed")
        self._complain(why)
        self._advance(now)

    def _take_back(self, why: str, now: int) -> None:
        """What answers is worse than what answered before it; or, in shadow, not wanted."""
        if self.standing.beside == "shadow":
            self._reject_beside(why, now)
            return
        if self.standing.beside != "fallback":
            self._do(e.Noted("nothing-to-return-to"))
            self._complain("there is no bundle to return to")
            return
        if self._step in WITH_JOB:
            self._drop_job()
        self.standing = self.standing.with_rejection(rejection_of(self.standing.serving, why))
        self._do(e.Marker("ota-rejected", f"{self.standing.serving.title}: {why}"))
        self._swap("rejected", back=True)
        self._complain(why)
