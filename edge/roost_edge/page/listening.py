"""The page's ear: the device's topics into the view. And its two words: a question to the desk, a correction."""

import asyncio
import logging
from collections import Counter
from functools import partial

import msgspec

from roost_broker import messages
from roost_broker.bus import Bus, Delivery
from roost_broker.clock import MS, Clock
from roost_broker.errors import Malformed, PeerError, QueueFull
from roost_broker.headers import new_header
from roost_broker.messages import Ask, JsonObject, Message, Reply, encode
from roost_broker.topics import NodeTopics, last_level
from roost_broker.worker import Worker
from roost_edge.alarm_desk import Answer, read
from roost_edge.doctor.findings import Report
from roost_edge.page.corrections import Corrections, Waiting
from roost_edge.page.measuring import Measured
from roost_edge.page.view import View

_log = logging.getLogger(__name__)
_DOCTOR, _PICTURE, _ALARMS, _KNOWN = "doctor", "picture", "alarms", "acknowledge"
_MONITOR_S = 3.0
_TAKEN_S = 10.0
_IN_FLIGHT = 32


class Listening:
    """Subscribes what the page shows. `bus` is not started yet."""

    def __init__(
        self, bus: Bus, device: NodeTopics, view: View, clock: Clock, counts: Counter[str], measured: Measured
    ) -> None:
        self._bus = bus
        self._measured = measured
        self._device = device
        self._view = view
        self._clock = clock
        self._counts = counts
        self._changed = asyncio.Event()
        self._answers: dict[str, asyncio.Future[Reply]] = {}
        bus.on_connection(self._connection)
        self._subscribe()

    def _subscribe(self) -> None:
        device = self._device
        whole = (device.availability, device.all_roles, device.event, device.ota, device.deadletter, device.alarms)
        for topic in whole:
            self._bus.subscribe(topic, partial(self._heard, ""))
        for verb in (_DOCTOR, _ALARMS, _KNOWN):
            self._bus.subscribe(device.response(verb), self._answered)
        for task in self._view.tasks:
            flow = device.task(task)
            for topic in (flow.schedule, flow.all_model_states, flow.all_results, flow.deadletter, flow.alarms):
                self._bus.subscribe(topic, partial(self._heard, task))
        for name in self._view.cameras:
            camera = device.camera(name)
            for topic in (camera.motion, camera.events, camera.snapshot):
                self._bus.subscribe(topic, partial(self._heard, "", camera=name))

    async def changed(self) -> None:
        """Return when the view has changed since it was last asked."""
        await self._changed.wait()

    def note(self) -> None:
        """Wake whoever waits for a change, once."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def examine(self, timeout_s: float) -> Report:
        """Ask the desk for the doctor's report. Raises `PeerError`."""
        data = await self._ask(_DOCTOR, {}, timeout_s, "The desk")
        try:
            return msgspec.convert(data, Report)
        except msgspec.ValidationError as error:
            raise PeerError("The desk's answer cannot be read.", "Bring page and desk to one version.") from error

    async def stands(self) -> Answer:
        """Ask the monitor for its alarms and for how everything that it watches stands. Raises `PeerError`."""
        return read(await self._ask(_ALARMS, {"standing": True}, _MONITOR_S, "The monitor"))

    async def acknowledge(self, alarm: str) -> None:
        """Tell the monitor that somebody knows of an alarm. Raises `PeerError`."""
        await self._ask(_KNOWN, {"alarm": alarm, "by": "the page"}, _MONITOR_S, "The monitor")

    async def _ask(self, verb: str, data: JsonObject, timeout_s: float, who: str) -> JsonObject:
        if not self._bus.connected:
            raise PeerError("The broker is not reachable, so nobody can be asked.", "On the device: roost doctor.")
        head = new_header(self._clock, self._device.node, "page")
        answer = self._answers[head.message_id] = asyncio.get_running_loop().create_future()
        question = Ask(**head._asdict(), verb=verb, transaction=head.message_id, data=data)
        try:
            async with asyncio.timeout(timeout_s):
                await self._bus.publish(self._device.request(verb), encode(question))
                reply: Reply = await answer
        except TimeoutError:
            raise PeerError(f"{who} did not answer within {timeout_s:g} s.", "On the device: roost doctor.") from None
        except QueueFull as error:
            raise PeerError("Too much waits for the broker already.", "Ask again in a minute.") from error
        finally:
            del self._answers[head.message_id]
        if reply.status == "error":
            raise PeerError(reply.problem, reply.remedy)
        return reply.data

    async def take_picture(self, camera: str) -> None:
        """Ask a camera for a picture now; it comes as every other does. Raises `PeerError`."""
        if not self._bus.connected:
            raise PeerError("The broker is not reachable, so no camera can be asked.", "On the device: roost doctor.")
        head = new_header(self._clock, self._device.node, "page")
        question = Ask(**head._asdict(), verb=_PICTURE, transaction=head.message_id, data={"camera": camera})
        try:
            async with asyncio.timeout(_TAKEN_S):
                await self._bus.publish(self._device.request(_PICTURE), encode(question))
        except (TimeoutError, QueueFull) as error:
            raise PeerError("The broker did not take the question.", "Ask again in a minute.") from error

    def _connection(self, up: bool) -> None:
        self._view.connected(up, self._clock.wall_ns() // MS)
        self.note()

    def _answered(self, delivery: Delivery) -> None:
        delivery.ack()
        try:
            message = messages.decode(delivery.payload)
        except Malformed:
            return  # not from a desk of ours
        if isinstance(message, Reply):
            waiting = self._answers.get(message.transaction)
            if waiting is not None and not waiting.done():
                waiting.set_result(message)

    def _heard(self, task: str, delivery: Delivery, *, camera: str = "") -> None:
        delivery.ack()
        before = self._view.changes
        if not delivery.payload:
            self._view.forget(last_level(delivery.topic), camera)
        else:
            try:
                self._take(messages.decode(delivery.payload), task)
            except Malformed:
                self._counts["unreadable"] += 1  # its reader's affair, who sends the dead letter
        if self._view.changes != before:
            self.note()

    def _take(self, message: Message, task: str) -> None:
        self._measured.take(message, task)
        self._view.take(message, task)


class Sender:
    """Brings the corrections out, whenever the broker is there; one that was not taken is tried again."""

    def __init__(self, bus: Bus, corrections: Corrections, worker: Worker, counts: Counter[str]) -> None:
        self._bus = bus
        self._corrections = corrections
        self._worker = worker
        self._counts = counts
        self._wake = asyncio.Event()
        bus.on_connection(lambda up: self.wake() if up else None)

    def wake(self) -> None:
        """There is something to send, or a broker to send it to."""
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._bus.connected and (waiting := await self._worker.call(self._corrections.waiting, _IN_FLIGHT)):
                if not all([await self._send(one) for one in waiting]):
                    self._counts["corrections-put-off"] += 1
                    break  # the next connection, or the next correction, wakes

    async def _send(self, one: Waiting) -> bool:
        try:
            taken = self._bus.publish(one.topic, one.payload)
        except QueueFull:
            return False
        await asyncio.wait((taken,))
        if taken.cancelled() or taken.exception() is not None:
            return False
        await self._worker.call(self._corrections.sent, one.seq)
        self._counts["corrections-sent"] += 1
        return True
