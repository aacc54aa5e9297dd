"""Who asks in a benchmark: publishes requests of one task and times the answers on its return address."""

import asyncio
import re
import time

from bench_roles import CLOCK, REQUESTER

from roost_broker.bus import Delivery
from roost_broker.clock import MS, boot_id
from roost_broker.ids import new_id
from roost_broker.messages import FrameRef, Input, Issued, Request, encode
from roost_broker.mqtt import MqttBus
from roost_broker.topics import TaskTopics

_REQUEST_ID = re.compile(rb'"requestId":"([0-9a-f]{32})"')
_PATIENCE_S = 20


class Requester:
    """Reads no more of an answer than its request id. `answer_bytes` is the size of the last one."""

    def __init__(self, bus: MqttBus, topics: TaskTopics) -> None:
        self._bus, self._topics = bus, topics
        self._sent: dict[bytes, float] = {}
        self._arrived_ms: list[float] = []
        self._seq = 0
        self._news = asyncio.Event()
        self.answer_bytes = 0
        bus.subscribe(topics.results(REQUESTER), self._arrived)

    def _arrived(self, delivery: Delivery) -> None:
        now = time.perf_counter()
        found = _REQUEST_ID.search(delivery.payload)
        sent = self._sent.pop(found[1], None) if found else None
        if sent is not None:
            self._arrived_ms.append((now - sent) * 1000)
            self.answer_bytes = len(delivery.payload)
            self._news.set()
        delivery.ack()

    def _ask(self) -> None:
        wall = CLOCK.wall_ns()
        self._seq += 1
        request = Request(
            timestamp=wall // MS,
            message_id=new_id(wall),
            request_id=new_id(wall),
            return_address=self._topics.results(REQUESTER),
            deadline_ms=2000,
            issued=Issued(boot=boot_id(), seq=self._seq, monotonic_ns=CLOCK.monotonic_ns()),
            tags={"camera": REQUESTER},
            input=Input(frame=FrameRef(sha256="0" * 64, bytes=48_211, path="frames/00/0.jpg", width=640, height=480)),
        )
        payload = encode(request)
        self._sent[request.request_id.encode()] = time.perf_counter()
        self._bus.publish(self._topics.input, payload)

    async def open_loop(self, rate: int, seconds: float) -> list[float]:
        """Latencies in ms at a fixed rate, which no late answer slows down. Each counts from its own publication: the
        event loop's timer is up to 1 ms late, and that is neither the echo's nor the rendezvous' doing.
        """
        self._arrived_ms = []
        began = time.perf_counter() + 0.05
        for number in range(int(rate * seconds)):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            self._ask()
        await self._all_back()
        return self._arrived_ms

    async def closed_loop(self, in_flight: int, seconds: float) -> tuple[float, list[float]]:
        """Requests per second with so many on their way at any moment, and their latencies in ms."""
        self._arrived_ms = []
        began = time.perf_counter()
        while time.perf_counter() < began + seconds:
            while len(self._sent) < in_flight:
                self._ask()
            self._news.clear()
            await self._news.wait()
        done, took = len(self._arrived_ms), time.perf_counter() - began
        await self._all_back()
        return done / took, self._arrived_ms

    async def _all_back(self) -> None:
        async with asyncio.timeout(_PATIENCE_S):
            while self._sent:
                self._news.clear()
                await self._news.wait()
