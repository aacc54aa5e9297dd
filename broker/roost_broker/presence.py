"""Who is there: retained states, and the last will that says `gone` for a process that cannot say it any more."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

from roost_broker.bus import Bus, Will
from roost_broker.clock import Clock
from roost_broker.errors import QueueFull
from roost_broker.headers import new_header
from roost_broker.messages import RoleState, encode
from roost_broker.topics import NodeTopics
from roost_broker.version import VERSION

State: TypeAlias = Literal["starting", "ready", "failed", "stopped", "gone"]


def role_state(
    device: NodeTopics,
    role: str,
    session: int,
    clock: Clock,
    state: State,
    *,
    detail: str = "",
    counts: Mapping[str, int] | None = None,
) -> RoleState:
    """A role's state, stamped now."""
    head = new_header(clock, device.node, role)
    return RoleState(
        timestamp=head.timestamp,
        message_id=head.message_id,
        provenance=head.provenance,
        role=role,
        state=state,
        session=session,
        version=VERSION,
        detail=detail[:1000],
        counts=dict(counts or {}),
    )


def role_will(device: NodeTopics, role: str, session: int, clock: Clock) -> Will:
    """What the broker says for a role that vanished: `gone`, with the number of the session that ended."""
    return Will(device.role(role), encode(role_state(device, role, session, clock, "gone")))


class RolePresence:
    """Publishes a role's retained state, again after each reconnection (the will may have said `gone` meanwhile).

    `counts` is asked each time the state is published. A broker that is away does not stop the role: the state
    follows when it is back.
    """

    def __init__(
        self,
        bus: Bus,
        device: NodeTopics,
        role: str,
        *,
        session: int,
        clock: Clock,
        counts: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._bus = bus
        self._device = device
        self._role = role
        self._session = session
        self._clock = clock
        self._counts = counts
        self._state: State | None = None
        self._detail = ""
        bus.on_connection(self._on_connection)

    def starting(self, detail: str = "") -> "asyncio.Future[None] | None":
        """The process runs and is not of use yet."""
        return self.set("starting", detail)

    def ready(self, detail: str = "") -> "asyncio.Future[None] | None":
        """The role does its work."""
        return self.set("ready", detail)

    def failed(self, detail: str) -> "asyncio.Future[None] | None":
        """The role cannot do its work; `detail` says why and what to do."""
        return self.set("failed", detail)

    def stopped(self, detail: str = "") -> "asyncio.Future[None] | None":
        """The role ends in order. Publish it before `bus.stop()`."""
        return self.set("stopped", detail)

    def set(self, state: State, detail: str = "") -> "asyncio.Future[None] | None":
        """Publish a state; None when the bus's queue is full (it then follows at the next connection)."""
        self._state, self._detail = state, detail
        return self.publish()

    def publish(self) -> "asyncio.Future[None] | None":
        """Publish the state as it is, with fresh counts."""
        if self._state is None:
            return None
        message = role_state(
            self._device,
            self._role,
            self._session,
            self._clock,
            self._state,
            detail=self._detail,
            counts=self._counts(),
        )
        with contextlib.suppress(QueueFull):
            return self._bus.publish(self._device.role(self._role), encode(message), retain=True)
        return None

    def _on_connection(self, up: bool) -> None:
        if up:
            self.publish()
