"""What the watch says on the broker: each change of an alarm once, the open ones retained, and answers to questions."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from roost_broker.bus import Bus
from roost_broker.clock import MS, Clock
from roost_broker.errors import Malformed, QueueFull, RoostError
from roost_broker.headers import Header, new_header
from roost_broker.messages import encode
from roost_broker.topics import NodeTopics
from roost_rendezvous.monitor import standing_answer
from roost_rendezvous.monitor.alarm_messages import changed, listed, open_alarms

if TYPE_CHECKING:  # the core brings numpy, which only a monitor that watches has
    from roost_rendezvous.analytics.watch.overview import Overview
    from roost_rendezvous.analytics.watch.parts import Told
    from roost_rendezvous.analytics.watch.watching import Watching

_log = logging.getLogger(__name__)
_MOST_SHOWN = 40
_MOST_BESIDE_STANDING = 12
"""With every signal beside them: a message has its bound."""
_MOST_MENDED = 20


class Asked(Protocol):
    """A question that somebody asked over the broker."""

    @property
    def data(self) -> dict[str, Any]:
        """What was said with it."""
        ...


class Answering(Protocol):
    """Who takes questions and gives answers (`roost_edge.desk.replying`)."""

    def listen(self, verb: str, work: Callable[[Any], None]) -> None:
        """From the bus's start on `work` gets each question."""
        ...

    def answer(self, asked: Any, data: dict[str, Any]) -> None:
        """What it asked for."""
        ...

    def refuse(self, asked: Any, error: RoostError) -> None:
        """Why there is no answer."""
        ...


class Telling:
    """Of one device."""

    def __init__(
        self, bus: Bus, device: NodeTopics, tasks: Sequence[str], *, clock: Clock, counts: Counter[str], role: str
    ) -> None:
        self._bus = bus
        self._device = device
        self._tasks = tasks
        self._clock = clock
        self._counts = counts
        self._role = role
        self._published: dict[str, bytes] = {}

    def change(self, one: "Told") -> None:
        """An alarm was opened, changed or ended."""
        self._counts[f"watch-{one.step}"] += 1
        self._publish(self._topics(one.episode.task)[1], encode(changed(one.step, one.episode, self._header())))

    def forget(self) -> None:
        """A broker that was away may have lost what it retained: the next lists are published whatever they say."""
        self._published.clear()

    def lists(self, overviews: "Mapping[str, Overview]") -> None:
        """The retained list of each task and of the device, where something changed beside the time."""
        for task, overview in overviews.items():
            said = listed(task, overview, self._header())
            what = msgspec.json.encode((said.open, said.why_not, said.signals, said.able))
            if self._published.get(task) != what:
                self._published[task] = what
                self._publish(self._topics(task)[0], encode(said), retain=True)

    def _publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        try:
            self._bus.publish(topic, payload, retain=retain)
        except (QueueFull, Malformed) as error:
            self._counts["watch-unsaid"] += 1
            _log.warning("an alarm could not be told: %s", error)

    def _topics(self, task: str) -> tuple[str, str]:
        if task and task in self._tasks:
            flow = self._device.task(task)
            return flow.alarms, flow.alarm
        return self._device.alarms, self._device.alarm

    def _header(self) -> Header:
        return new_header(self._clock, self._device.node, self._role)


def answer_before(behind: int) -> dict[str, Any]:
    """To the verb `alarms`, while nothing is known yet."""
    return {"caughtUp": False, "behind": behind, "whyNot": "the monitor is reading what it knew before its start"}


def answer(core: "Watching", asked: Asked, *, caught_up: bool = True, behind: int = 0) -> dict[str, Any]:
    """To the verb `alarms`: every alarm, of one task where one is named; with `standing` also what is watched.

    While it has not caught up with what is left from before its start, it is as of then.
    """
    task = str(asked.data.get("task", ""))
    overview = core.overview(task)
    standing = asked.data.get("standing") is True
    most = _MOST_BESIDE_STANDING if standing else _MOST_SHOWN
    episodes = [one for one in overview.episodes if not task or one.task == task][:most]
    told: dict[str, Any] = {
        "alarms": [msgspec.to_builtins(one) for one in open_alarms(episodes)],
        "signals": overview.signals,
        "able": overview.able,
        "watchedSince": overview.since // MS,
        "whyNot": overview.why_not,
        "caughtUp": caught_up,
        "behind": behind,
        "mended": [msgspec.to_builtins(one) for one in overview.mended[:_MOST_MENDED]],
    }
    if standing:
        told["standing"] = standing_answer.told(core.standing().signals, task)
    return told
