"""One visit at the broker: a message goes there and back, and every retained state of the device comes with it.

The probe is published when the subscriptions stand. The broker answers in order, so when the probe has come back, all
that was retained has come, too: nothing is waited for by the clock.
"""

import asyncio
import logging
import os
from dataclasses import dataclass, field

from msgspec import structs

from roost_broker.bus import Delivery
from roost_broker.clock import MS, Clock
from roost_broker.credentials import OPERATOR, as_operator, as_user
from roost_broker.errors import Malformed, PeerError
from roost_broker.headers import new_header
from roost_broker.ids import new_id
from roost_broker.messages import (
    Alarms,
    Ask,
    Availability,
    ModelState,
    OtaState,
    RoleState,
    ScheduleSet,
    StoreState,
    decode,
    encode,
)
from roost_broker.mqtt import MqttBus
from roost_broker.role_access import session_user
from roost_broker.settings import BrokerSettings
from roost_edge.broker_setup.starting import how_to_start
from roost_edge.logs import one_complaint
from roost_edge.settings.device import Settings
from roost_edge.units import systemctl

_BACK_S = 10.0
"""A message that takes longer to come back is lost."""
_MOST_CONNECT_S = 300  # what the settings allow


@dataclass(slots=True)
class Look:
    """What was found. `models` by task, model and replica."""

    round_trip_ms: float = 0.0
    availability: Availability | None = None
    ota: OtaState | None = None
    store: StoreState | None = None
    alarms: dict[str, Alarms] = field(default_factory=dict)
    """By task; the device's own under an empty name."""
    roles: dict[str, RoleState] = field(default_factory=dict)
    models: dict[tuple[str, str, int], ModelState] = field(default_factory=dict)
    schedules: dict[str, ScheduleSet] = field(default_factory=dict)

    @property
    def newest_ms(self) -> int:
        """When the newest of all these was said, by the clock of whoever said it; 0 for none."""
        said = [*self.roles.values(), *self.models.values()]
        return max((message.timestamp for message in said), default=0)


class NoBroker(PeerError):
    """Nobody answers where the settings say that the broker is."""


class NotCarried(PeerError):
    """The broker took a message and did not bring it back."""


def look(settings: Settings, user: str, clock: Clock, patience: float = 1.0) -> Look:
    """Its waits are `patience` times as long as usual, for a device that is slow.

    Raises `PeerError`: nobody there, a wrong password, or a message that does not come back.
    """
    with one_complaint(logging.CRITICAL):
        return asyncio.run(_look(settings, user, clock, patience))


async def _look(settings: Settings, user: str, clock: Clock, patience: float) -> Look:
    connect_s = min(round(settings.broker.connect_timeout_s * patience), _MOST_CONNECT_S)
    broker = structs.replace(_as(settings.broker, user), session_expiry_s=0, connect_timeout_s=connect_s)
    bus = MqttBus(broker, f"{settings.node.name}-doctor-{os.getpid()}")
    found, back, probe = Look(), asyncio.Event(), new_id(clock.wall_ns())

    def heard(delivery: Delivery) -> None:
        delivery.ack()
        try:
            message = decode(delivery.payload)
        except Malformed:
            return  # whoever reads that topic reports it
        if isinstance(message, Ask):
            if message.transaction == probe:
                back.set()
        else:
            _keep(found, message, delivery.topic, settings)

    device = settings.topics
    retained = (device.availability, device.ota, device.store, device.alarms, device.all_roles)
    for topic in (*retained, device.request("probe")):
        bus.subscribe(topic, heard)
    for task in settings.tasks:
        bus.subscribe(device.task(task).schedule, heard)
        bus.subscribe(device.task(task).all_model_states, heard)
        bus.subscribe(device.task(task).alarms, heard)
    try:
        async with asyncio.timeout(broker.connect_timeout_s):
            await bus.start()
    except TimeoutError:
        await bus.stop()
        raise NoBroker(
            f"No broker answers at {broker.host}:{broker.port} within {connect_s} s.",
            how_to_start(broker.port, systemd=systemctl.runs()),
        ) from None
    try:
        back_s = _BACK_S * patience
        await _round_trip(bus, device.request("probe"), probe, settings, clock, back, found, back_s)
    finally:
        await bus.stop()
    return found


async def _round_trip(
    bus: MqttBus,
    topic: str,
    probe: str,
    settings: Settings,
    clock: Clock,
    back: asyncio.Event,
    found: Look,
    back_s: float,
) -> None:
    head = new_header(clock, settings.node.name, "doctor")
    ask = Ask(**head._asdict(), verb="probe", transaction=probe)
    began = clock.monotonic_ns()
    try:
        async with asyncio.timeout(back_s):
            await bus.publish(topic, encode(ask))
            await back.wait()
    except TimeoutError:
        raise NotCarried(
            f"The broker did not bring a message on {topic} back within {back_s:g} s.",
            "Let this user read and write that topic (`roost broker setup` renders the rights), and see that the "
            "broker's disk is not full: journalctl -u mosquitto.",
        ) from None
    found.round_trip_ms = round((clock.monotonic_ns() - began) / MS, 2)


def _as(broker: BrokerSettings, user: str) -> BrokerSettings:
    """`operator` is a person; a role examines in a session of its own, under that session's rights."""
    if user == OPERATOR:
        return as_operator(broker)
    return as_user(broker, session_user(user, "doctor"), secret_of=user)


def _keep(found: Look, message: object, topic: str, settings: Settings) -> None:
    match message:
        case RoleState():
            found.roles[message.role] = message
        case Availability():
            found.availability = message
        case OtaState():
            found.ota = message
        case StoreState():
            found.store = message
        case Alarms():
            found.alarms[message.task or ""] = message
        case ScheduleSet():
            found.schedules[_task(topic, settings)] = message
        case ModelState():
            found.models[_task(topic, settings), message.model, message.replica] = message


def _task(topic: str, settings: Settings) -> str:
    return topic.removeprefix(f"{settings.topics.root}/").split("/", 1)[0]
