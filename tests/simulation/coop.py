"""A small fleet on the memory bus: a broker, rendezvous servers, models that behave as told, and requesters."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from roost_broker import messages
from roost_broker.bus import Delivery
from roost_broker.clock import MS, VirtualClock
from roost_broker.errors import Malformed
from roost_broker.ids import new_id
from roost_broker.memory import MemoryBroker, MemoryBus
from roost_broker.messages import (
    Declined,
    Diagnostics,
    Input,
    Issued,
    Message,
    ModelState,
    Output,
    Request,
    Result,
    ScheduleSet,
    Score,
    encode,
)
from roost_broker.topics import NodeTopics, TaskTopics
from roost_broker.tracing import Tracer
from roost_rendezvous import schedule as schedules
from roost_rendezvous.schedule import Schedule
from roost_rendezvous.server.role import RendezvousServer, ServerSettings

BOOT = "b" * 32

LADDER = schedules.parse(
    {
        "task": "nest",
        "sla_ms": 2000,
        "step": [
            {"after_ms": 0, "accept": ["champion"]},
            {"after_ms": 600, "accept": ["champion", "fast"]},
            {"after_ms": 1200, "accept": ["*"]},
        ],
        "default": {"after_ms": 1900, "label": "unknown"},
        "ignore": ["canary"],
    }
)


def with_changes(**fields: object) -> Schedule:
    """LADDER with some fields replaced."""
    return schedules.parse({**schedules.to_object(LADDER), **fields})


class Coop:
    """One device on a virtual clock."""

    def __init__(self, folder: Path, clock: VirtualClock, *, node: str = "coop-1") -> None:
        self.folder = folder
        self.clock = clock
        self.broker = MemoryBroker(clock=clock)
        self.topics = NodeTopics(node)
        self.seen: list[tuple[int, str, Message]] = []
        self.bytes_seen: list[tuple[str, bytes]] = []
        self._tasks: dict[str, tuple[asyncio.Task[None], asyncio.Event]] = {}
        self._buses: list[MemoryBus] = []
        self._sequence = 0

    def task(self, name: str = "nest") -> TaskTopics:
        return self.topics.task(name)

    async def bus(self, client_id: str, handlers: dict[str, Callable[[Delivery], None]] | None = None) -> MemoryBus:
        bus = MemoryBus(self.broker, client_id)
        for topic_filter, handler in (handlers or {}).items():
            bus.subscribe(topic_filter, handler)
        await bus.start()
        self._buses.append(bus)
        return bus

    async def watch(self, *topic_filters: str) -> MemoryBus:
        """Keep everything that is published there, with the time it came."""

        def keep(delivery: Delivery) -> None:
            with contextlib.suppress(Malformed):  # some tests publish rubbish on purpose
                self.seen.append((self.clock.monotonic_ns(), delivery.topic, messages.decode(delivery.payload)))
            self.bytes_seen.append((delivery.topic, delivery.payload))
            delivery.ack()

        return await self.bus("watcher", dict.fromkeys(topic_filters, keep))

    async def server(
        self,
        schedule: Schedule | None = LADDER,
        *,
        task: str = "nest",
        session: int = 1,
        max_queued: int = 1000,
        traced: float | None = None,
        scores_apart: bool = False,
        **settings: Any,
    ) -> RendezvousServer:
        """Start a rendezvous server and wait until it is connected; `scores_apart` is a second session for scores."""
        bus = MemoryBus(self.broker, f"rendezvous-{task}", max_queued=max_queued)
        server = RendezvousServer(
            bus,
            self.task(task),
            schedule,
            clock=self.clock,
            journal=self.folder / "journal" / task,
            settings=ServerSettings(**settings),
            node=self.topics.node,
            session=session,
            boot=BOOT,
            tracer=None if traced is None else self.tracer(bus, task, traced, on_demand=settings.get("qa", False)),
            scores_bus=MemoryBus(self.broker, f"rendezvous-{task}-scores") if scores_apart else None,
        )
        connected = asyncio.Event()
        bus.on_connection(lambda up: connected.set())
        stop = asyncio.Event()
        self._tasks[f"rendezvous-{task}"] = asyncio.ensure_future(server.run(stop)), stop
        await connected.wait()
        return server

    def tracer(self, bus: MemoryBus, task: str, share: float, *, on_demand: bool) -> Tracer:
        return Tracer(
            *(bus, self.task(task), "rendezvous", self.clock),
            node=self.topics.node,
            share=share,
            on_demand=on_demand,
            boot=BOOT,
        )

    async def kill_server(self, task: str = "nest") -> None:
        """As kill -9: the connection breaks first, so nothing it does from then on is seen by anybody."""
        client_id = f"rendezvous-{task}"
        self.broker.cut(client_id, hold=True)
        running, _ = self._tasks.pop(client_id)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        self.broker.restore(client_id)

    async def stop_server(self, task: str = "nest") -> None:
        running, stop = self._tasks.pop(f"rendezvous-{task}")
        stop.set()
        await running

    async def model(
        self, name: str, behave: Callable[["StubModel", Request], None], *, task: str = "nest", state: str = "ready"
    ) -> "StubModel":
        model = StubModel(self, name, task, behave)
        model.bus = await self.bus(f"model-{task}-{name}", {self.task(task).input: model.arrived})
        model.say(state)
        return model

    def request(
        self,
        *,
        task: str = "nest",
        requester: str = "door",
        deadline_ms: int = 2000,
        request_id: str | None = None,
        issued_ns: int | None = None,
        diagnostics: Diagnostics | None = None,
        return_address: str | None = None,
    ) -> Request:
        self._sequence += 1
        wall = self.clock.wall_ns()
        return Request(
            timestamp=wall // MS,
            message_id=new_id(wall),
            request_id=request_id or new_id(wall),
            return_address=return_address or self.task(task).results(requester),
            deadline_ms=deadline_ms,
            issued=Issued(
                boot=BOOT,
                seq=self._sequence,
                monotonic_ns=self.clock.monotonic_ns() if issued_ns is None else issued_ns,
            ),
            diagnostics=diagnostics,
            tags={"camera": requester},
            input=Input(values={"number": self._sequence}),
        )

    def schedule_set(self, schedule: Schedule, *, author: str = "somebody") -> bytes:
        wall = self.clock.wall_ns()
        return encode(
            ScheduleSet(
                timestamp=wall // MS,
                message_id=new_id(wall),
                task=schedule.task,
                version=schedule.version,
                schedule=schedules.to_object(schedule),
                author=author,
            )
        )

    def results(self) -> dict[str, list[tuple[int, Result]]]:
        """Results by request id, with the time they came."""
        found: dict[str, list[tuple[int, Result]]] = {}
        for at, _, message in self.seen:
            if isinstance(message, Result):
                found.setdefault(message.request_id, []).append((at, message))
        return found

    def only_result(self) -> Result:
        [[(_, result)]] = self.results().values()
        return result

    def said(self, kind: type) -> list[Any]:
        """Messages of one kind, in order."""
        return [message for _, _, message in self.seen if isinstance(message, kind)]

    async def close(self) -> None:
        for running, stop in self._tasks.values():
            stop.set()
            await asyncio.gather(running, return_exceptions=True)
        for bus in self._buses:
            await bus.stop()


class StubModel:
    """A model that does what its behaviour says."""

    bus: MemoryBus

    def __init__(self, coop: Coop, name: str, task: str, behave: Callable[["StubModel", Request], None]) -> None:
        self.coop, self.name, self.topics, self._behave = coop, name, coop.task(task), behave

    def arrived(self, delivery: Delivery) -> None:
        with contextlib.suppress(Malformed):
            self._read(messages.decode(delivery.payload))
        delivery.ack()

    def _read(self, request: Message) -> None:
        if isinstance(request, Request):
            self._behave(self, request)

    def score(self, request_id: str, label: str = "", *, copies: int = 1) -> None:
        wall = self.coop.clock.wall_ns()
        for _ in range(copies):
            score = Score(
                timestamp=wall // MS,
                message_id=new_id(wall),
                request_id=request_id,
                model=self.name,
                version="1",
                outputs=[Output(label=label or f"by-{self.name}", score=0.9), Output(label="other", score=0.1)],
            )
            self.bus.publish(self.topics.scores(self.name), encode(score))

    def decline(self, request_id: str) -> None:
        wall = self.coop.clock.wall_ns()
        word = Declined(
            timestamp=wall // MS,
            message_id=new_id(wall),
            request_id=request_id,
            model=self.name,
            version="1",
            reason="behind",
        )
        self.bus.publish(self.topics.scores(self.name), encode(word))

    def say(self, state: str) -> None:
        wall = self.coop.clock.wall_ns()
        message = ModelState(
            timestamp=wall // MS,
            message_id=new_id(wall),
            model=self.name,
            version="1",
            state=state,  # type: ignore[arg-type]  # a test says it in words
            session=1,
        )
        self.bus.publish(self.topics.model_state(self.name), encode(message), retain=True)


def after(delay_ms: float) -> Callable[[StubModel, Request], None]:
    """Answers after so long."""

    def behave(model: StubModel, request: Request) -> None:
        asyncio.get_running_loop().call_later(delay_ms / 1000, model.score, request.request_id)

    return behave


def hangs(model: StubModel, request: Request) -> None:
    """Never answers."""


def talks_rubbish(model: StubModel, request: Request) -> None:
    """Answers with what does not decode."""
    model.bus.publish(model.topics.scores(model.name), b'{"schema":"roost.score/1","model":')


def impersonates(model: StubModel, request: Request) -> None:
    """Answers in another model's name, on its own topic."""
    wall = model.coop.clock.wall_ns()
    score = Score(
        timestamp=wall // MS,
        message_id=new_id(wall),
        request_id=request.request_id,
        model="fast",
        version="1",
        outputs=[Output(label="forged", score=1.0)],
    )
    model.bus.publish(model.topics.scores(model.name), encode(score))


def floods(model: StubModel, request: Request) -> None:
    """A hundred scores for requests that do not exist, and a good one late."""
    for _ in range(100):
        model.score(new_id(model.coop.clock.wall_ns()), "flood")
    asyncio.get_running_loop().call_later(1.0, model.score, request.request_id)


def declines(model: StubModel, request: Request) -> None:
    """Says at once that it will not."""
    model.decline(request.request_id)
