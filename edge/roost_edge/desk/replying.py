"""Answers to questions, for every role that takes some: on `response/<verb>`, and where the question said."""

import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

from roost_broker.bus import Bus, Delivery
from roost_broker.clock import Clock
from roost_broker.deadletter import DeadLetters, RateLimit
from roost_broker.errors import Malformed, QueueFull, RoostError
from roost_broker.headers import new_header
from roost_broker.messages import Reply, encode
from roost_broker.topics import NodeTopics
from roost_edge.desk.questions import Question, question, usable

_log = logging.getLogger(__name__)


class Replies:
    """One role's: takes questions at a bounded rate, and answers. What cannot be read is refused and put aside.

    `noted` is called for every question, also for those that are not answered: `counts` has changed.
    """

    def __init__(
        self,
        bus: Bus,
        device: NodeTopics,
        role: str,
        clock: Clock,
        counts: Counter[str],
        *,
        noted: Callable[[], None] = lambda: None,
    ) -> None:
        self._bus = bus
        self._device = device
        self._role = role
        self._clock = clock
        self._counts = counts
        self._noted = noted
        self._letters = DeadLetters(bus, device.deadletter, role, clock, node=device.node)
        self._rate = RateLimit(burst=50, per_s=10)

    def listen(self, verb: str, work: Callable[[Question], None]) -> None:
        """From the bus's start on `work` gets each question; it answers, or refuses, now or later."""
        self._bus.subscribe(self._device.request(verb), lambda delivery: self._asked(verb, work, delivery))

    def answer(self, asked: Question, data: dict[str, Any]) -> None:
        """What it asked for."""
        head = new_header(self._clock, self._device.node, self._role)._asdict()
        self._publish(asked, Reply(**head, verb=asked.verb, transaction=asked.transaction, status="ok", data=data))

    def refuse(self, asked: Question, error: RoostError) -> None:
        """Why there is no answer, and what to do."""
        head = new_header(self._clock, self._device.node, self._role)._asdict()
        reply = Reply(
            **head,
            verb=asked.verb,
            transaction=asked.transaction,
            status="error",
            problem=error.problem[:1000],
            remedy=error.remedy[:1000],
        )
        self._publish(asked, reply)

    def _asked(self, verb: str, work: Callable[[Question], None], delivery: Delivery) -> None:
        self._noted()
        if delivery.retained:
            self._counts["question-retained"] += 1
            delivery.ack()
            return
        if not self._rate.take(self._clock.monotonic_ns()):
            self._counts["question-too-many"] += 1
            delivery.ack()
            return
        try:
            asked = question(delivery, verb, self._device)
        except Malformed as error:
            self._counts["question-malformed"] += 1
            back = usable(delivery.response_topic, self._device)
            self.refuse(Question(verb, back=back, correlation=delivery.correlation_data), error)
            self._letters.send(delivery, str(error))
            return
        delivery.ack()
        self._counts[f"asked-{verb}"] += 1
        work(asked)

    def _publish(self, asked: Question, reply: Reply) -> None:
        try:
            payload = encode(reply)
            self._bus.publish(self._device.response(asked.verb), payload)
            if asked.back:
                self._bus.publish(asked.back, payload, correlation_data=asked.correlation)
        except (QueueFull, Malformed) as error:
            self._counts["unanswered"] += 1
            _log.warning("a question could not be answered: %s", error)
