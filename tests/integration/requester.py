"""A requester with a watch: a stranger that asks on `raw` as a camera does, and reads what everybody else can read."""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from itertools import groupby

from msgspec import structs
from task_device import NODE, SLA_MS, Device

from roost_broker.bus import Delivery
from roost_broker.clock import MS, SystemClock, boot_id
from roost_broker.errors import Malformed
from roost_broker.ids import new_id
from roost_broker.messages import (
    Declined,
    Diagnostics,
    Event,
    FrameRef,
    Input,
    Issued,
    Message,
    ModelState,
    Receipt,
    Request,
    Result,
    RoleState,
    ScheduleSet,
    Score,
    decode,
    encode,
    with_fields,
)
from roost_broker.mqtt import MqttBus
from roost_rendezvous import schedule as schedules
from roost_rendezvous.schedule import Schedule

CLOCK = SystemClock()


class Requester:
    """Asks one task, and keeps what it and everybody else is told, in order, with the moment of each answer."""

    def __init__(self, device: Device, task: str = "nest", name: str = "door", *, sla_ms: int = SLA_MS) -> None:
        self._sla_ms = sla_ms
        self.device, self.task, self.topics = device, task, device.topics.task(task)
        self.address = self.topics.results(name)
        self.sent: dict[str, float] = {}
        self._asked: dict[str, Request] = {}
        self.at: dict[str, float] = {}
        self.inputs: dict[str, bytes] = {}
        self.results: defaultdict[str, list[Result]] = defaultdict(list)
        self.words: defaultdict[str, dict[str, Score | Declined]] = defaultdict(dict)
        self.receipts: dict[str, Receipt] = {}
        self.states: list[ModelState] = []
        self.counts: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self.told: list[Message] = []
        self._news = asyncio.Event()
        self.bus = MqttBus(structs.replace(device.broker.settings(), session_expiry_s=600), f"{NODE}-{task}-{name}")
        self.bus.subscribe(self.topics.input, self._input)
        for topic in (
            *(self.address, self.topics.all_scores, self.topics.receipts, self.topics.all_model_states),
            *(device.topics.all_roles, device.topics.event),
        ):
            self.bus.subscribe(topic, self._arrived)

    async def __aenter__(self) -> "Requester":
        await self.bus.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.bus.stop()

    def _input(self, delivery: Delivery) -> None:
        asked = json.loads(delivery.payload).get("requestId")
        if asked is not None:  # else a token of a hand-over
            self.inputs[asked] = delivery.payload
        delivery.ack()
        self._news.set()

    def _arrived(self, delivery: Delivery) -> None:
        with suppress(Malformed):  # a model may talk rubbish
            self._take(decode(delivery.payload))
        delivery.ack()
        self._news.set()

    def _take(self, message: Message) -> None:
        self.told.append(message)
        if isinstance(message, Result):
            self.at.setdefault(message.request_id, time.monotonic())
            self.results[message.request_id].append(message)
        elif isinstance(message, Score | Declined) and message.request_id in self.sent:
            self.words[message.request_id][message.model] = message
        elif isinstance(message, Receipt):
            self.receipts[message.request_id] = message
        elif isinstance(message, ModelState):
            self.states.append(message)
            self.counts[message.model] = message.counts
        elif isinstance(message, RoleState):
            self.counts[message.role] = message.counts

    def ask(
        self, *, request_id: str = "", frame: FrameRef | None = None, diagnostics: Diagnostics | None = None
    ) -> str:
        """Ask, as a camera does, with a field of the future that nobody here knows."""
        wall, number = CLOCK.wall_ns(), len(self.sent)
        request = Request(
            timestamp=wall // MS,
            message_id=new_id(wall),
            request_id=request_id or new_id(wall),
            return_address=self.address,
            deadline_ms=self._sla_ms,
            issued=Issued(boot=boot_id(), seq=number, monotonic_ns=CLOCK.monotonic_ns()),
            diagnostics=diagnostics,
            input=Input(frame=frame, values={"number": number}),
        )
        self.sent[request.request_id] = time.monotonic()
        self._asked[request.request_id] = request
        self.bus.publish(self.topics.raw, with_fields(encode(request), colourOfTheFuture="teal"))
        return request.request_id

    def ask_again(self, request_id: str, attempt: int) -> None:
        """The same request once more, as a camera sends what it got no answer to."""
        request = self._asked[request_id]
        assert request.issued is not None
        again = structs.replace(request, issued=structs.replace(request.issued, attempt=attempt))
        self.bus.publish(self.topics.raw, encode(again))

    def ask_many(self, count: int) -> list[str]:
        return [self.ask() for _ in range(count)]

    async def until(self, condition: Callable[[], object]) -> None:
        while not condition():
            self._news.clear()
            await self._news.wait()

    async def answered(self, *ids: str) -> list[Result]:
        """Results of these requests, or of all."""
        wanted = ids or tuple(self.sent)
        await self.until(lambda: all(self.results[request_id] for request_id in wanted))
        return [self.results[request_id][0] for request_id in wanted]

    async def heard(self, *models: str) -> None:
        """Until each of these models has answered or declined every request."""
        await self.until(lambda: all(set(models) <= self.words[request_id].keys() for request_id in self.sent))

    async def publish(self, new: Schedule) -> None:
        """Replace the schedule through the retained topic; return when it is in force."""
        message = ScheduleSet(
            timestamp=CLOCK.wall_ns() // MS,
            message_id=new_id(CLOCK.wall_ns()),
            task=new.task,
            version=new.version,
            schedule=schedules.to_object(new),
            author="operator",
        )
        await self.bus.publish(self.topics.schedule, encode(message), retain=True)
        await self.until(lambda: any(event.data.get("messageId") == message.message_id for event in self.events()))

    def events(self) -> list[Event]:
        return [message for message in self.told if isinstance(message, Event)]

    def states_of(self, model: str) -> list[str]:
        """Through which states a model went."""
        return [state for state, _ in groupby(state.state for state in self.states if state.model == model)]

    def slowest_ms(self) -> float:
        return max(self.at[request_id] - sent for request_id, sent in self.sent.items()) * 1000

    def assert_each_answered_once_in_time(self) -> None:
        answers = {request_id: {result.message_id for result in self.results[request_id]} for request_id in self.sent}
        not_once = {request_id: told for request_id, told in answers.items() if len(told) != 1}
        assert not_once == {}, not_once  # said here: pytest explains only what stands in a test
        assert self.results.keys() == self.sent.keys()
        assert self.slowest_ms() <= self._sla_ms
