"""What the agent hears of one task: states of its lines' models, and what passes of requests, scores and results."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from roost_broker.bus import Delivery
from roost_broker.clock import MS, Clock
from roost_broker.messages import Alarms, Declined, ModelState, Request, Result, Score
from roost_edge.ota import events as e
from roost_edge.ota.lines import SLOTS, Line, Slot
from roost_edge.ota.standing import Standing
from roost_edge.ota.trial import TrialCounter

_ENDED = frozenset({"gone", "failed"})


class TaskEar:
    """One task. `tell` passes an event to the shell of a line."""

    def __init__(
        self, counters: Mapping[Line, TrialCounter], tell: Callable[[Line, e.Event], None], clock: Clock
    ) -> None:
        self.counters = counters
        self._tell = tell
        self._clock = clock
        self._states: dict[str, ModelState] = {}
        """Newest state by model, of the lines' slots alone."""

    def stands(self, line: Line, standing: Standing) -> None:
        """What lies in the slots now."""
        counter, now = self.counters[line], self._clock.wall_ns() // MS
        for slot in SLOTS:
            counter.holds(slot, standing.slots.get(slot), now)
        for slot in self.ready(line):
            counter.ready(slot, now)

    def ready(self, line: Line) -> frozenset[Slot]:
        """Slots whose process says that it is warm."""
        return frozenset(
            slot
            for slot in SLOTS
            if (known := self._states.get(line.name(slot))) is not None and known.state == "ready"
        )

    def tallies(self, line: Line) -> Iterator[e.TrialCounted]:
        """How the slots' bundles have done so far."""
        for slot in SLOTS:
            tally = self.counters[line].tally(slot)
            if tally is not None:
                yield e.TrialCounted(*tally)

    def model_state(self, message: Any, delivery: Delivery) -> None:
        """A model says how it is, or the broker says it for one that vanished."""
        if not isinstance(message, ModelState) or message.replica:
            return
        for line, counter in self.counters.items():
            slot = line.slot_of(message.model)
            if slot is not None:
                self._slot_state(line, counter, slot, message, live=not delivery.retained)

    def _slot_state(self, line: Line, counter: TrialCounter, slot: Slot, message: ModelState, *, live: bool) -> None:
        known = self._states.get(message.model)
        if known is not None and (message.session < known.session or message == known):
            return  # an earlier process's last will, late
        self._states[message.model] = message
        digest = message.bundle or ""
        if message.state == "ready":
            if known is None or known.state != "ready" or known.session != message.session:
                counter.ready(slot, self._clock.wall_ns() // MS)
                self._tell(line, e.ModelReady(slot, digest))
        elif known is not None and known.state == "ready":
            counter.gone(slot, by_itself=message.state in _ENDED)
        if message.state in _ENDED and live and not (known is not None and known.state in _ENDED):
            self._tell(line, e.ModelGone(slot, digest, message.detail or message.state))

    def request(self, message: Any, _delivery: Delivery) -> None:
        """A request on its way to the models."""
        if isinstance(message, Request):
            for counter in self.counters.values():
                counter.request(message.request_id, self._clock.monotonic_ns())

    def score(self, message: Any, _delivery: Delivery) -> None:
        """An answer or a decline."""
        for counter in self.counters.values():
            if isinstance(message, Score):
                counter.score(message.model, message.request_id, message.outputs[0].label, message.compute_ms)
            elif isinstance(message, Declined):
                counter.declined(message.model, message.request_id, message.reason)

    def alarms(self, message: Any, _delivery: Delivery) -> None:
        """What the monitor finds strange here. What it blames on world, camera, clock or link is no bundle's."""
        if not isinstance(message, Alarms):
            return
        for counter in self.counters.values():
            counter.judged(message.judged)
        for one in message.open:
            if one.verdict == "model":
                models = {part.about for part in one.signals if part.subject == "model"}
                for counter in self.counters.values():
                    counter.alarm(one.alarm_id, models, one.opened_at)

    def result(self, message: Any, _delivery: Delivery) -> None:
        """What was official."""
        if isinstance(message, Result) and message.answer is not None:
            for counter in self.counters.values():
                counter.official(message.answer.model, message.request_id)
