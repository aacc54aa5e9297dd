"""Who is there: retained states, and the last will that says `gone` for a process that cannot say it any more."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Generic, Literal, TypeAlias, TypeVar

from roost_broker.bus import Bus, Will
from roost_broker.clock import Clock
from roost_broker.errors import QueueFull
from roost_broker.headers import new_header
from roost_broker.messages import RoleState, Usage, encode
from roost_broker.topics import NodeTopics
from roost_broker.usage import usage
from roost_broker.version import VERSION

State: TypeAlias = Literal["starting", "ready", "failed", "stopped", "gone"]
S = TypeVar("S", bound=str)

STATE_TOLD: ContextVar[Callable[[str, str], None] | None] = ContextVar("STATE_TOLD", default=None)
"""Who beside the broker is told each state and its detail: in a service, systemd. Set it before a role is composed."""


def role_state(
    device: NodeTopics,
    role: str,
    session: int,
    clock: Clock,
    state: State,
    *,
    detail: str = "",
    counts: Mapping[str, int] | None = None,
    usage: Usage | None = None,
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
        usage=usage,
    )


def role_will(device: NodeTopics, role: str, session: int, clock: Clock) -> Will:
    """What the broker says for a role that vanished: `gone`, with the number of the session that ended."""
    return Will(device.role(role), encode(role_state(device, role, session, clock, "gone")))


class RetainedPresence(Generic[S]):
    """Publishes a retained state, again after each reconnection (the will may have said `gone` meanwhile).

    A broker that is away does not stop the role: the state follows when it is back.
    """

    def __init__(self, bus: Bus, topic: str) -> None:
        self._bus = bus
        self._topic = topic
        self._state: S | None = None
        self._detail = ""
        self._told = STATE_TOLD.get()
        bus.on_connection(self._on_connection)

    def begin(self, state: S) -> None:
        """A state to be published by the first connection."""
        self._state = state
        self._tell()

    def set(self, state: S, detail: str = "") -> "asyncio.Future[None] | None":
        """Publish a state; None when the bus's queue is full (it then follows at the next connection)."""
        self._state, self._detail = state, detail
        self._tell()
        return self.publish()

    def publish(self) -> "asyncio.Future[None] | None":
        """Publish the state as it is, with fresh counts."""
        if self._state is None:
            return None
        payload = self._write(self._state, self._detail)
        with contextlib.suppress(QueueFull):
            return self._bus.publish(self._topic, payload, retain=True)
        return None

    def _tell(self) -> None:
        if self._told is not None and self._state is not None:
            self._told(self._state, self._detail)

    def _write(self, state: S, detail: str) -> bytes:
        """The message that says so, stamped now."""
        raise NotImplementedError

    def _on_connection(self, up: bool) -> None:
        if up:
            self.publish()


class RolePresence(RetainedPresence[State]):
    """Presence of a process that is not a model. `counts` is asked each time the state is published."""

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
        super().__init__(bus, device.role(role))
        self.role = role
        self._device = device
        self._session = session
        self._clock = clock
        self._counts = counts

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

    def _write(self, state: State, detail: str) -> bytes:
        counts = self._counts()
        return encode(
            role_state(
                *(self._device, self.role, self._session, self._clock, state),
                detail=detail,
                counts=counts,
                usage=usage(),
            )
        )
