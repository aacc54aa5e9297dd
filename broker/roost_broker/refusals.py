"""What a request's diagnostics asked for and did not get: counted every time, told now and then."""

from collections import Counter

from roost_broker.announce import Announcer
from roost_broker.bus import Bus
from roost_broker.clock import SECOND, Clock
from roost_broker.diagnosis import Diagnosis
from roost_broker.topics import TaskTopics

TELL_EVERY_NS = 60 * SECOND
"""At most one event per kind of refusal in this time: whoever asks again and again makes one line, not a flood."""


class Refusals:
    """Counts `diagnostics-refused-<what>` in the role's counts, and says so in events of that kind."""

    def __init__(self, bus: Bus, topics: TaskTopics, component: str, clock: Clock, counts: Counter[str]) -> None:
        self._task = topics.task
        self._component = component
        self._clock = clock
        self._counts = counts
        self._announcer = Announcer(bus, topics.device, component, clock, counts)
        self._told: dict[str, int] = {}

    def note(self, diagnosis: Diagnosis, request_id: str) -> None:
        """Count what was refused of this request."""
        for what in diagnosis.refused:
            kind = f"diagnostics-refused-{what}"
            self._counts[kind] += 1
            now = self._clock.monotonic_ns()
            told = self._told.get(kind)
            if told is None or now - told >= TELL_EVERY_NS:
                self._told[kind] = now
                data = {"task": self._task, "component": self._component, "requestId": request_id}
                self._announcer.say(kind, _WHY[what], {**data, "count": self._counts[kind]})


_QA_ONLY = "honoured only where the settings say QA; the request was processed as if it had not asked."
_WHY = {
    "trace": f"A trace on demand is {_QA_ONLY}",
    "log-level": f"A log level of its own is {_QA_ONLY}",
    "fault": f"A fault on purpose is {_QA_ONLY}",
    "fault-unknown": "There is no such fault, or no such component; the request was processed as if it had not asked.",
}
