"""What the device said of itself since the page began, and what was retained then. Pure; all of it bounded.

Later sessions are believed: an earlier one's last will may come late. What does not decode changes nothing.
"""

from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field
from typing import TypeVar

from roost_broker.messages import (
    Alarms,
    Alert,
    Availability,
    DeadLetter,
    Event,
    Message,
    ModelState,
    Motion,
    OtaState,
    Result,
    RoleState,
    ScheduleSet,
    Snapshot,
)

_MOST = 256
"""States of roles; a device with more is not believed."""
_MOST_MODELS = 2_000
"""States of models: ten for each of a hundred tasks, and their replicas."""
_NEWEST = 50
"""Sightings, events and results that are kept, each."""
S = TypeVar("S", ModelState, RoleState)


@dataclass(slots=True)
class View:
    """See the module. `changes` counts what was heard, so that whoever looks knows whether to look again."""

    tasks: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    broker: bool = False
    """Connected at this moment."""
    broker_ms: int = 0
    """Since when it is so, wall clock; 0: since the page began."""
    changes: int = 0
    availability: Availability | None = None
    ota: OtaState | None = None
    roles: dict[str, RoleState] = field(default_factory=dict)
    models: dict[tuple[str, str, int], ModelState] = field(default_factory=dict)
    schedules: dict[str, ScheduleSet] = field(default_factory=dict)
    motions: dict[str, Motion] = field(default_factory=dict)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    alarms: dict[str, Alarms] = field(default_factory=dict)
    """Open alarms by task; of the device as a whole under an empty name."""
    alerts: "OrderedDict[str, Alert]" = field(default_factory=OrderedDict)
    """By id, the oldest first; each as it was said last."""
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=_NEWEST))
    letters: deque[DeadLetter] = field(default_factory=lambda: deque(maxlen=_NEWEST))
    results: "OrderedDict[str, Result]" = field(default_factory=OrderedDict)
    counts: Counter[str] = field(default_factory=Counter)

    def connected(self, up: bool, now_ms: int) -> None:
        """The connection to the broker came or went."""
        self.broker, self.broker_ms = up, now_ms
        self.changes += 1

    def take(self, message: Message, task: str = "") -> None:
        """Something was said on one of the device's topics; `task`: it was one of this task's."""
        match message:
            case ModelState():
                _put(self.models, (task, message.model, message.replica), message, _MOST_MODELS)
            case RoleState():
                _put(self.roles, message.role, message)
            case ScheduleSet() if task in self.tasks:
                self.schedules[task] = message
            case Alarms() if task in ("", *self.tasks):
                self.alarms[task] = message
            case Motion() if message.camera in self.cameras:
                self.motions[message.camera] = message
            case Snapshot() if message.camera in self.cameras:
                self.snapshots[message.camera] = message
            case Alert():
                self.alerts.pop(message.alert_id, None)
                self.alerts[message.alert_id] = message
                _trim(self.alerts)
            case Result():
                self.results.setdefault(message.request_id, message)
                _trim(self.results)
            case Event():
                self.events.append(message)
            case DeadLetter():
                self.letters.append(message)
            case Availability():
                self.availability = message
            case OtaState():
                self.ota = message
            case _:
                self.counts["unexpected"] += 1
                return
        self.changes += 1

    def forget(self, kind: str, name: str) -> None:
        """A retained topic was emptied."""
        known: dict[str, dict[str, object]] = {"snapshot": self.snapshots, "motion": self.motions}  # type: ignore[dict-item]  # only taken from
        if known.get(kind, {}).pop(name, None) is not None:
            self.changes += 1


def _put(known: dict, key: object, message: S, most: int = _MOST) -> None:  # type: ignore[type-arg]  # two kinds of key
    before = known.get(key)
    if (before is None and len(known) < most) or (before is not None and message.session >= before.session):
        known[key] = message


def _trim(known: "OrderedDict[str, Alert] | OrderedDict[str, Result]") -> None:
    while len(known) > _NEWEST:
        known.popitem(last=False)
