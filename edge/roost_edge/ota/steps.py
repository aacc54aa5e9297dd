"""The steps of a line's installation: which one is under way, how each begins, and how it is given up. Pure.

fetch → verify → (put off while busy) → try → hide → warm, and agree whenever the schedule is to follow the standing.
When to go on, and to what, is the machine's to decide (`machine`).
"""

from collections.abc import Callable
from typing import Literal, TypeAlias

from msgspec import structs

from roost_edge.ota import events as e
from roost_edge.ota.goal import Goal
from roost_edge.ota.lines import Slot
from roost_edge.ota.policy import LinePolicy
from roost_edge.ota.setbacks import Setbacks
from roost_edge.ota.speaking import Speaking
from roost_edge.ota.standing import Content, Standing

Step: TypeAlias = Literal["fetch", "verify", "defer-trial", "try", "hide", "warm", "agree"]
WITH_JOB: frozenset[Step] = frozenset({"fetch", "verify", "defer-trial", "try", "hide"})
"""Steps of a bundle that is on its way and fills no slot yet."""


class Steps(Speaking):
    """What is under way. `chance` gives a random number from 0 to 1."""

    def __init__(
        self, standing: Standing, delivered: Content, policy: LinePolicy, chance: Callable[[], float] = lambda: 0.0
    ) -> None:
        super().__init__()
        self.standing = standing
        self.goal: Goal | None = None
        self.busy = ""
        self._delivered = delivered
        self._policy = policy
        self._chance = chance
        self._step: Step | None = None
        self._job = 0
        self._target: Content | None = None
        self._turn = 0
        self._turn_failures = 0
        self._due: int | None = None
        """Of the step: the schedule again, or too long without being ready."""
        self._setbacks = Setbacks(policy)
        self._deferred_at: int | None = None
        self._ready = False
        """Whether the other slot's process is."""
        self._start_again: dict[Slot, int] = {}

    def _may_begin(self, now: int) -> bool:
        if not self.busy:
            return True
        if self._deferred_at is None:
            self._deferred_at = now
        if now >= self._deferred_at + self._policy.defer_limit_ns:
            return True
        self._settle("deferred")
        self._complain(f"put off: {self.busy}")
        return False

    def _bring(self, content: Content, now: int) -> None:
        if self._setbacks.waits(content.digest, now):
            self._settle("failed")
            return
        if not self._may_begin(now):
            return
        self._job += 1
        self._target, self._step, self.progress, self.problem = content, "fetch", (0, 0), ""
        self._settle("downloading")
        if content.delivered:
            self._verify(content)
        else:
            self._do(e.Fetch(self._job, content))

    def _verify(self, content: Content) -> None:
        self._step = "verify"
        self._move("verifying")
        self._do(e.Verify(self._job, content))

    def _hide(self, content: Content) -> None:
        """Let the schedule ignore the slot before anything of the new bundle runs in it."""
        self._step, self._turn_failures = "hide", 0
        self._move("warming")
        self._publish(f"{content.title} is to evaluate without being heard")

    def _fill(self, content: Content, now: int) -> None:
        """The schedule ignores the other slot: put the new bundle there and start it."""
        other = self.standing.other
        self._do(e.StopSlot(other))
        self._setbacks.filled(other)
        self._setbacks.came()
        self._remember(self.standing.with_other(content, "shadow"))
        self._target, self._deferred_at, self._ready = None, None, False
        self._do(e.Tidy())
        self._do(e.StartSlot(other))
        self._await_ready(now)

    def _await_ready(self, now: int) -> None:
        self._step, self._due = "warm", now + self._policy.warm_ns
        self._settle("warming")

    def _swap(self, beside: Literal["shadow", "fallback", "rejected"], *, back: bool) -> None:
        before = self.standing.serving
        self._remember(self.standing.swapped(beside))
        self._ready = True
        after = self.standing.serving
        if back:
            self._settle("returning")
            self._do(e.Marker("ota-returned", f"{after.title} answers again in place of {before.title}."))
        else:
            self._do(e.Marker("ota-promoted", f"{after.title} answers in place of {before.title}."))
        self._agree(f"{after.title} in place of {before.title}")

    def _agree(self, why: str) -> None:
        """Let the standing count in the schedule."""
        self._step, self._due, self._turn_failures = "agree", None, 0
        self._publish(why)

    def _publish(self, why: str) -> None:
        self._turn += 1
        standing = self.standing
        if self._step == "hide" and self._target is not None:
            standing = standing.with_other(self._target, "shadow")
        self._do(e.PublishSchedule(self._turn, standing, why))

    def _cancel(self) -> None:
        """Give up what is on its way, and let the schedule be as if it had never been."""
        hidden = self._step == "hide"
        self._drop_job()
        self._settle("idle")
        if hidden:
            self._agree("as before")

    def _drop_job(self) -> None:
        if self._step == "fetch":
            self._do(e.StopFetch(self._job))
        self._step = self._target = self._due = None
        self._job += 1

    def _remember(self, standing: Standing) -> None:
        goal = self.goal
        if goal is not None:
            standing = structs.replace(standing, rollout=goal.rollout, generation=goal.generation)
        self.standing = standing
        self._do(e.Remember(standing))
        self._do(e.ReportState())
