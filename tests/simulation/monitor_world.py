"""A broker in memory, somebody who speaks, and monitors that come and go; a real card, the machine's own clock."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

from roost_broker.bus import Delivery
from roost_broker.clock import MS, Clock, SystemClock
from roost_broker.ids import new_id
from roost_broker.memory import MemoryBroker, MemoryBus
from roost_broker.messages import Answer, Input, Message, Request, Result, RoleState, decode, encode
from roost_broker.topics import NodeTopics
from roost_rendezvous.analytics.watch.settings import AnalyticsSettings
from roost_rendezvous.monitor.role import Monitor
from roost_rendezvous.monitor.watch_desk import WatchDesk
from roost_rendezvous.traces.settings import TraceSettings

DEVICE = NodeTopics("coop-1")
NEST = DEVICE.task("nest")
CLOCK = SystemClock()
QUICK = TraceSettings(settle_ms=100, flush_ms=10)


class World:
    """A broker in memory, somebody who speaks, and monitors that come and go."""

    def __init__(self, folder: Path, *, settings: AnalyticsSettings | None = None, clock: Clock = CLOCK) -> None:
        self.folder = folder
        self._settings = settings or AnalyticsSettings(settle_ms=100, look_s=1)
        self._clock = clock
        self.broker = MemoryBroker(clock=CLOCK)
        self.bus = MemoryBus(self.broker, "speaker")
        self.heard: list[Message] = []
        self._news = asyncio.Event()
        for topic in (DEVICE.all_roles, NEST.alarms):
            self.bus.subscribe(topic, self._take)

    def _take(self, delivery: Delivery) -> None:
        self.heard.append(decode(delivery.payload))
        delivery.ack()
        self._news.set()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(240):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def says(self, name: str, count: int) -> Callable[[], object]:
        """Whether the monitor's own state tells so many."""
        return lambda: any(isinstance(one, RoleState) and one.counts.get(name, 0) >= count for one in self.heard)

    def ask(self, number: int) -> None:
        """A request with its result."""
        at = CLOCK.wall_ns()
        request, head = f"{number:032x}", {"timestamp": at // MS, "message_id": new_id(at)}
        asked = Request(**head, request_id=request, return_address="x", deadline_ms=9, input=Input())  # type: ignore[arg-type]  # as they are made
        self.bus.publish(NEST.input, encode(asked))
        head = {"timestamp": at // MS, "message_id": new_id(at)}
        answer = Answer(model="quick", version="1", label="hen", score=0.5)
        result = Result(**head, request_id=request, cause="preferred", answer=answer, elapsed_ms=1, sla_ms=9)  # type: ignore[arg-type]  # as above
        self.bus.publish(NEST.results("door"), encode(result))

    def monitor(self, session: int) -> Monitor:
        """One that does not run yet."""
        bus = MemoryBus(self.broker, "monitor")

        def watch(counts: Counter[str]) -> WatchDesk:
            settings = self._settings
            return WatchDesk(bus, DEVICE, ("nest",), self.folder, clock=self._clock, counts=counts, settings=settings)

        return Monitor(
            *(bus, [NEST], self.folder / "traces.db"),
            clock=CLOCK,
            node="coop-1",
            session=session,
            settings=QUICK,
            watch=watch,
        )

    async def monitored(self, story: Callable[[], Awaitable[None]], session: int, *, killed: bool = False) -> Monitor:
        """A monitor works while the story goes on; a killed one writes no last word."""
        stop = asyncio.Event()
        monitor = self.monitor(session)
        running = asyncio.ensure_future(monitor.run(stop))
        await self.until(
            lambda: any(
                isinstance(one, RoleState) and (one.state, one.session) == ("ready", session) for one in self.heard
            )
        )
        await story()
        if killed:
            running.cancel()
            self.broker.cut("monitor", hold=True)
            await asyncio.gather(running, return_exceptions=True)
            self.broker.restore("monitor")
        else:
            stop.set()
            await running
        return monitor

    def run(self, main: Callable[[], Awaitable[None]]) -> None:
        async def whole() -> None:
            await self.bus.start()
            await main()
            await self.bus.stop()

        asyncio.run(whole())
