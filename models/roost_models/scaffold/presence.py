"""A model's retained state: what its scaffold publishes, and the last will that says `gone`."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Literal, TypeAlias

from roost_broker.bus import Bus, Will
from roost_broker.clock import Clock
from roost_broker.errors import QueueFull
from roost_broker.headers import new_header
from roost_broker.messages import ModelState, encode
from roost_broker.topics import TaskTopics
from roost_models.bundle.folder import Bundle
from roost_models.scaffold.replies import clean

if TYPE_CHECKING:
    import asyncio

State: TypeAlias = Literal["starting", "warming", "ready", "failed", "stopped", "gone"]


def model_state(
    topics: TaskTopics,
    model: str,
    session: int,
    clock: Clock,
    state: State,
    *,
    bundle: Bundle | None = None,
    runtime: str = "",
    detail: str = "",
    counts: Mapping[str, int] | None = None,
) -> ModelState:
    """A model's state, stamped now."""
    head = new_header(clock, topics.device.node, f"model {model}")
    return ModelState(
        timestamp=head.timestamp,
        message_id=head.message_id,
        provenance=head.provenance,
        model=model,
        version="" if bundle is None else bundle.manifest.version,
        bundle=None if bundle is None else bundle.digest,
        state=state,
        session=session,
        runtime=runtime,
        detail=clean(detail),
        counts=dict(counts or {}),
    )


def model_will(topics: TaskTopics, model: str, session: int, clock: Clock, bundle: Bundle | None = None) -> Will:
    """What the broker says for a scaffold that vanished; for the bus's constructor."""
    state = model_state(topics, model, session, clock, "gone", bundle=bundle)
    return Will(topics.model_state(model), encode(state))


class ModelPresence:
    """Publishes the state, again after each reconnection (the will may have said `gone` meanwhile)."""

    def __init__(
        self,
        bus: Bus,
        topics: TaskTopics,
        model: str,
        bundle: Bundle,
        *,
        session: int,
        clock: Clock,
        counts: Callable[[], Mapping[str, int]],
    ) -> None:
        self._bus = bus
        self._topics = topics
        self._model = model
        self._bundle = bundle
        self._session = session
        self._clock = clock
        self._counts = counts
        self._state: State | None = None
        self._detail = ""
        self.runtime = ""
        bus.on_connection(self._on_connection)

    def begin(self, state: State) -> None:
        """A state to be published by the first connection."""
        self._state = state

    def set(self, state: State, detail: str = "") -> "asyncio.Future[None] | None":
        """Publish a state; None when the bus's queue is full (it then follows at the next connection)."""
        self._state, self._detail = state, detail
        return self.publish()

    def publish(self) -> "asyncio.Future[None] | None":
        """Publish the state as it is, with fresh counts."""
        if self._state is None:
            return None
        message = model_state(
            self._topics,
            self._model,
            self._session,
            self._clock,
            self._state,
            bundle=self._bundle,
            runtime=self.runtime,
            detail=self._detail,
            counts=self._counts(),
        )
        with suppress(QueueFull):
            return self._bus.publish(self._topics.model_state(self._model), encode(message), retain=True)
        return None

    def _on_connection(self, up: bool) -> None:
        if up:
            self.publish()
