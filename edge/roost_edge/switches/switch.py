"""One switch of a camera: ordered on `<switch>/set`, told on `<switch>/state`, kept in a file.

1. The role that obeys a switch has it, and tells how it stands: what `state` says is done.
2. An order counts once it is on the disk; only then is it obeyed, told and acknowledged. What cannot be written is
   neither: the order stays with the broker, and comes again.
3. A retained order would be given anew at every start: it is nobody's. So is an empty one, which ends a retained one.
4. A file that cannot be read is a switch that nobody has turned: on.
"""

import asyncio
import logging
from collections import Counter
from pathlib import Path
from typing import Final, Literal

import msgspec

from roost_broker.bus import Bus, Delivery
from roost_broker.clock import Clock
from roost_broker.deadletter import DeadLetters
from roost_broker.durable import write_durably
from roost_broker.errors import QueueFull
from roost_broker.headers import new_header
from roost_broker.messages import SwitchState, encode
from roost_broker.topics import CameraTopics

ALERTS: Final = "alerts"
DETECTION: Final = "detection"
_MOST_BYTES = 1_000
_log = logging.getLogger(__name__)


class _Kept(msgspec.Struct, forbid_unknown_fields=True):
    on: bool


class _Order(msgspec.Struct):
    state: str


def read_order(payload: bytes) -> bool | None:
    """True for `on`, False for `off`, in whatever case, also as `{"state": "on"}`; None for anything else. Pure."""
    if len(payload) > _MOST_BYTES:
        return None
    text = payload.decode(errors="replace").strip()
    if text.startswith("{"):
        try:
            text = msgspec.json.decode(text, type=_Order).state
        except msgspec.DecodeError:
            return None
    return {"on": True, "off": False}.get(text.lower())


class Switch:
    """See the module's rules. Call `listen` before the bus starts; `letters` are for orders that say nothing."""

    def __init__(
        self, bus: Bus, camera: CameraTopics, name: str, file: Path, *, role: str, clock: Clock, letters: DeadLetters
    ) -> None:
        self.name = name
        self.on = read(file)
        """Whether it is on."""
        self.counts: Counter[str] = Counter()
        self._bus = bus
        self._camera = camera
        self._file = file
        self._role = role
        self._clock = clock
        self._letters = letters
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()  # bounded by the session's receive maximum

    @property
    def state(self) -> Literal["on", "off"]:
        """As the messages have it."""
        return "on" if self.on else "off"

    def listen(self) -> None:
        """Take orders, and tell how it stands after each connection."""
        self._bus.subscribe(self._camera.switch_set(self.name), self._ordered)
        self._bus.on_connection(lambda up: self.tell() if up else None)

    def tell(self) -> None:
        """Publish how it stands."""
        head = new_header(self._clock, self._camera.device.node, self._role)
        message = SwitchState(
            timestamp=head.timestamp,
            message_id=head.message_id,
            provenance=head.provenance,
            camera=self._camera.camera,
            switch=self.name,
            state=self.state,
        )
        try:
            self._bus.publish(self._camera.switch_state(self.name), encode(message), retain=True)
        except QueueFull:
            self.counts["queue-full"] += 1  # told again at the next connection

    def _ordered(self, delivery: Delivery) -> None:
        if delivery.retained or not delivery.payload:
            self.counts["retained"] += 1
            delivery.ack()
            return
        wanted = read_order(delivery.payload)
        if wanted is None:
            self.counts["malformed"] += 1
            self._letters.send(delivery, "A switch is turned by the word on or off.")
            return
        task = asyncio.create_task(self._obey(wanted, delivery))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _obey(self, wanted: bool, delivery: Delivery) -> None:
        async with self._turn:  # in the order in which they came
            try:
                if wanted != self.on:
                    await asyncio.to_thread(write_durably, self._file, msgspec.json.encode(_Kept(on=wanted)))
            except OSError as error:
                self.counts["not-kept"] += 1
                _log.error("the switch %s of %s stays as it is: %s", self.name, self._camera.camera, error)
                return
            self.on = wanted
            self.counts[f"turned-{self.state}"] += 1
            self.tell()
            delivery.ack()


def read(file: Path) -> bool:
    """How the switch was left."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=_Kept).on
    except FileNotFoundError:
        return True
    except (OSError, msgspec.DecodeError) as error:
        _log.warning("the switch in %s cannot be read, and is on: %s", file, error)
        return True
