"""What the injector tells people: its role's state, what it would add to a request now, and what went wrong.

`<task>/state` holds the newest summary, retained: `roost state show` reads it, and so can any MQTT tool. The ages are
those at the message's timestamp.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from roost_broker.bus import Bus
from roost_broker.clock import Clock
from roost_broker.deadletter import RateLimit
from roost_broker.errors import QueueFull
from roost_broker.headers import new_header
from roost_broker.messages import Event, InjectedState, InjectedValue, encode
from roost_broker.presence import RolePresence
from roost_broker.topics import TaskTopics
from roost_rendezvous.handover import words
from roost_rendezvous.injector.keeper import Look, StateKeeper
from roost_rendezvous.injector.turn import Turn

EVERY_S = 5.0
FIRST_S = 1.0
_MAX_SUMMARY = 60_000
"""Bytes of all values together; the summary leaves out what is beyond it, so that it is always a message."""


class Telling:
    """See the module. A full queue of the bus costs a summary or an event, never a request.

    `refresh` is called before values are looked at, so that computed ones are of this moment.
    """

    def __init__(
        self,
        bus: Bus,
        topics: TaskTopics,
        role: str,
        keeper: StateKeeper,
        turn: Turn[Any],
        *,
        session: int,
        clock: Clock,
        node: str,
        counts: Mapping[str, int],
        refresh: Callable[[], None],
    ) -> None:
        self._bus = bus
        self._topics = topics
        self._keeper = keeper
        self._turn = turn
        self._clock = clock
        self._node = node
        self._role = role
        self._counts = counts
        self._refresh = refresh
        self._events = RateLimit(burst=20, per_s=1)
        self._said: tuple[str, dict[str, int]] = ("", {})
        self._ready = False
        self.standby = words.STANDBY
        """What it says of itself while it stands by."""
        self.presence = RolePresence(bus, topics.device, role, session=session, clock=clock, counts=lambda: counts)

    async def run(self) -> None:
        """Every few seconds; for the first time soon, when the values have had time to come."""
        pause = FIRST_S
        while True:
            await asyncio.sleep(pause)
            pause = EVERY_S
            if self._ready:
                self._summary()
                now = self._detail(), dict(self._counts)
                if now != self._said:
                    self._said = now
                    self.presence.ready(now[0])

    def ready(self) -> None:
        """The role does its work, or stands by for it."""
        self._ready = True
        self.presence.ready(self._detail())
        self._summary()

    def stopped(self) -> None:
        """The last word."""
        self._ready = False
        self.presence.stopped("handed over" if self._turn.side == "over" else "")

    def problem(self, name: str, why: str) -> None:
        """A value has become unreadable: an event, at a bounded rate."""
        if not self._ready or not self._events.take(self._clock.monotonic_ns()):
            return
        head = new_header(self._clock, self._node, self._role)
        event = Event(
            timestamp=head.timestamp,
            message_id=head.message_id,
            provenance=head.provenance,
            kind="state-unreadable",
            detail=f"The state value {name} of the task {self._topics.task} cannot be read: {why}.",
            data={"task": self._topics.task, "name": name, "why": why},
        )
        with contextlib.suppress(QueueFull):
            self._bus.publish(self._topics.device.event, encode(event))

    def _detail(self) -> str:
        if self._turn.side in ("standby", "waiting"):
            return self.standby
        return _sentence(self._keeper.look(self._clock.monotonic_ns()))

    def _summary(self) -> None:
        if not self._keeper.values or self._turn.side != "active":
            return
        self._refresh()
        head = new_header(self._clock, self._node, self._role)
        values: dict[str, InjectedValue] = {}
        room = _MAX_SUMMARY
        for look in self._keeper.look(self._clock.monotonic_ns()):
            room -= len(look.given or b"") + len(look.source) + 300
            if room < 0:
                break
            values[look.name] = InjectedValue(
                value=None if look.given is None else msgspec.json.decode(look.given),
                condition=look.condition,
                age_ms=look.age_ms,
                source=look.source[:1000],
                problem=look.problem,
            )
        message = InjectedState(
            timestamp=head.timestamp,
            message_id=head.message_id,
            provenance=head.provenance,
            task=self._topics.task,
            role=self._role,
            values=values,
        )
        with contextlib.suppress(QueueFull):
            self._bus.publish(self._topics.state, encode(message), retain=True)


def _said(look: Look) -> str:
    """The value before an unreadable one may be fresh; what its source says now is not."""
    return "unreadable" if look.problem and look.condition == "fresh" else look.condition


def _sentence(looks: tuple[Look, ...]) -> str:
    """`3 of 4 values of state are fresh; door is missing (empty)`."""
    if not looks:
        return ""
    bad = [look for look in looks if look.condition != "fresh" or look.problem]
    fresh = len(looks) - len(bad)
    words = [f"{look.name} is {_said(look)}" + (f" ({look.problem})" if look.problem else "") for look in bad]
    return "; ".join([f"{fresh} of {len(looks)} values of state are fresh", *words])[:1000]
