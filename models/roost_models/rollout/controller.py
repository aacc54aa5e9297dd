"""What is done when in a roll-out. Pure: time is an argument (nanoseconds of the wall clock, for a roll-out lasts days
and outlives its controller); what devices say and what people order comes in as events.

Rules:

* A step ends only when its dwell is over and no gate waits or fails. One that fails ends the roll-out at the next look.
* Halted, aborted and complete are final: another attempt is another roll-out, with another id and other devices first.
* Every document has a generation of its own, one more than any that the registry has held. The caller keeps `progress`
  before it publishes; after a restart what the registry holds is the truth, and what is missing there follows.
* Paused keeps the shares: nobody goes back, nobody begins. The time does not count.
* Without data nothing moves: a step waits for as long as it must, and says so. A step that stays suspicious for
  `hold_s` after its dwell is halted. Only where all devices that it lets serve are away does the next one begin, if
  that is guarded as well.
* A clock that was set back delays, and never hastens.

Not done here: reading reports, signing, publishing, keeping (see `conducting`).
"""

from collections.abc import Sequence

from msgspec import structs

from roost_broker.clock import MS, SECOND
from roost_broker.errors import Misuse
from roost_models.rollout.actions import (
    Action,
    Command,
    Do,
    Event,
    Halted,
    Ignored,
    Keep,
    Say,
    SetDocument,
)
from roost_models.rollout.document import Rollout
from roost_models.rollout.evidence import DeviceReport, Fleet
from roost_models.rollout.gates import Gate, judge
from roost_models.rollout.owed import began_to_serve, mark, over, owed, replaced
from roost_models.rollout.planning import Step, most_served
from roost_models.rollout.progress import Progress, State, Told

REMIND_NS = 3600 * SECOND
"""How often it says that a step waits."""
_PATIENCE = 4
"""So many times `quiet_s` a roll-out that is over is followed, for devices that have not got there."""


class Controller:
    """One roll-out. `published` is what the registry holds of this line now."""

    def __init__(self, progress: Progress, published: Rollout | None = None, *, now: int = 0) -> None:
        order = progress.order
        self.progress = progress
        self.fleet = Fleet(order.rollout_id, order.bundle.digest)
        self.gates: list[Gate] = []
        self._now = now
        self._look: int | None = None
        self._reminded = now
        self._republish = False
        self._highest = 0 if published is None else published.generation
        self._adopt(published)
        self.fleet.ever_served.update(progress.ever_served)
        self.fleet.resume_step(self.progress.bases, now)
        self.fleet.resume_floors(progress.heard)
        self._schedule()

    def _adopt(self, published: Rollout | None) -> None:
        mine = self.progress
        own = published is not None and published.rollout_id == mine.order.rollout_id
        if not own or published is None:
            self._republish = mine.state != "planned" and not mine.over
            if published is not None and self._republish and published.generation >= mine.generation:
                raise Misuse(
                    f"Roll-out {published.rollout_id} has taken the place of {mine.order.rollout_id}.",
                    "One line has one roll-out at a time; start another when that one is over.",
                )
            return
        if published.generation < mine.generation:
            self._republish = True
        elif published.generation > mine.generation or published.state != mine.state:
            # Somebody else went on, or this progress is from before a crash.
            first = mine.served_from_step is None and published.serving > 0
            self.progress = structs.replace(
                mine,
                state=published.state,
                step=min(published.step, len(mine.order.plan.steps) - 1),
                generation=published.generation,
                step_since_ns=published.at_ms * MS,
                paused_ns=published.at_ms * MS if published.state == "paused" else None,
                served_from_step=published.step if first else mine.served_from_step,
                reason=published.why if published.state == "aborted" else mine.reason,
                bases={},
                told=None,
            )

    @property
    def step(self) -> Step:
        """The step that is in force."""
        return self.progress.order.plan.steps[self.progress.step]

    @property
    def finished(self) -> bool:
        """Over, and no device that reports is where it should not be; or it has had its time to get there."""
        if not self.progress.over:
            return False
        order, before = self.progress.order, self._quiet_before()
        if self._now - self.progress.at_ms * MS > int(_PATIENCE * order.plan.policy.quiet_s * SECOND):
            return True
        if self.progress.state == "complete":
            return not self.fleet.behind(before, order.tags)
        return not self.fleet.still_there(before)

    def dwell_left_ns(self, now: int) -> int:
        """How long the step lasts at least; not below 0."""
        spent = (self.progress.paused_ns or now) - self.progress.step_since_ns
        return max(int(self.step.dwell_s * SECOND) - spent, 0)

    def resumed(self, now: int) -> tuple[Action, ...]:
        """What a restart left undone; markers and moves may be ordered that were done before."""
        self._tick(now)
        if not self._republish:
            return owed(self.progress)
        self._republish = False
        self._change()
        return (Keep(self.progress), SetDocument(self.progress.document()), *owed(self.progress))

    def handle(self, event: Event, now: int) -> tuple[Action, ...]:
        """Take an event in. What was due before it is done first. Raises `Misuse` for an order that cannot be."""
        actions = list(self.expire(now))
        if isinstance(event, DeviceReport):
            outcome = self.fleet.take(event, max(self.progress.generation, self._highest), self._now)
            if outcome not in ("taken", "taken-alive"):
                actions.append(Ignored(outcome, event.node))
        else:
            actions += self._ordered(event)
        return tuple(actions)

    def expire(self, now: int) -> tuple[Action, ...]:
        """What is due: a look at the gates."""
        self._tick(now)
        if self._look is None or self._now < self._look:
            return ()
        return tuple(self._judge())

    def deadline(self) -> int | None:
        """When `expire` must be called next; None = not before an order."""
        return self._look

    # orders

    def _ordered(self, command: Command) -> list[Action]:
        state = self.progress.state
        legal: dict[Do, tuple[State, ...]] = {
            "start": ("planned",),
            "pause": ("running",),
            "resume": ("paused",),
            "abort": ("running", "paused"),
        }
        if state not in legal[command.do]:
            can = [do for do, states in legal.items() if state in states]
            raise Misuse(
                f"Roll-out {self.progress.order.rollout_id} is {state}; it cannot {command.do}.",
                f"It can {' or '.join(can)}." if can else "It is over; start another one.",
            )
        if command.do == "start":
            return self._enter(0, command.author, command.why)
        if command.do == "pause":
            self._set(state="paused", paused_ns=self._now, author=command.author, why=command.why)
            return self._told("paused", f"paused by {command.author}: {command.why}".rstrip(": "))
        if command.do == "resume":
            since = self.progress.step_since_ns + self._now - (self.progress.paused_ns or self._now)
            self._set(state="running", paused_ns=None, step_since_ns=since, author=command.author, why=command.why)
            return self._told("resumed", f"goes on, says {command.author}: {command.why}".rstrip(": "))
        return self._end(f"aborted by {command.author}: {command.why}".rstrip(": "), command.author)

    # steps

    def _enter(self, number: int, author: str, why: str) -> list[Action]:
        serves = self.progress.order.plan.steps[number].served > 0
        first = serves and self.progress.served_from_step is None
        self._set(
            state="running",
            step=number,
            step_since_ns=self._now,
            bases=self.fleet.begin_step(),
            served_from_step=number if first else self.progress.served_from_step,
            author=author,
            why=why,
        )
        self.gates = []
        self._reminded = self._now
        step, count = self.step, len(self.progress.order.plan.steps)
        text = f"step {number + 1} of {count}: shadow {step.shadow:.2%}, serving {step.serving:.2%}"
        actions = self._told("step", text)
        if first:
            actions.append(began_to_serve(self.progress.order))
        return actions

    def _judge(self) -> list[Action]:
        self.gates = self.look()
        failed = next((gate for gate in self.gates if gate.verdict == "fail"), None)
        if failed is not None:
            return self._halt(failed)
        over = self._now - self.progress.step_since_ns - int(self.step.dwell_s * SECOND)
        waiting = [gate for gate in self.gates if gate.verdict == "wait"]
        if over >= 0 and not waiting:
            return self._next()
        if over >= 0 and not any(gate.suspicious for gate in waiting) and self._may_widen():
            number = self.progress.step + 1
            return self._enter(number, self.progress.order.author, "too few devices of the step before it are there")
        suspicious = next((gate for gate in waiting if gate.suspicious), None)
        if suspicious is not None and over >= int(self.progress.order.plan.policy.hold_s * SECOND):
            return self._halt(suspicious)
        self._schedule()
        if over >= 0 and self._now - self._reminded >= REMIND_NS:
            self._reminded = self._now
            gate = suspicious or waiting[0]
            return [Say(f"step {self.progress.step + 1} waits for {gate.name} ({gate.group}): {gate.text}")]
        return []

    def look(self) -> list[Gate]:
        """The gates as they stand now."""
        plan = self.progress.order.plan
        before = self._quiet_before()
        evidence = self.fleet.gather(before)
        return judge(evidence, self.step, plan.policy, plan.baseline, self.fleet.quiet_elsewhere(before))

    def _may_widen(self) -> bool:
        """Whether so many devices that this step lets serve are away that it could never end, and the next is guarded.

        The first few to serve are chosen by a hash, and may be off for good; k devices are never worth more than k/icc
        requests. The next guarded step still serves no more devices than may be served before gates have passed.
        """
        plan, number = self.progress.order.plan, self.progress.step + 1
        if not self.step.served or number >= len(plan.steps):
            return False
        if self.fleet.served_in_step() >= self.step.required * plan.policy.icc:  # some day they will have said enough
            return False
        return plan.steps[number].served <= most_served(plan.devices, plan.policy.guarded)

    def _next(self) -> list[Action]:
        order = self.progress.order
        if self.progress.step + 1 < len(order.plan.steps):
            return self._enter(self.progress.step + 1, order.author, "all gates passed")
        self._set(state="complete", author=order.author, why="all gates passed at every step", bases={})
        actions = self._told("complete", f"complete: all devices get {order.bundle.name} {order.bundle.version}")
        if order.previous is not None:
            actions.append(replaced(order))
        return actions

    def _halt(self, gate: Gate) -> list[Action]:
        reason = f"{gate.name}, {gate.group}: {gate.text}"
        return [*self._end(f"halted by its gate {reason}", "roost rollout"), Halted(reason, gate)]

    def _end(self, reason: str, author: str) -> list[Action]:
        self._set(state="aborted", reason=reason, paused_ns=None, author=author, why=reason[:1000])
        actions = self._told("aborted", reason)
        actions.append(over(self.progress))
        return actions

    # small

    def _told(self, kind: str, text: str) -> list[Action]:
        self._schedule()
        told = Told(kind=f"rollout-{kind}", text=text[:1000], number=self.progress.generation)
        self.progress = structs.replace(self.progress, told=told)
        return [Keep(self.progress), SetDocument(self.progress.document()), mark(self.progress), Say(text)]

    def _set(self, **changes: object) -> None:
        self.progress = structs.replace(self.progress, **changes)
        self._change()

    def _change(self) -> None:
        """Another document: one generation on, never below what the registry has seen."""
        self._highest = max(self.progress.generation, self._highest) + 1
        self.progress = structs.replace(
            self.progress,
            generation=self._highest,
            at_ms=self._now // MS,
            ever_served=sorted(self.fleet.ever_served),
            heard=self.fleet.floors(),
        )

    def _quiet_before(self) -> int:
        return self._now - int(self.progress.order.plan.policy.quiet_s * SECOND)

    def _tick(self, now: int) -> None:
        self._now = max(self._now, now)

    def _schedule(self) -> None:
        """The next look: evenly spread over the dwell, later ever more seldom, for each look costs certainty."""
        if self.progress.state != "running":
            self._look = None
            return
        dwell = int(self.step.dwell_s * SECOND)
        every = max(dwell // self.progress.order.plan.policy.looks, 1)
        since = self.progress.step_since_ns
        spent = max(self._now - since, 0)
        if spent < dwell:
            self._look = since + min((spent // every + 1) * every, dwell)
        else:
            self._look = self._now + max(every, (spent - dwell) // 2)


def waiting(gates: Sequence[Gate]) -> list[Gate]:
    """Those that keep a step from ending."""
    return [gate for gate in gates if gate.verdict == "wait"]
