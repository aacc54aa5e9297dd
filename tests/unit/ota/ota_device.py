"""A device around one line's machine, in memory: carries out what the machine wants, when and as a test says.

It keeps what a card, a broker and a supervisor would: the standing that was remembered, the schedule in force, and
which process runs with what. A power cut leaves these as they are and everything else is gone.
"""

from dataclasses import dataclass, field

from roost_edge.ota import events as e
from roost_edge.ota.goal import Goal
from roost_edge.ota.lines import Slot
from roost_edge.ota.machine import LineMachine
from roost_edge.ota.policy import LinePolicy
from roost_edge.ota.standing import Content, Standing, first

POLICY = LinePolicy(
    retry_first_ns=10,
    retry_ceiling_ns=100,
    warm_ns=50,
    deaths=3,
    deaths_window_ns=1000,
    schedule_retry_ns=5,
    schedule_ceiling_ns=20,
    min_requests=10,
    defer_limit_ns=200,
    tries=2,
)
Long = e.Fetch | e.Verify | e.TryInChild | e.PublishSchedule


def content(letter: str) -> Content:
    """A bundle by one letter; `a` is the settings' own."""
    return Content(name="hen", version=letter, digest=letter.encode().hex()[0] * 63 + letter, delivered=letter == "a")


def goal(role: str, new: str, previous: str = "a", generation: int = 1, rollout: str = "r") -> Goal:
    """What a document makes of this device; `a` as previous is the settings' bundle."""
    before = None if previous == "a" else content(previous)
    if role == "serving":
        return Goal(rollout, generation, "serving", content(new), None)
    if role == "shadow":
        return Goal(rollout, generation, "shadow", before, content(new))
    return Goal(rollout, generation, "previous", before, None)


@dataclass
class OtaDevice:
    """See the module."""

    card: Standing = field(default_factory=lambda: first(content("a")))
    in_force: Standing | None = None
    """None: the operator's schedule, which knows slot a alone."""
    running: dict[Slot, Content] = field(default_factory=dict)
    tried: set[str] = field(default_factory=lambda: {content("a").digest})
    now: int = 0
    waiting: list[Long] = field(default_factory=list)
    done: list[e.Action] = field(default_factory=list)
    late: list[e.PublishSchedule] = field(default_factory=list)
    """Schedules that were asked for and then replaced by another: one may have come into force in between."""
    early_starts: list[Content] = field(default_factory=list)
    """What was started in a slot that the schedule in force would have believed, without having been tried."""
    early_ends: list[Slot] = field(default_factory=list)
    """Slots that were ended while the schedule in force counted on them."""

    def __post_init__(self) -> None:
        self.machine = LineMachine(self.card, content("a"), POLICY)
        self.boot()
        self.finish(0)  # the schedule is the operator's, as it should be
        self.done.clear()

    def boot(self) -> None:
        """Power is back: what the card says runs, and the agent begins."""
        self.running = {slot: self.card.slots[slot] for slot in self.card.running}
        self.waiting.clear()
        self.late.clear()
        self.machine = LineMachine(self.card, content("a"), POLICY)
        self.tell(e.Restarted())

    def tell(self, event: e.Event, *, cut_after: int | None = None) -> None:
        """An event; with `cut_after` the power fails after so many of the actions that follow."""
        actions = [*self.machine.expire(self.now), *self.machine.handle(event, self.now)]
        for action in actions[:cut_after]:
            self._perform(action)
        if cut_after is not None:
            self.boot()

    def pass_time(self, ns: int) -> None:
        self.now += ns
        for action in self.machine.expire(self.now):
            self._perform(action)

    def finish(self, which: int, *, well: bool = True, final: bool = False, cut_after: int | None = None) -> None:
        """One of the long things ends."""
        action = self.waiting.pop(which % len(self.waiting))
        match action:
            case e.Fetch(job):
                self.tell(e.Fetched(job) if well else e.FetchFailed(job, "no link"), cut_after=cut_after)
            case e.Verify(job):
                self.tell(e.Verified(job) if well else e.VerifyFailed(job, "another task", final), cut_after=cut_after)
            case e.TryInChild(job, tried):
                if well:
                    self.tried.add(tried.digest)
                self.tell(e.GoldensPassed(job) if well else e.GoldensFailed(job, "wrong", final), cut_after=cut_after)
            case e.PublishSchedule(turn, standing):
                self.late.clear()
                if well:
                    self.in_force = standing
                self.tell(e.ScheduleInForce(turn) if well else e.ScheduleFailed(turn, "no broker"), cut_after=cut_after)

    def answer_late(self) -> None:
        """A schedule came into force just before another was asked for; its answer arrives behind that."""
        action = self.late.pop()
        self.in_force = action.standing
        self.tell(e.ScheduleInForce(action.turn))

    def ready(self, slot: Slot) -> None:
        if slot in self.running:
            self.tell(e.ModelReady(slot, self.running[slot].digest))

    def die(self, slot: Slot) -> None:
        if slot in self.running:
            self.tell(e.ModelGone(slot, self.running[slot].digest, "signal 11"))

    def settle(self) -> None:
        """Everything goes well until nothing is left to do."""
        assert self.go_on(200), f"never at rest: {self.phase}, {self.waiting}, {self.machine.problem}"

    def go_on(self, turns: int) -> bool:
        """Everything goes well for so many turns; whether nothing is left to do."""
        for _ in range(turns):
            if self.waiting:
                self.finish(0)
            for slot in list(self.running):
                self.ready(slot)
            due = self.machine.deadline()
            if not self.waiting and due is None:
                return True
            if not self.waiting and due is not None:
                self.pass_time(max(0, due - self.now))
        return False

    @property
    def phase(self) -> str:
        return self.machine.phase

    def official(self) -> list[Content]:
        """What runs in the slots whose answers the schedule in force may take."""
        return [self.running[slot] for slot in self.counted_on if slot in self.running]

    @property
    def counted_on(self) -> tuple[Slot, ...]:
        """The slots whose answers the schedule in force may take, the preferred one first."""
        standing = self.in_force
        if standing is None:
            return ("a",)
        return (standing.active, standing.other) if standing.beside == "fallback" else (standing.active,)

    def _perform(self, action: e.Action) -> None:
        self.done.append(action)
        match action:
            case e.Remember(standing):
                self.card = standing
            case e.StartSlot(slot):
                self.running.setdefault(slot, self.card.slots[slot])
                self.early_starts += [one for one in self.official() if one.digest not in self.tried]
            case e.StopSlot(slot):
                if slot in self.running and slot in self.counted_on:
                    self.early_ends.append(slot)
                self.running.pop(slot, None)
            case e.StopFetch(job):
                self.waiting = [one for one in self.waiting if not (isinstance(one, e.Fetch) and one.job == job)]
            case e.PublishSchedule():
                self.late = [one for one in self.waiting if isinstance(one, e.PublishSchedule)]
                self.waiting = [one for one in self.waiting if not isinstance(one, e.PublishSchedule)]
                self.waiting.append(action)
            case e.Fetch() | e.Verify() | e.TryInChild():
                self.waiting.append(action)
            case _:
                pass
