"""What a fleet says of itself, put together: who is there, what runs where, since when nothing was heard. Pure.

Rules:

1. Of each topic the newest message counts: the higher number of the same outbox, or the later outbox.
2. A device is `online` or `offline` as its availability says, and `silent` when it says online but nothing at all was
   heard of it for `silent_after_ms`: its gateway, its link or its power is gone.
3. What does not decode is counted with the device, and changes nothing else.
4. At most `max_devices` are remembered; the one silent longest is forgotten first.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import msgspec

from roost_broker.centre.envelope import Envelope
from roost_broker.errors import Malformed, Misuse
from roost_broker.messages import Availability, Info, ModelState, OtaState, RoleState, decode
from roost_broker.topics import model_of_state_topic

Condition: TypeAlias = Literal["online", "silent", "offline", "unknown"]
_MINUTE_MS = 60_000


class ModelView(msgspec.Struct, frozen=True, kw_only=True):
    """One model on a device."""

    task: str
    model: str
    version: str
    state: str
    detail: str = ""


class LineView(msgspec.Struct, frozen=True, kw_only=True):
    """One line of bundles that the OTA agent keeps up to date."""

    task: str
    model: str
    bundle: str
    phase: str
    active: str
    """Version that serves."""
    wanted: str
    problem: str


class DeviceView(msgspec.Struct, frozen=True, kw_only=True):
    """One device as the centre sees it."""

    node: str
    condition: Condition
    heard_ms: int
    """When the centre stored the newest message of it (the centre's clock)."""
    age_ms: int
    """How long ago that is."""
    late_ms: int
    """How late the newest message came: its age when it was sent, where it was above the gateway's bound."""
    version: str
    tasks: tuple[str, ...]
    roles: dict[str, str]
    """State by role."""
    models: tuple[ModelView, ...]
    lines: tuple[LineView, ...]
    problems: tuple[str, ...]
    """Sentences for an operator."""
    malformed: int


@dataclass(slots=True)
class _Device:
    heard_ms: int = 0
    late_ms: int = 0
    newest: dict[str, tuple[str, int]] = field(default_factory=dict)
    """By topic: outbox and number of what counts."""
    availability: Availability | None = None
    info: Info | None = None
    roles: dict[str, RoleState] = field(default_factory=dict)
    models: dict[tuple[str, str, int], ModelState] = field(default_factory=dict)
    ota: OtaState | None = None
    malformed: int = 0


class Fleet:
    """Give each message of the lane `devices` to `handle`; `view` tells how things are."""

    def __init__(
        self,
        *,
        base: str = "roost",
        silent_after_ms: int = 15 * _MINUTE_MS,
        max_devices: int = 50_000,
        max_topics: int = 1000,
    ) -> None:
        if silent_after_ms < 1 or max_devices < 1 or max_topics < 1:
            raise Misuse("A fleet's bounds must be at least 1.", "Use positive numbers.")
        self._levels = len(base.split("/"))
        self._silent_after_ms = silent_after_ms
        self._max_devices = max_devices
        self._max_topics = max_topics
        self._devices: dict[str, _Device] = {}
        self.counts: Counter[str] = Counter()
        """Taken, older (than what counts), malformed, forgotten (devices), too-many (topics of one device)."""

    def __len__(self) -> int:
        return len(self._devices)

    def handle(self, envelope: Envelope) -> bool:
        """Take one message; whether it changed anything."""
        device = self._devices.get(envelope.node)
        if device is None:
            device = self._devices[envelope.node] = _Device()
            self._forget_beyond_bound(envelope.node)
        device.heard_ms = max(device.heard_ms, envelope.stored_ms)
        device.late_ms = envelope.late_ms or 0
        before = device.newest.get(envelope.topic)
        if before is not None and before[0] == envelope.outbox and before[1] >= envelope.seq:
            self.counts["older"] += 1
            return False
        if before is None and len(device.newest) >= self._max_topics:
            self.counts["too-many"] += 1
            return False
        device.newest[envelope.topic] = (envelope.outbox, envelope.seq)
        try:
            self._take(device, envelope.topic, envelope.payload)
        except Malformed:
            device.malformed += 1
            self.counts["malformed"] += 1
            return False
        self.counts["taken"] += 1
        return True

    def view(self, now_ms: int) -> tuple[DeviceView, ...]:
        """Every device, by name; `now_ms` is the centre's wall clock."""
        return tuple(self._of(node, self._devices[node], now_ms) for node in sorted(self._devices))

    def _take(self, device: _Device, topic: str, payload: bytes) -> None:
        levels = topic.split("/")[self._levels + 1 :]
        if not payload:  # a retained message that was cleared
            self._clear(device, topic, levels)
            return
        message = decode(payload)
        match message:
            case Availability():
                device.availability = message
            case Info():
                device.info = message
            case OtaState():
                device.ota = message
            case RoleState():
                device.roles[levels[-1]] = message
            case ModelState() if len(levels) > 2:
                device.models[levels[0], model_of_state_topic(topic), message.replica] = message
            case _:
                self.counts["other"] += 1

    def _clear(self, device: _Device, topic: str, levels: list[str]) -> None:
        if levels and levels[0] == "roles":
            device.roles.pop(levels[-1], None)
        elif len(levels) > 2 and levels[1] == "models":
            name = model_of_state_topic(topic)
            for key in [key for key in device.models if key[:2] == (levels[0], name)]:
                del device.models[key]

    def _of(self, node: str, device: _Device, now_ms: int) -> DeviceView:
        age = max(0, now_ms - device.heard_ms)
        condition = self._condition(device, age)
        models = tuple(
            ModelView(task=task, model=model, version=one.version, state=one.state, detail=one.detail)
            for (task, model, _), one in sorted(device.models.items())
        )
        return DeviceView(
            node=node,
            condition=condition,
            heard_ms=device.heard_ms,
            age_ms=age,
            late_ms=device.late_ms,
            version=device.info.version if device.info else "",
            tasks=tuple(device.info.tasks) if device.info else (),
            roles={role: one.state for role, one in sorted(device.roles.items())},
            models=models,
            lines=_lines(device.ota),
            problems=_problems(device, condition, age),
            malformed=device.malformed,
        )

    def _condition(self, device: _Device, age: int) -> Condition:
        if device.availability is None:
            return "unknown"
        if device.availability.state == "offline":
            return "offline"
        return "silent" if age >= self._silent_after_ms else "online"

    def _forget_beyond_bound(self, newcomer: str) -> None:
        if len(self._devices) > self._max_devices:
            others = (node for node in self._devices if node != newcomer)
            del self._devices[min(others, key=lambda node: self._devices[node].heard_ms)]
            self.counts["forgotten"] += 1


def _lines(ota: OtaState | None) -> tuple[LineView, ...]:
    if ota is None:
        return ()
    return tuple(
        LineView(
            task=line.task,
            model=line.model,
            bundle=line.bundle,
            phase=line.phase,
            active=next((slot.version for slot in line.slots if slot.state == "active"), ""),
            wanted=line.wanted,
            problem=line.problem,
        )
        for line in ota.lines
    )


def _problems(device: _Device, condition: Condition, age: int) -> tuple[str, ...]:
    found = []
    if condition == "silent":
        found.append(f"not heard for {age // _MINUTE_MS} min, though it says that it is online")
    if condition == "offline":
        return ("offline",)  # its roles cannot be better than it
    found += [
        f"{role} is {one.state}: {one.detail}".rstrip(": ")
        for role, one in sorted(device.roles.items())
        if one.state in ("failed", "gone")
    ]
    found += [
        f"model {model} of {task} is {one.state}: {one.detail}".rstrip(": ")
        for (task, model, _), one in sorted(device.models.items())
        if one.state in ("failed", "gone")
    ]
    if device.ota is not None:
        found += [device.ota.problem] if device.ota.problem else []
        found += [f"{line.model}: {line.problem}" for line in device.ota.lines if line.problem]
    return tuple(found)
