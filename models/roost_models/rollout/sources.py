"""Where the reports of a fleet come from, and how devices are told to look: the central streams, or one MQTT broker."""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import NamedTuple, Protocol

from msgspec import structs

from roost_broker.bus import Delivery
from roost_broker.centre.access import NatsAccess
from roost_broker.centre.client import CentreClient, open_centre
from roost_broker.clock import Clock, SystemClock
from roost_broker.errors import PeerError
from roost_broker.headers import new_header
from roost_broker.messages import OtaOrder, encode
from roost_broker.mqtt import MqttBus
from roost_broker.settings import BrokerSettings
from roost_broker.topics import NodeTopics
from roost_models.rollout import marker_events
from roost_models.rollout.keeping import Marker

MAX_WAITING = 20_000
"""Reports that wait to be read; of more the oldest are lost, and the device's next one brings the same."""


class Heard(NamedTuple):
    """What a device says of itself."""

    node: str
    topic: str
    payload: bytes

    @property
    def is_report(self) -> bool:
        """Whether it is the report of an OTA agent."""
        return self.topic.endswith(f"/{self.node}/ota")


class Source(Protocol):
    """Use it in an `async with`."""

    async def __aenter__(self) -> "Source":
        """Connect. Raises `RoostError`."""
        ...

    async def __aexit__(self, *_: object) -> None: ...

    def heard(self) -> AsyncIterator[Heard]:
        """The newest of each device and topic, then all that comes; for ever."""
        ...

    async def nudge(self, nodes: list[str]) -> None:
        """Ask devices to look at the registry now. It only hastens: they look by themselves."""
        ...

    async def tell(self, place: int, marker: Marker) -> None:
        """Let a marker stand among the fleet's events. Raises `RoostError` when it could not."""
        ...


def _order(node: str, clock: Clock) -> bytes:
    head = new_header(clock, node, "rollout")
    return encode(
        OtaOrder(timestamp=head.timestamp, message_id=head.message_id, provenance=head.provenance, do="check")
    )


class BrokerSource:
    """One MQTT broker: a single site, or a bench of simulated devices.

    OTA reports only; with `models` also schedules and the states of models.
    """

    def __init__(self, broker: BrokerSettings, clock: Clock | None = None, *, models: bool = False) -> None:
        self._filters = ("+/ota", "+/+/schedule", "+/+/models/+/state/#") if models else ("+/ota",)
        self._clock = clock or SystemClock()
        self._base = broker.base
        self._bus = MqttBus(structs.replace(broker, session_expiry_s=0), f"roost-rollout-{os.getpid()}")
        self._waiting: asyncio.Queue[Heard] = asyncio.Queue(MAX_WAITING)

    async def __aenter__(self) -> "BrokerSource":
        """See `Source`."""
        for wanted in self._filters:
            self._bus.subscribe(f"{self._base}/{wanted}", self._take)
        await self._bus.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._bus.stop(forget=True)

    async def heard(self) -> AsyncIterator[Heard]:
        """See `Source`."""
        while True:
            yield await self._waiting.get()

    async def nudge(self, nodes: list[str]) -> None:
        """See `Source`."""
        for node in nodes:
            done = self._bus.publish(NodeTopics(node, self._base).request("ota"), _order(node, self._clock))
            if self._bus.connected:
                await done

    async def tell(self, place: int, marker: Marker) -> None:
        """See `Source`."""
        if not self._bus.connected:
            raise PeerError("The broker is away.", "It is tried again.")
        await self._bus.publish(marker_events.topic(self._base), encode(marker_events.event_of(marker)))

    def _take(self, delivery: Delivery) -> None:
        delivery.ack()
        if self._waiting.full():
            self._waiting.get_nowait()
        node = delivery.topic.removeprefix(f"{self._base}/").partition("/")[0]
        self._waiting.put_nowait(Heard(node, delivery.topic, delivery.payload))


class CentreSource:
    """The central streams, where gateways bring the reports of all sites."""

    def __init__(self, access: NatsAccess, base: str = "roost", clock: Clock | None = None) -> None:
        self._access, self._base = access, base
        self._clock = clock or SystemClock()
        self._client: CentreClient | None = None

    async def __aenter__(self) -> "CentreSource":
        """See `Source`."""
        self._client = await open_centre(self._access, name="roost-rollout", base=self._base)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._client is not None:
            await self._client.close()

    async def heard(self) -> AsyncIterator[Heard]:
        """See `Source`."""
        if self._client is None:
            return
        async for envelope in self._client.follow("devices", start="latest"):
            if envelope.gap is None:
                yield Heard(envelope.node, envelope.topic, envelope.payload)

    async def nudge(self, nodes: list[str]) -> None:
        """See `Source`."""
        if self._client is None:
            return
        for node in nodes:
            await self._client.put_down(NodeTopics(node, self._base).request("ota"), _order(node, self._clock))

    async def tell(self, place: int, marker: Marker) -> None:
        """See `Source`."""
        if self._client is None:
            raise PeerError("There is no connection to the central streams.", "Use the source in an `async with`.")
        await self._client.put_up(marker_events.envelope_of(place, marker, self._base))
