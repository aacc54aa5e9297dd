"""What the alerts role does for cameras beside their sightings: their status, and the switch of their alerts."""

import logging
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from roost_broker.bus import Bus, Delivery
from roost_broker.clock import Clock
from roost_broker.deadletter import DeadLetters
from roost_broker.errors import Malformed, QueueFull
from roost_broker.headers import new_header
from roost_broker.messages import RoleState, decode, encode
from roost_broker.topics import NodeTopics
from roost_edge.alerts.cameras import Cameras, LastSeen
from roost_edge.alerts.sightings import Sighting
from roost_edge.switches.switch import ALERTS, Switch

_log = logging.getLogger(__name__)


class CameraWatch:
    """Call `listen` before the bus starts. `switches` is the folder that the switches' files lie in."""

    def __init__(
        self, bus: Bus, topics: NodeTopics, cameras: Iterable[str], switches: Path, *, role: str, clock: Clock
    ) -> None:
        self._bus = bus
        self._topics = topics
        self._role = role
        self._clock = clock
        self._book = Cameras(tuple(cameras))
        letters = DeadLetters(bus, topics.deadletter, role, clock, node=topics.node)
        self.switches = {
            name: Switch(
                *(bus, topics.camera(name), ALERTS, switches / f"{name}.{ALERTS}.json"),
                role=role,
                clock=clock,
                letters=letters,
            )
            for name in self._book.names
        }

    @property
    def muted(self) -> frozenset[str]:
        """Cameras whose alerts are switched off."""
        return frozenset(name for name, switch in self.switches.items() if not switch.on)

    def listen(self) -> None:
        """Hear how the cameras' processes are, and take orders."""
        for name, switch in self.switches.items():
            switch.listen()
            self._bus.subscribe(self._topics.role(f"capture-{name}"), partial(self._heard, name))
        self._bus.on_connection(lambda up: self._tell(self._book.names) if up else None)

    def restore(self, saved: Iterable[LastSeen]) -> None:
        """Take back what was kept."""
        self._book.restore(saved)

    def seen(self, sighting: Sighting) -> LastSeen:
        """A sighting began or goes on: what to keep of it. The status follows with `opened`."""
        one = self._book.seen(sighting)
        self._tell((sighting.camera,))
        return one

    def opened(self, sightings: Iterable[Sighting]) -> None:
        """These sightings go on now."""
        self._tell(self._book.opened(sightings))

    def _heard(self, camera: str, delivery: Delivery) -> None:
        delivery.ack()
        try:
            state = decode(delivery.payload)
        except Malformed as error:
            _log.debug("the state of capture-%s cannot be read: %s", camera, error)  # it has its own dead letters
            return
        if isinstance(state, RoleState) and self._book.heard(camera, state):
            self._tell((camera,))

    def _tell(self, cameras: Iterable[str]) -> None:
        for camera in cameras:
            status = self._book.status(camera, new_header(self._clock, self._topics.node, self._role))
            if status is None:
                continue
            try:
                self._bus.publish(self._topics.camera(camera).status, encode(status), retain=True)
            except QueueFull:
                return  # told again at the next connection
