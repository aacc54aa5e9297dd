"""Lanes: which MQTT topic travels in which stream, and under which subject. Pure, and the only place that knows.

A subject is `up.<lane>.<base>.<node>.<levels…>`, each MQTT level one token. The lane is part of the subject because
streams may not overlap: `roost/<node>/roles/events` (a role) and `roost/<node>/<camera>/events` (alerts) cannot be
told apart by wildcards. Characters that NATS gives a meaning are written `%XX`, so every topic has exactly one
subject and the way back; a base of several levels is one token.

    roost/coop-1/henhouse/input   <->   up.inputs.roost.coop-1.henhouse.input
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args
from urllib.parse import quote, unquote

from roost_broker.errors import Malformed, Misuse

LaneName: TypeAlias = Literal["alerts", "devices", "results", "inputs", "scores", "extras"]
LANE_NAMES: tuple[LaneName, ...] = get_args(LaneName)
"""In order of priority: what is fresh in an earlier lane goes before a later lane's backlog."""

UP = "up"
DOWN = "down"
DOWN_STREAM = "DOWN"
FRAMES_BUCKET = "frames"
"""Object store of the frames; an object's name is the SHA-256 of its content."""
GAP_LEVEL = "gap"
"""Last level of the topic under which a gateway tells that it dropped a range."""

_DEVICE_LEVELS = frozenset({"availability", "info", "health", "event", "ota", "alarms", "alarm"})
_NOT_MIRRORED = frozenset({"request"})


@dataclass(frozen=True, slots=True)
class Lane:
    """One stream. `priority` 0 goes first."""

    name: LaneName
    priority: int
    sentence: str

    @property
    def stream(self) -> str:
        """Name of the JetStream stream."""
        return self.name.upper()

    @property
    def subjects(self) -> str:
        """Everything in this stream."""
        return f"{UP}.{self.name}.>"


_SENTENCES: dict[LaneName, str] = {
    "alerts": "Sightings, as people think of them.",
    "devices": "What devices and their roles say of themselves: availability, models, OTA, schedules, alarms.",
    "results": "The official outcomes.",
    "inputs": "Requests exactly as the models received them.",
    "scores": "Every model's answers and refusals.",
    "extras": "All else that is mirrored: suggestions, traces, dead letters, receipts, raw requests.",
}
LANES: dict[LaneName, Lane] = {name: Lane(name, rank, _SENTENCES[name]) for rank, name in enumerate(LANE_NAMES)}


def lane_named(name: str) -> Lane:
    """The lane of this name or of this stream. Raises `Misuse`."""
    for lane in LANES.values():
        if name.lower() == lane.name:
            return lane
    raise Misuse(f"There is no lane {name!r}.", f"Lanes are: {', '.join(LANE_NAMES)}.")


def lane_of(topic: str, base: str = "roost") -> LaneName | None:
    """The lane of a topic; None for what is never mirrored (other trees, orders to a device)."""
    levels = _below(topic, base)
    if levels is None or len(levels) < 2:
        return None
    rest = levels[1:]
    if rest[0] in _NOT_MIRRORED:
        return None
    if len(rest) == 1:
        return "devices" if rest[0] in _DEVICE_LEVELS else "extras"
    if rest[0] == "roles" and len(rest) == 2:
        return "devices"
    return _lane_of_task(rest[1], len(rest))


def _lane_of_task(kind: str, length: int) -> LaneName:
    """Lane of `<task or camera>/<kind>/…`, `length` levels together."""
    if kind == "models" and length > 2:
        return "devices"
    alone: dict[str, LaneName] = {
        **{"events": "alerts", "schedule": "devices", "input": "inputs"},
        **{"alarms": "devices", "alarm": "devices"},  # they are read where a link is metered, and behind no backlog
    }
    followed: dict[str, LaneName] = {"results": "results", "scores": "scores"}
    return {2: alone, 3: followed}.get(length, {}).get(kind, "extras")


def node_of(topic: str, base: str = "roost") -> str | None:
    """The device a topic belongs to; None when it is outside the base."""
    levels = _below(topic, base)
    return levels[0] if levels else None


def task_of(topic: str, base: str = "roost") -> str | None:
    """The task (or camera) a topic belongs to; None for what concerns the whole device."""
    levels = _below(topic, base)
    if levels is None or len(levels) < 3 or levels[1] in ("roles", "request", "response"):
        return None
    return levels[1]


def gap_topic(node: str, base: str = "roost") -> str:
    """The topic under which a gateway tells of a dropped range. Nothing is ever published to it on a device."""
    return f"{base}/{node}/{GAP_LEVEL}"


def subject_of(topic: str, lane: LaneName, base: str = "roost") -> str:
    """Where a message of this topic is published. Raises `Misuse` for a topic outside the base."""
    return f"{UP}.{lane}.{_tokens(topic, base)}"


def down_subject_of(topic: str, base: str = "roost") -> str:
    """Where the centre publishes what shall appear on `topic` at the device's broker."""
    return f"{DOWN}.{_tokens(topic, base)}"


def topic_of(subject: str) -> str:
    """The MQTT topic of an `up.` or `down.` subject. Raises `Malformed`."""
    tokens = subject.split(".")
    head = 2 if tokens[0] == UP else 1
    if tokens[0] not in (UP, DOWN) or len(tokens) < head + 2 or not all(tokens):
        raise Malformed(f"{subject!r} is no subject of Roost.")
    return "/".join("" if token == "%" else unquote(token) for token in tokens[head:])  # noqa: S105  # no secret


def down_filter(nodes: tuple[str, ...], base: str = "roost") -> tuple[str, ...]:
    """Subjects of everything that goes down to these devices; `+` stands for all."""
    return tuple(f"{DOWN}.{_token(base)}.{'*' if node == '+' else _token(node)}.>" for node in nodes)


def node_subjects(lane: LaneName, node: str, base: str = "roost") -> str:
    """Everything of one device in a lane; `+` stands for all devices of this base."""
    return f"{UP}.{lane}.{_token(base)}.{'*' if node == '+' else _token(node)}.>"


def _below(topic: str, base: str) -> list[str] | None:
    prefix = base + "/"
    return topic[len(prefix) :].split("/") if topic.startswith(prefix) else None


def _tokens(topic: str, base: str) -> str:
    levels = _below(topic, base)
    if levels is None:
        raise Misuse(f"The topic {topic!r} is not below {base!r}.", "Name the base that the devices' settings name.")
    return ".".join(_token(level) for level in (base, *levels))


def _token(level: str) -> str:
    """One level as one token: letters, digits, `-`, `_` as they are; an empty level is a lone `%`."""
    return quote(level, safe="").replace(".", "%2E").replace("~", "%7E") or "%"
