"""Simulated devices over real sessions: each has its own MQTT connection, polls, obeys a nudge, and reports.

The registry is read once for all of them; what a new bundle is worth is measured once, before any device sees the
document that brings it. Reports are not signed, and say `simulated` in their tags.
"""

import asyncio
import heapq
import logging
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from msgspec import structs

from roost_broker.bus import Bus, Delivery, Will
from roost_broker.cancellation import cancel_and_wait, within
from roost_broker.clock import SECOND, Clock
from roost_broker.errors import Misuse, QueueFull, RoostError
from roost_broker.headers import new_header
from roost_broker.ids import new_id
from roost_broker.messages import Availability, encode
from roost_broker.mqtt import MqttBus
from roost_broker.settings import BrokerSettings
from roost_broker.topics import NodeTopics
from roost_broker.version import VERSION
from roost_edge.fleet_sim.device import Habits, SimulatedDevice
from roost_edge.fleet_sim.measuring import Measuring
from roost_edge.fleet_sim.truth import Known, Truth
from roost_models.bundle.folder import Bundle
from roost_models.registry.errors import RegistryRefused, RegistryUnreachable
from roost_models.rollout.document import BundleRef, Rollout

_log = logging.getLogger(__name__)
_TOGETHER = 50
"""Sessions that are opened at a time."""


class Registry(Protocol):
    """What is read of a registry; see `roost_models.registry.reader`. Calls block."""

    def refresh(self) -> None:
        """Look anew."""
        ...

    def rollout(self, task: str, name: str) -> Rollout | None:
        """The document of a line."""
        ...


Fetch = Callable[[str, BundleRef], Bundle]
"""Task and bundle; blocks. Raises `RoostError`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationSettings:
    """What is simulated."""

    devices: int
    task: str
    name: str
    """The line: name of the bundle in the registry."""
    delivered: Bundle
    """What the devices came with."""
    model: str = "champion"
    prefix: str = "sim"
    tags: dict[str, Sequence[str]] = field(default_factory=dict)
    """By tag, the values that devices have in turn."""
    poll_s: float = 30.0
    habits: Habits = field(default_factory=Habits)
    seed: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.devices <= 100_000 or self.poll_s <= 0:
            raise Misuse("The number of devices or the poll interval cannot be.", "Give 1 to 100000, and seconds > 0.")


class Simulation:
    """A fleet. `counts` says what happened: reports, polls, documents, registry-unreachable, bundles-refused."""

    def __init__(
        self,
        settings: SimulationSettings,
        broker: BrokerSettings,
        registry: Registry,
        fetch: Fetch,
        measuring: Measuring,
        clock: Clock,
        *,
        say: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._settings, self._registry, self._fetch = settings, registry, fetch
        self._measuring, self._clock, self._say = measuring, clock, say
        self._draw = random.Random(settings.seed)  # noqa: S311  # chance of a simulation, repeatable on purpose
        self._truths: dict[str, Known] = {}
        self._bundles: dict[str, Bundle] = {settings.delivered.digest: settings.delivered}
        self._document: Rollout | None = None
        self._due: list[tuple[int, str]] = []
        self._next: dict[str, int] = {}
        self._asked: set[str] = set()
        self._nudged = asyncio.Event()
        self.devices = {device.node: device for device in self._make()}
        self._topics = {node: NodeTopics(node, broker.base) for node in self.devices}
        self._buses: dict[str, Bus] = {node: self._bus(broker, node) for node in self.devices}

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`."""
        nodes = list(self._buses)
        for first in range(0, len(nodes), _TOGETHER):
            await asyncio.gather(*(self._buses[node].start() for node in nodes[first : first + _TOGETHER]))
        self._say(f"{len(nodes)} devices are connected.")
        now = self._clock.monotonic_ns()
        for node in nodes:
            self._buses[node].publish(self._topics[node].availability, self._available(node, "online"), retain=True)
            self._report(node, now)
            self._plan(node, now + int(self._draw.random() * self._settings.poll_s * SECOND))
        looking = asyncio.ensure_future(self._look(stop))
        try:
            while not stop.is_set() and not looking.done():
                self._wake()
                await asyncio.sleep(0.05)
            if looking.done():
                looking.result()  # raises why
        finally:
            await cancel_and_wait(looking)
            await asyncio.gather(*(bus.stop(forget=True) for bus in self._buses.values()), return_exceptions=True)

    # devices

    def _make(self) -> list[SimulatedDevice]:
        settings = self._settings
        manifest = settings.delivered.manifest
        delivered = BundleRef(name=settings.name, version=manifest.version, digest=settings.delivered.digest)
        width = len(str(settings.devices - 1))
        return [
            SimulatedDevice(
                f"{settings.prefix}-{number:0{width}}",
                settings.task,
                settings.model,
                delivered,
                self._truths,
                self._draw,
                tags={
                    "simulated": "yes",
                    **{name: values[number % len(values)] for name, values in settings.tags.items()},
                },
                habits=settings.habits,
            )
            for number in range(settings.devices)
        ]

    def _bus(self, broker: BrokerSettings, node: str) -> MqttBus:
        will = Will(self._topics[node].availability, self._available(node, "offline"))
        bus = MqttBus(structs.replace(broker, session_expiry_s=0), f"{node}-ota", will=will)

        def asked(delivery: Delivery) -> None:
            delivery.ack()
            self.counts["nudges"] += 1
            self._asked.add(node)
            self._nudged.set()

        bus.subscribe(self._topics[node].request("ota"), asked)
        return bus

    def _available(self, node: str, state: Literal["online", "offline"]) -> bytes:
        head = new_header(self._clock, node, "ota")
        return encode(
            Availability(
                timestamp=head.timestamp,
                message_id=head.message_id,
                provenance=head.provenance,
                state=state,
                session=head.timestamp,
            )
        )

    def _wake(self) -> None:
        now = self._clock.monotonic_ns()
        while self._due and self._due[0][0] <= now:
            due, node = heapq.heappop(self._due)
            if due != self._next[node]:
                continue  # it was nudged since
            device = self.devices[node]
            if self._document is not None:
                device.see(self._document, now)
            device.pass_time(now)
            self._report(node, now)
            self.counts["polls"] += 1
            self._plan(node, now + int(self._settings.poll_s * (0.8 + 0.4 * self._draw.random()) * SECOND))

    def _plan(self, node: str, due: int) -> None:
        self._next[node] = due
        heapq.heappush(self._due, (due, node))

    def _report(self, node: str, now: int) -> None:
        device = self.devices[node]
        if device.dark:
            return
        wall = self._clock.wall_ns()
        state = device.state(wall, now, message_id=new_id(wall), version=VERSION)
        try:
            self._buses[node].publish(self._topics[node].ota, encode(state), retain=True)
        except QueueFull:
            self.counts["reports-dropped"] += 1
        else:
            self.counts["reports"] += 1

    # the registry

    async def _look(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                document = await asyncio.to_thread(self._read)
                if document is not None and document != self._document:
                    await self._learn(document)
                    self._document = document
                    self.counts["documents"] += 1
                    self._say(
                        f"{document.rollout_id}: {document.state}, shadow {document.shadow:.2%}, "
                        f"serving {document.serving:.2%}"
                    )
            except (RegistryUnreachable, RegistryRefused) as error:
                self.counts["registry-refused"] += 1
                _log.warning("the registry could not be used: %s", error)
            self._hasten()
            try:
                await within(self._nudged.wait(), self._settings.poll_s / 2)
            except TimeoutError:
                continue
            self._nudged.clear()

    def _hasten(self) -> None:
        """The registry was read after they were nudged: now they look."""
        now = self._clock.monotonic_ns()
        for node in self._asked:
            self._plan(node, now)
        self._asked.clear()

    def _read(self) -> Rollout | None:
        self._registry.refresh()
        return self._registry.rollout(self._settings.task, self._settings.name)

    async def _learn(self, document: Rollout) -> None:
        """Measure what the document brings, before any device sees it."""
        wanted = document.bundle
        if wanted.digest in self._truths:
            return
        self._say(f"Measuring {wanted.name} {wanted.version}.")
        try:
            bundle = await asyncio.to_thread(self._open, wanted)
            before = self._settings.delivered
            if document.previous is not None:
                before = await asyncio.to_thread(self._open, document.previous)
            known = await asyncio.to_thread(self._measuring.known, bundle, before)
        except RoostError as error:
            self.counts["bundles-refused"] += 1
            known = Known(usual=Truth(installs=0.0), problem=error.problem)
        self._truths[wanted.digest] = known
        usual = known.usual
        self._say(
            f"{wanted.version}: agrees with the one before on {usual.previous:.1%}, with the canary on "
            f"{usual.canary:.1%} of the pictures; p99 {usual.p99_ms:.1f} ms against {usual.previous_p99_ms:.1f} ms."
            if usual.installs
            else f"{wanted.version} is refused: {known.problem}"
        )

    def _open(self, wanted: BundleRef) -> Bundle:
        if wanted.digest not in self._bundles:
            self._bundles[wanted.digest] = self._fetch(self._settings.task, wanted)
        return self._bundles[wanted.digest]
