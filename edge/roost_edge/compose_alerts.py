"""Composition of the role `alerts`; see `roles`."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from roost_broker.bus import Bus
from roost_broker.errors import Misuse

if TYPE_CHECKING:
    from roost_edge.discovery.announcer import DiscoveryAnnouncer
    from roost_edge.roles import Place, Shell

_LOCALTIME = Path("/etc/localtime")
_BOARD = Path("/proc/device-tree/model")


@contextmanager
def compose_alerts(place: "Place", _fault: str) -> "Iterator[Shell]":
    """The alerts of this device, with its announcement to Home Assistant where the settings have [discovery]."""
    from roost_edge.alerts.device import Device, availability_will
    from roost_edge.alerts.role import AlertsRole

    settings = place.settings
    models = {
        f"{task}/{model}": Path(section.bundle).name
        for task, part in settings.tasks.items()
        for model, section in part.models.items()
    }
    bus = place.bus(will=availability_will(place.device, place.session, place.clock))
    yield AlertsRole(
        bus,
        place.device,
        [settings.task_topics(task) for task in settings.tasks],
        settings.alerts,
        place.shown,
        device=Device(cameras=tuple(settings.cameras), models=models, zone=time_zone(settings.alerts.timezone)),
        outbox=place.layout.outbox,
        clock=place.clock,
        session=place.session,
        role=place.role.name,
        discovery=_discovery(place, bus),
    )


def time_zone(name: str) -> tzinfo:
    """The zone of that name; empty: the device's own, with its changes of the clock where the system tells them.

    Raises `Misuse` for a name that nobody knows here.
    """
    if not name:
        try:
            with _LOCALTIME.open("rb") as file:
                return ZoneInfo.from_file(file, key="local")
        except (OSError, ValueError):
            return datetime.now().astimezone().tzinfo or ZoneInfo("UTC")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Misuse(
            f"There is no time zone {name!r} here.",
            "Write one such as Europe/Zurich, or leave alerts.timezone out; the system's package tzdata has them all.",
        ) from error


def _discovery(place: "Place", bus: Bus) -> "DiscoveryAnnouncer | None":
    from roost_edge.discovery.announced import Announced
    from roost_edge.discovery.announcer import DiscoveryAnnouncer
    from roost_edge.discovery.document import Inventory, config_topic

    settings = place.settings
    wish = settings.discovery
    if wish is None:
        return None
    announced = Announced(place.layout.data / "discovery.json")
    lines = [(line.task, line.model) for line in settings.lines] if settings.ota is not None else []
    inventory = Inventory(place.device, tuple(settings.cameras), lines, board(), announced.before())
    payload = announced.encoded(inventory, wish)
    return DiscoveryAnnouncer(bus, config_topic(place.device, wish), payload, wish, clock=place.clock)


def board(path: Path = _BOARD) -> str:
    """What the board calls itself; empty where it does not say."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return ""
