"""What an operator is told about schedules: the one in force, the ones before it, and what models would make of one.

Pure but for `Knowledge.read`, which reads the small files that the rendezvous keeps beside its journal.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from roost_broker.errors import PeerError
from roost_broker.messages import ScheduleSet
from roost_rendezvous.schedule import Schedule, explain, parse
from roost_rendezvous.server import attainment, schedule_history
from roost_rendezvous.server.attainment import Record
from roost_rendezvous.server.schedule_history import Entry
from roost_rendezvous.survey import Survey
from roost_rendezvous.timeline import draw

_CAUSES = ("requests", "preferred", "fallback", "override", "default")


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What the rendezvous of a task has written down."""

    history: list[Entry] = field(default_factory=list)
    totals: dict[str, int] = field(default_factory=dict)
    """Requests and answers by cause, as of the last time it wrote (every few minutes, and when it stops)."""
    models: dict[str, Record] = field(default_factory=dict)

    @classmethod
    def read(cls, journal: Path) -> "Knowledge":
        """From a journal folder; empty when there is none."""
        attained = attainment.read(journal)
        return cls(schedule_history.read(journal), attained.totals, attained.models)

    def warnings(self, schedule: Schedule) -> list[str]:
        """What models never attained under such a schedule."""
        return attainment.never_in_time(schedule, self.models)


@dataclass(frozen=True, slots=True)
class Shown:
    """The schedule of a task, as `roost schedule show` tells it."""

    task: str
    version: str
    schedule: dict[str, Any]
    author: str
    why: str
    at: int
    """When it was put in force, wall clock in ms; 0 = unknown."""
    rendezvous: str
    """State of the process that keeps to it; `unreachable` when no broker was asked."""
    standing: str
    """One sentence: whether it is in force."""
    explanation: list[str]
    timeline: list[str]
    warnings: list[str]


def show(task: str, found: Survey | None, known: Knowledge) -> Shown:
    """The schedule in force. `found` is None when no broker answered. Raises `PeerError` when there is none at all."""
    on_topic = found.schedule if found is not None else None
    chosen = _chosen(on_topic, known.history)
    if chosen is None:
        raise PeerError(
            f"No schedule of the task {task} is known here: none is on the topic, and the rendezvous wrote none down.",
            "Start the device once, or put one in force: roost schedule apply FILE.",
        )
    state = found.rendezvous_state(task) if found is not None else "unreachable"
    schedule = parse(chosen.schedule)
    return Shown(
        task=task,
        version=chosen.version,
        schedule=chosen.schedule,
        author=chosen.author,
        why=chosen.why,
        at=chosen.at if isinstance(chosen, Entry) else chosen.timestamp,
        rendezvous=state,
        standing=_standing(chosen.version, state, on_topic.version if on_topic is not None else ""),
        explanation=explain(schedule),
        timeline=draw(schedule),
        warnings=known.warnings(schedule),
    )


def _chosen(on_topic: ScheduleSet | None, history: list[Entry]) -> ScheduleSet | Entry | None:
    """What the rendezvous keeps to: the topic, unless it carries what was replaced since (see `schedule_keeper`)."""
    last = history[-1] if history else None
    if on_topic is None or last is None:
        return on_topic or last
    replaced = any(entry.message_id == on_topic.message_id for entry in history)
    return last if replaced or on_topic.version == last.version else on_topic


def _standing(version: str, state: str, on_topic: str) -> str:
    if state == "unreachable":
        return f"No broker answers; {version} is what the rendezvous wrote down last."
    if state != "ready":
        return f"The rendezvous is {state}; {version} counts when it runs."
    if version != on_topic:
        return f"{version} is in force, although the topic has {on_topic or 'none'}."
    return f"{version} is in force."


@dataclass(frozen=True, slots=True)
class Reign:
    """One schedule of the history, with what was asked and answered under it."""

    entry: Entry
    counts: dict[str, int]


def reigns(known: Knowledge) -> list[Reign]:
    """The history, oldest first. The counts of the newest are as of the rendezvous' last writing."""
    ends = [*(entry.totals for entry in known.history[1:]), known.totals][: len(known.history)]
    return [
        Reign(
            entry,
            {
                name: count
                for name in _CAUSES
                if (count := max(0, end.get(name, 0) - entry.totals.get(name, 0))) or name == "requests"
            },
        )
        for entry, end in zip(known.history, ends, strict=True)
    ]


def when(at_ms: int) -> str:
    """Wall clock for people, in local time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at_ms / 1000)) if at_ms else "at an unknown time"
