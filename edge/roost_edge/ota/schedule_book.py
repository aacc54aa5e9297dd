"""Whose schedule is on a task's topic, and whether it is the one that should be there. Pure.

The agent is the only author of schedules that name slots (`AUTHOR`); any other author's is the operator's, and becomes
the new base. It never loops: it publishes only when what stands on the topic is not what should, and one version
at most `MAX_TRIES` times in `WINDOW_NS`; then it waits for news.
"""

from collections import deque
from collections.abc import Mapping
from typing import Literal, TypeAlias

from msgspec import Struct

from roost_broker.clock import SECOND
from roost_edge.ota.effective import effective, operators
from roost_edge.ota.lines import Line
from roost_edge.ota.standing import Standing
from roost_rendezvous.schedule import Schedule

AUTHOR = "ota"
FROM_FILE = "settings file"
"""Author of what a rendezvous published from its file: such a base gives way to an edited file."""
MAX_TRIES = 4
WINDOW_NS = 30 * SECOND

Outcome: TypeAlias = Literal["ours", "base", "known-base", "stale", "another-task"]


class Base(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="schema", tag="roost.ota-base/1"):
    """The operator's schedule as it was published, by whom and in which message."""

    schedule: dict[str, object]
    author: str = FROM_FILE
    why: str = ""
    message_id: str = ""


class ScheduleBook:
    """One task. `base` is the operator's schedule that was remembered, or the one in the settings' file."""

    def __init__(self, task: str, lines: tuple[Line, ...], base: Schedule, message_id: str = "") -> None:
        self._task = task
        self._lines = lines
        self._base = operators(base, lines)
        self._base_id = message_id
        self.on_topic = ""
        """Version that stands on the topic; empty: nothing was heard yet."""
        self._tries: deque[tuple[str, int]] = deque(maxlen=MAX_TRIES)

    @property
    def base(self) -> Schedule:
        """The operator's schedule, in the lines' own names."""
        return self._base

    def heard(self, schedule: Schedule, *, author: str, message_id: str, retained: bool) -> Outcome:
        """A schedule on the topic. After `base` the caller remembers it; it asks `wanted` after each."""
        if schedule.task != self._task:
            return "another-task"
        self.on_topic = schedule.version
        if author == AUTHOR:
            return "ours"
        if message_id == self._base_id:
            return "known-base"
        if retained and message_id < self._base_id:
            return "stale"  # a broker that was killed returned with what had been replaced
        self._base, self._base_id = operators(schedule, self._lines), message_id
        return "base"

    def wanted(self, standings: Mapping[Line, Standing]) -> Schedule:
        """What should stand on the topic. Raises `Misuse` when the base and the standings cannot go together."""
        return effective(self._base, standings)

    def may_publish(self, version: str, now: int) -> bool:
        """Whether this version may be published once more; True counts as having done it."""
        if [v for v, at in self._tries if at > now - WINDOW_NS].count(version) >= MAX_TRIES:
            return False
        self._tries.append((version, now))
        return True
