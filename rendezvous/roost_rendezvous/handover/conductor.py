"""What is done when in a hand-over. Pure: time is an argument, in nanoseconds; what roles say comes in as events.

Rules:

* The transition token is sent at most once, and only after the successor has said that it has the snapshot.
* Before that token every failure leaves the old process in charge and removes the successor.
* After it there is no way back but another hand-over: neither the successor nor its session is ever touched.
* The old process is removed, and its session forgotten, only after the successor said that it is in charge.
* Every wait is bounded; each ends in a sentence that says what was missing.

Not done here: starting and ending processes, publishing, reading states (see `conducting`).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeAlias

from roost_broker.clock import MS, SECOND
from roost_broker.errors import Misuse
from roost_rendezvous.handover import words


class Phase(StrEnum):
    """Where a hand-over stands."""

    LOOKING = "looking"
    """Who is there?"""
    STARTING = "starting"
    """The successor starts and gets ready in standby."""
    SNAPSHOT = "snapshot"
    """The snapshot token travels; the successor takes over what the old one knows."""
    TRANSITION = "transition"
    """The transition token travels."""
    FINISHING = "finishing"
    """The successor is in charge; the old one finishes what it has begun."""
    REMOVING = "removing"
    """It failed before the transition token; the successor is being removed."""
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class HandoverPolicy:
    """Longest waits in nanoseconds."""

    look_ns: int = 500 * MS
    """How long retained states may take to arrive."""
    start_ns: int = 60 * SECOND
    snapshot_ns: int = 15 * SECOND
    transition_ns: int = 15 * SECOND
    finish_ns: int = 60 * SECOND
    """The old one's open mailboxes and grace time."""
    remove_ns: int = 30 * SECOND

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not 0 < getattr(self, name) <= 3600 * SECOND:
                raise Misuse(f"{name} is {getattr(self, name)}.", "Give nanoseconds, at most an hour.")


# -- events


@dataclass(frozen=True, slots=True)
class RoleSaid:
    """A role's state on its retained topic."""

    role: str
    state: str
    session: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class NotStarted:
    """The successor could not be started."""

    problem: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Removed:
    """The process of this role has ended and is not started again."""

    role: str


@dataclass(frozen=True, slots=True)
class NotRemoved:
    """The process of this role could not be ended."""

    role: str


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The operator wants no more of it."""


Event: TypeAlias = RoleSaid | NotStarted | Removed | NotRemoved | GivenUp

# -- actions


@dataclass(frozen=True, slots=True)
class StartSuccessor:
    """Start the process of the other slot, in standby."""

    role: str


@dataclass(frozen=True, slots=True)
class SendToken:
    """Put the token on `raw`."""

    kind: Literal["snapshot", "transition"]


@dataclass(frozen=True, slots=True)
class Remove:
    """End the process of this role if it is there still, start it no more, and say `Removed`."""

    role: str


@dataclass(frozen=True, slots=True)
class ForgetSession:
    """The process has ended: let the broker keep nothing for it."""

    role: str


@dataclass(frozen=True, slots=True)
class Tell:
    """A step was reached."""

    phase: Phase
    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The hand-over is over. `in_charge` is the role that is responsible from now on."""

    done: bool
    in_charge: str
    problem: str = ""
    remedy: str = ""


Action: TypeAlias = StartSuccessor | SendToken | Remove | ForgetSession | Tell | Ended


class Conductor:
    """One hand-over from `old` to `new` (role names)."""

    def __init__(self, handover_id: str, old: str, new: str, policy: HandoverPolicy | None = None) -> None:
        self.phase = Phase.LOOKING
        self._id = handover_id
        self._old, self._new = old, new
        self._policy = policy or HandoverPolicy()
        self._states: dict[str, RoleSaid] = {}
        self._session_before = 0  # of the successor's role, before its process was started
        self._deadline: int | None = None
        self._failure = ("", "")
        self._removing = False

    @property
    def committed(self) -> bool:
        """Whether the transition token was sent: from then on there is no way back."""
        return self.phase in (Phase.TRANSITION, Phase.FINISHING)

    def begin(self, now: int) -> None:
        """Start to look around."""
        self._wait(now, self._policy.look_ns)

    def handle(self, event: Event, now: int) -> tuple[Action, ...]:
        """Take an event in. What was due before it is done first."""
        actions = list(self.expire(now))
        if isinstance(event, RoleSaid):
            self._states[event.role] = event
            actions += self._judge(now)
        elif isinstance(event, NotStarted) and self.phase is Phase.STARTING:
            actions += self._abort(event.problem, event.remedy, now)
        elif isinstance(event, Removed):
            actions += self._removed(event.role)
        elif isinstance(event, NotRemoved) and self._removing and self.phase is not Phase.ENDED:
            actions += self._not_removed()
        elif isinstance(event, GivenUp) and not self.committed:
            actions += self._abort("It was given up.", "", now)
        return tuple(actions)

    def expire(self, now: int) -> tuple[Action, ...]:
        """What is due: the end of a wait."""
        if self._deadline is None or now < self._deadline:
            return ()
        self._deadline = None
        return tuple(self._too_late(now))

    def deadline(self) -> int | None:
        """When `expire` must be called next; None = not before something is said, or never again."""
        return self._deadline

    # what roles say

    def _judge(self, now: int) -> list[Action]:
        if self.phase is Phase.STARTING:
            return self._old_is_lost(now) or self._starting(now)
        if self.phase is Phase.SNAPSHOT:
            return self._old_is_lost(now) or self._snapshot(now)
        if self.phase is Phase.TRANSITION:
            return self._transition(now)
        if self.phase is Phase.FINISHING:
            return self._finishing()
        return []

    def _old_is_lost(self, now: int) -> list[Action]:
        old = self._states.get(self._old)
        if old is not None and old.state == "ready" and not words.has_handed_over(old.detail):
            return []
        said = "nothing" if old is None else f"{old.state} {old.detail}".strip()
        return self._abort(f"{self._old} is no longer in charge (it says: {said}).", "See its log, and try again.", now)

    def _starting(self, now: int) -> list[Action]:
        new = self._states.get(self._new)
        if new is None or new.session <= self._session_before or new.state == "starting":
            return []
        if new.state != "ready":
            return self._abort(
                f"{self._new} is {new.state} instead of ready. {new.detail}".strip(), "See its log.", now
            )
        if not words.stands_by(new.detail):
            return self._abort(f"{self._new} does not stand by.", "Start it with --standby.", now)
        return self._take_snapshot(now)

    def _take_snapshot(self, now: int) -> list[Action]:
        self._enter(Phase.SNAPSHOT, now, self._policy.snapshot_ns)
        return [
            Tell(self.phase, f"{self._new} stands by. The snapshot token goes through the stream."),
            SendToken("snapshot"),
        ]

    def _snapshot(self, now: int) -> list[Action]:
        new = self._states.get(self._new)
        if new is None or new.state != "ready" or not words.stands_by(new.detail):
            return self._abort(f"{self._new} went away in standby.", "See its log, and try again.", now)
        if words.cannot_take_over(new.detail):
            return self._abort(f"{self._new} cannot take over: {new.detail}.", "Try again.", now)
        if new.detail != words.has_snapshot(self._id):
            return []
        self._enter(Phase.TRANSITION, now, self._policy.transition_ns)
        return [
            Tell(self.phase, f"{self._new} has the snapshot. The transition token goes through the stream."),
            SendToken("transition"),
        ]

    def _transition(self, now: int) -> list[Action]:
        new = self._states.get(self._new)
        if new is None or new.state != "ready" or words.stands_by(new.detail):
            return []  # one that was killed comes back, and finds the token in its session
        self._enter(Phase.FINISHING, now, self._policy.finish_ns)
        tell = Tell(self.phase, f"{self._new} is in charge. {self._old} finishes what it has begun.")
        return [tell, *self._finishing()]

    def _finishing(self) -> list[Action]:
        old = self._states.get(self._old)
        ended = old is None or old.state in ("stopped", "gone", "failed")
        return self._remove(self._old) if ended else []

    # ends

    def _removed(self, role: str) -> list[Action]:
        if self.phase is Phase.FINISHING and role == self._old:
            self._end()
            return [
                ForgetSession(role),
                Tell(self.phase, f"{role} has ended."),
                Ended(done=True, in_charge=self._new),
            ]
        if self.phase is Phase.REMOVING and role == self._new:
            self._end()
            problem, remedy = self._failure
            return [ForgetSession(role), Ended(done=False, in_charge=self._old, problem=problem, remedy=remedy)]
        return []

    def _abort(self, problem: str, remedy: str, now: int) -> list[Action]:
        """Before the transition token: nothing has happened to the old one."""
        if self.phase in (Phase.REMOVING, Phase.ENDED):
            return []
        if self.phase is Phase.LOOKING:  # there is no successor to remove
            self._end()
            return [Ended(done=False, in_charge=self._old, problem=problem, remedy=remedy)]
        self._failure = problem, remedy
        self._enter(Phase.REMOVING, now, self._policy.remove_ns)
        return [Tell(self.phase, f"{problem} {self._old} stays in charge."), *self._remove(self._new)]

    def _too_late(self, now: int) -> list[Action]:
        policy = self._policy
        if self.phase is Phase.LOOKING:
            return self._looked(now)
        if self.phase is Phase.STARTING:
            return self._abort(
                f"{self._new} was not ready in standby within {policy.start_ns / SECOND:g} s.", "See its log.", now
            )
        if self.phase is Phase.SNAPSHOT:
            new = self._states[self._new]
            return self._abort(
                f"{self._new} had no snapshot within {policy.snapshot_ns / SECOND:g} s (it says: {new.detail}).",
                "The token travels with the requests: see that the injector runs, and its log.",
                now,
            )
        if self.phase is Phase.TRANSITION:
            self._end()
            return [
                Ended(
                    done=False,
                    in_charge=self._new,
                    problem=f"{self._new} did not say within {policy.transition_ns / SECOND:g} s that it is in charge.",
                    remedy="The transition token is on its way, so requests will be its own. See that it runs.",
                )
            ]
        if self.phase is Phase.FINISHING and not self._removing:
            self._wait(now, policy.remove_ns)
            return [
                Tell(self.phase, f"{self._old} did not end within {policy.finish_ns / SECOND:g} s; it is ended now."),
                *self._remove(self._old),
            ]
        return self._not_removed()

    def _not_removed(self) -> list[Action]:
        """Of two processes one is in charge all the same; the other must be ended by hand."""
        committed, (problem, remedy) = self.committed, self._failure
        in_charge, left = (self._new, self._old) if committed else (self._old, self._new)
        self._end()
        return [
            Ended(
                done=False,
                in_charge=in_charge,
                problem=f"{problem} {left} could not be ended.".strip(),
                remedy=f"End it by hand; {in_charge} is in charge. {remedy}".strip(),
            )
        ]

    def _looked(self, now: int) -> list[Action]:
        old, new = self._states.get(self._old), self._states.get(self._new)
        if old is None or old.state != "ready":
            said = "has never been heard of" if old is None else f"is {old.state}"
            return self._abort(f"{self._old} {said}: there is nobody to take over from.", "Start the device.", now)
        if words.stands_by(old.detail) or words.has_handed_over(old.detail):
            return self._abort(
                f"{self._old} is not in charge (it says: {old.detail}).", "Wait for the hand-over before this one.", now
            )
        if new is not None and new.state == "ready":
            if words.stands_by(new.detail):
                return self._take_snapshot(now)
            return self._abort(
                f"{self._new} is there and does not stand by (it says: {new.detail or 'ready'}).",
                "Wait until it has finished, or end it.",
                now,
            )
        self._session_before = new.session if new is not None else 0
        self._enter(Phase.STARTING, now, self._policy.start_ns)
        return [Tell(self.phase, f"{self._old} is in charge. {self._new} starts beside it."), StartSuccessor(self._new)]

    def _remove(self, role: str) -> list[Action]:
        """Once, however often it says farewell."""
        if self._removing:
            return []
        self._removing = True
        return [Remove(role)]

    def _enter(self, phase: Phase, now: int, longest_ns: int) -> None:
        self.phase = phase
        self._wait(now, longest_ns)

    def _wait(self, now: int, longest_ns: int) -> None:
        self._deadline = now + longest_ns

    def _end(self) -> None:
        self.phase = Phase.ENDED
        self._deadline = None
