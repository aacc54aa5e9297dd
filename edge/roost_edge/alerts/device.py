"""What is true of the device as a whole, which the alerts role tells: whether it is there, and what it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Literal

from roost_broker.bus import Will
from roost_broker.clock import Clock
from roost_broker.headers import new_header
from roost_broker.messages import Availability, Info, encode
from roost_broker.topics import NodeTopics
from roost_broker.version import VERSION


@dataclass(frozen=True, slots=True)
class Device:
    """What `info` says of the device; `cameras` are also the only ones that alerts are made for."""

    cameras: Sequence[str]
    models: Mapping[str, str] = field(default_factory=dict)
    system: Mapping[str, str] = field(default_factory=dict)
    zone: tzinfo = UTC
    """Whose hours the rules mean."""


def availability(topics: NodeTopics, state: Literal["online", "offline"], session: int, clock: Clock) -> bytes:
    """The message that says whether the device is there."""
    header = new_header(clock, topics.node, "alerts")
    return encode(Availability(**header._asdict(), state=state, session=session))


def availability_will(topics: NodeTopics, session: int, clock: Clock) -> Will:
    """What the broker says of the device when this role vanishes; give it to the role's bus.

    A will may arrive after a successor's "online": readers believe the higher session number.
    """
    return Will(topics.availability, availability(topics, "offline", session, clock))


def info(topics: NodeTopics, device: Device, tasks: Sequence[str], clock: Clock) -> bytes:
    """The message that says what the device is."""
    return encode(
        Info(
            **new_header(clock, topics.node, "alerts")._asdict(),
            node=topics.node,
            version=VERSION,
            tasks=list(tasks),
            cameras=list(device.cameras),
            models=dict(device.models),
            system=dict(device.system),
        )
    )
