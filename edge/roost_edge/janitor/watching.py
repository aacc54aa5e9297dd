"""The watch over the store, on a bus: hears what keepers say, looks at the card, tells what it finds.

It runs in the desk, which keeps nothing itself: a process of its own would cost 20 MB for one look a minute.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from roost_broker.announce import Announcer
from roost_broker.bus import Bus, Delivery
from roost_broker.clock import MS, SECOND, Clock
from roost_broker.errors import Malformed, QueueFull
from roost_broker.headers import new_header
from roost_broker.messages import RoleState, StoreAlarm, StoreKeeper, StoreState, decode, encode
from roost_broker.room import Room, room_of
from roost_broker.topics import NodeTopics
from roost_edge.janitor.settings import StoreSettings
from roost_edge.janitor.watch import Action, Began, Ended, StoreWatch

_log = logging.getLogger(__name__)
_DATABASES = 200
"""Files named in one message at most."""


class StoreWatching:
    """`begin` before the bus is started, then `run`. `keepers`: roles that must be seen to keep house."""

    def __init__(
        self,
        bus: Bus,
        device: NodeTopics,
        keepers: Iterable[str],
        folder: Path,
        *,
        clock: Clock,
        settings: StoreSettings | None = None,
        role: str = "desk",
        measure: Callable[[Path], Room] = room_of,
    ) -> None:
        self._bus = bus
        self._device = device
        self._folder = folder
        self._clock = clock
        self._settings = settings or StoreSettings()
        self._role = role
        self._measure = measure
        self._watch = StoreWatch(self._settings, tuple(keepers), clock.monotonic_ns())
        self._looked_ns = clock.monotonic_ns()
        self._announcer = Announcer(bus, device, role, clock, Counter())
        self._records: dict[str, int] = {}

    def begin(self) -> None:
        """Subscribe."""
        self._bus.subscribe(self._device.all_roles, self._heard)

    async def run(self) -> None:
        """Look, again and again, until cancelled."""
        while True:
            room, self._records = await asyncio.to_thread(self._look)
            now = self._clock.monotonic_ns()
            if not self._bus.connected or now - self._looked_ns >= 2 * self._settings.look_s * SECOND:
                self._watch.deaf(now)  # the broker was away; or this process slept, and heard nobody either
            self._looked_ns = now
            self._tell(self._watch.measured(room, now))
            self._publish()
            await asyncio.sleep(self._settings.look_s)

    def _heard(self, delivery: Delivery) -> None:
        delivery.ack()
        try:
            message = decode(delivery.payload)
        except Malformed:
            return  # the doctor reports what a role says and nobody can read
        if isinstance(message, RoleState):
            self._tell(self._watch.said(message.role, message.counts, self._clock.monotonic_ns()))

    def _look(self) -> tuple[Room | None, dict[str, int]]:
        try:
            return self._measure(self._folder), database_sizes(self._folder)
        except OSError as error:
            _log.warning("the disk of %s cannot be looked at: %s", self._folder, error)
            return None, {}

    def _tell(self, actions: Iterable[Action]) -> None:
        told = False
        for action in actions:
            told = True
            alarm, where = action.alarm, {"kind": action.alarm.kind, "who": action.alarm.who}
            match action:
                case Began(_, detail):
                    _log.error("store: %s", detail)
                    self._announcer.say("store-alarm", detail, dict(where))
                case Ended():
                    _log.info("store: %s is over (%s)", alarm.kind, alarm.who or "the card")
                    self._announcer.say("store-well", f"{alarm.kind} is over", dict(where))
        if told:
            self._publish()

    def _publish(self) -> None:
        watch, room = self._watch, self._watch.room
        state = StoreState(
            **new_header(self._clock, self._device.node, self._role)._asdict(),
            free_bytes=None if room is None else room.free,
            size_bytes=None if room is None else room.size,
            reserve_bytes=0 if room is None else self._settings.reserve.kept(room),
            keepers={name: self._keeper(name) for name in watch.keepers},
            records=self._records,
            alarms=[StoreAlarm(kind=one.kind, who=one.who, detail=words) for one, words in watch.alarms.items()],
        )
        try:
            self._bus.publish(self._device.store, encode(state), retain=True)
        except (QueueFull, Malformed) as error:  # the next look tells
            _log.warning("the store's state could not be told: %s", error)

    def _keeper(self, name: str) -> StoreKeeper:
        one = self._watch.keepers[name]
        ago_ms = (self._clock.monotonic_ns() - one.looked_ns) // MS
        looked_at = self._clock.wall_ns() // MS - ago_ms if one.looks >= 0 else None
        return StoreKeeper(held_bytes=one.held, budget_bytes=one.budget, looked_at=looked_at)


def database_sizes(folder: Path) -> dict[str, int]:
    """Bytes of each SQLite file, what waits in its log included, by place. Raises OSError."""
    files = sorted([*folder.glob("*.db"), *folder.glob("*/*.db"), *folder.glob("*/*/*.db")])[:_DATABASES]
    return {str(file.relative_to(folder)): sum(map(_size, (file, Path(f"{file}-wal")))) for file in files}


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
