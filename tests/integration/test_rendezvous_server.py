"""The rendezvous server and the injector on a real Mosquitto, with real time and real deaths."""

import asyncio
import contextlib
import hashlib
import signal
import subprocess
import sys
import time
import tomllib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from roost_broker.bus import Delivery
from roost_broker.clock import MS, SystemClock, boot_id
from roost_broker.errors import Malformed
from roost_broker.ids import new_id
from roost_broker.messages import (
    Event,
    Input,
    Issued,
    Message,
    Output,
    Request,
    Result,
    RoleState,
    ScheduleSet,
    Score,
    decode,
    encode,
)
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_broker.topics import NodeTopics, TaskTopics
from roost_rendezvous import schedule as schedules
from roost_rendezvous.injector.role import StateInjector
from roost_rendezvous.schedule import Schedule
from roost_rendezvous.server.role import RendezvousServer, ServerSettings

pytestmark = pytest.mark.broker
CLOCK = SystemClock()
CHILD = Path(__file__).with_name("rendezvous_child.py")
SLA_MS = 1500

SCHEDULE = """
task = "nest"
sla_ms = 1500
ignore = ["canary"]
[[step]]
after_ms = 0
accept = ["champion"]
[[step]]
after_ms = 150
accept = ["champion", "fast"]
[default]
after_ms = 1000
label = "unknown"
"""
LADDER = schedules.parse(tomllib.loads(SCHEDULE))


@pytest.fixture
def device(request: pytest.FixtureRequest) -> NodeTopics:
    return NodeTopics("rv-" + hashlib.sha256(request.node.name.encode()).hexdigest()[:10])  # one broker, many tests


class Door:
    """Asks and waits for the answers; keeps every result it is given."""

    def __init__(self, bus: MqttBus, topics: TaskTopics, requester: str = "door") -> None:
        self.bus, self.topics, self.address = bus, topics, topics.results(requester)
        self.given: defaultdict[str, list[Result]] = defaultdict(list)
        self.at: dict[str, float] = {}
        self.sent: dict[str, float] = {}
        self._news = asyncio.Event()
        bus.subscribe(self.address, self._arrived)

    def _arrived(self, delivery: Delivery) -> None:
        result = decode(delivery.payload)
        assert isinstance(result, Result)
        self.given[result.request_id].append(result)
        self.at.setdefault(result.request_id, time.monotonic())
        self._news.set()
        delivery.ack()

    def request(self) -> Request:
        wall = CLOCK.wall_ns()
        return Request(
            timestamp=wall // MS,
            message_id=new_id(wall),
            request_id=new_id(wall),
            return_address=self.address,
            deadline_ms=SLA_MS,
            issued=Issued(boot=boot_id(), seq=len(self.sent), monotonic_ns=CLOCK.monotonic_ns()),
            input=Input(values={"number": len(self.sent)}),
        )

    def ask(self, request: Request | None = None, *, topic: str = "", **rim: Any) -> str:
        request = request or self.request()
        self.sent.setdefault(request.request_id, time.monotonic())
        self.bus.publish(topic or self.topics.input, encode(request), **rim)
        return request.request_id

    async def answered(self, *ids: str) -> None:
        """Wait for the results of these requests, or of all."""
        while not all(self.given[request_id] for request_id in ids or self.sent):
            self._news.clear()
            await self._news.wait()

    def slowest_ms(self) -> float:
        return max(self.at[request_id] - sent for request_id, sent in self.sent.items()) * 1000


@asynccontextmanager
async def connected(broker: PrivateBroker, client_id: str) -> AsyncIterator[MqttBus]:
    """A bus for the test's own use; subscribe, then `await bus.start()`."""
    bus = MqttBus(broker.settings(), client_id)
    try:
        yield bus
    finally:
        await bus.stop()


@asynccontextmanager
async def serving(
    broker: PrivateBroker, topics: TaskTopics, folder: Path, schedule: Schedule | None = LADDER, **settings: Any
) -> AsyncIterator[RendezvousServer]:
    """A running server, ready."""
    bus = MqttBus(broker.settings(), f"{topics.device.node}-rendezvous-{topics.task}")
    up = asyncio.Event()
    bus.on_connection(lambda _: up.set())
    server = RendezvousServer(
        bus,
        topics,
        schedule,
        clock=CLOCK,
        journal=folder,
        settings=ServerSettings(**settings),
        node=topics.device.node,
        session=1,
    )
    stop = asyncio.Event()
    running = asyncio.ensure_future(server.run(stop))
    try:
        await asyncio.wait({running, asyncio.ensure_future(up.wait())}, return_when=asyncio.FIRST_COMPLETED)
        yield server
    finally:
        stop.set()
        await running


def model(bus: MqttBus, topics: TaskTopics, name: str, delay_ms: float, *, rubbish: bool = False) -> None:
    """Subscribe a model that answers after so long."""

    def answer(request_id: str) -> None:
        wall = CLOCK.wall_ns()
        score = Score(
            timestamp=wall // MS,
            message_id=new_id(wall),
            request_id=request_id,
            model=name,
            version="1",
            outputs=[Output(label=f"by-{name}", score=0.9)],
        )
        with contextlib.suppress(Exception):  # the test is over and the bus is stopped
            bus.publish(topics.scores(name), b"{rubbish" if rubbish else encode(score))

    def arrived(delivery: Delivery) -> None:
        request = decode(delivery.payload)
        assert isinstance(request, Request)
        asyncio.get_running_loop().call_later(delay_ms / 1000, answer, request.request_id)
        delivery.ack()

    bus.subscribe(topics.input, arrived)


@pytest.mark.parametrize(
    ("champion", "cause"),
    [
        ({"delay_ms": 10}, "preferred"),
        ({"delay_ms": 60_000}, "fallback"),
        ({"delay_ms": 1, "rubbish": True}, "fallback"),
        (None, "fallback"),
    ],
    ids=["well", "hung", "wrong", "absent"],
)
def test_the_sla_holds_on_a_real_broker_whatever_the_champion_does(
    run: Callable[..., Any],
    mosquitto: PrivateBroker,
    device: NodeTopics,
    tmp_path: Path,
    champion: dict[str, Any] | None,
    cause: str,
) -> None:
    topics = device.task("nest")

    async def story() -> None:
        async with (
            connected(mosquitto, f"{device.node}-door") as mine,
            connected(mosquitto, f"{device.node}-a") as first,
            connected(mosquitto, f"{device.node}-b") as second,
            serving(mosquitto, topics, tmp_path),
        ):
            door = Door(mine, topics)
            if champion is not None:
                model(first, topics, "champion", **champion)
            model(second, topics, "fast", 2)
            for bus in (first, second, mine):
                await bus.start()
            for _ in range(40):
                door.ask()
            await door.answered()
            assert door.slowest_ms() <= SLA_MS
            assert {given[0].cause for given in door.given.values()} == {cause}
            assert all(len(given) == 1 for given in door.given.values())

    run(story())


def test_a_schedule_published_retained_is_applied_while_running_and_kept_over_a_restart(
    run: Callable[..., Any], mosquitto: PrivateBroker, device: NodeTopics, tmp_path: Path
) -> None:
    topics = device.task("nest")
    other = schedules.parse({**schedules.to_object(LADDER), "step": [{"after_ms": 0, "accept": ["fast"]}]})
    wall = CLOCK.wall_ns()
    message = ScheduleSet(
        timestamp=wall // MS,
        message_id=new_id(wall),
        task="nest",
        version=other.version,
        schedule=schedules.to_object(other),
        author="operator",
    )

    async def story() -> None:
        applied = asyncio.Event()

        def told(delivery: Delivery) -> None:
            event = decode(delivery.payload)
            if isinstance(event, Event) and event.kind == "schedule-applied":
                applied.set()
            delivery.ack()

        async with (
            connected(mosquitto, f"{device.node}-door") as mine,
            connected(mosquitto, f"{device.node}-m") as fast,
        ):
            door = Door(mine, topics)
            mine.subscribe(device.event, told)
            model(fast, topics, "fast", 2)
            for bus in (fast, mine):
                await bus.start()
            async with serving(mosquitto, topics, tmp_path):
                before = door.ask()
                await door.answered(before)
                await mine.publish(topics.schedule, encode(message), retain=True)
                await applied.wait()
                after = door.ask()
                await door.answered(after)
            async with serving(
                mosquitto, topics, tmp_path
            ):  # nothing to be told: it is in force from the first request
                again = door.ask()
                await door.answered(again)
            assert [door.given[r][0].schedule_version for r in (before, after, again)] == [
                LADDER.version,
                other.version,
                other.version,
            ]
            assert door.given[after][0].cause == "preferred"

    run(story())


def test_a_requester_from_outside_goes_through_the_injector_and_gets_its_correlation_data(
    run: Callable[..., Any], mosquitto: PrivateBroker, device: NodeTopics, tmp_path: Path
) -> None:
    topics = device.task("nest")

    async def story() -> None:
        replies: asyncio.Queue[Delivery] = asyncio.Queue()

        def replied(delivery: Delivery) -> None:
            replies.put_nowait(delivery)
            delivery.ack()

        injector_bus = MqttBus(mosquitto.settings(), f"{device.node}-injector")
        injector = StateInjector(injector_bus, topics, clock=CLOCK, node=device.node, session=1)
        stop = asyncio.Event()
        up = asyncio.Event()
        injector_bus.on_connection(lambda _: up.set())
        injecting = asyncio.ensure_future(injector.run(stop))
        await up.wait()
        async with (
            connected(mosquitto, f"{device.node}-outsider") as mine,
            connected(mosquitto, f"{device.node}-m") as champion,
            serving(mosquitto, topics, tmp_path),
        ):
            door = Door(mine, topics)
            mine.subscribe(f"{topics.root}/response/outsider", replied)
            model(champion, topics, "champion", 2)
            for bus in (champion, mine):
                await bus.start()
            request_id = door.ask(
                topic=topics.raw, response_topic=f"{topics.root}/response/outsider", correlation_data=b"\x00mine"
            )
            reply = await replies.get()
            await door.answered(request_id)
            assert reply.correlation_data == b"\x00mine"
            copy = decode(reply.payload)
            assert copy == door.given[request_id][0]
            assert isinstance(copy, Result)
            assert [hop.component for hop in copy.provenance.path] == ["injector", "rendezvous"]
        stop.set()
        await injecting

    run(story())


def test_two_tasks_run_side_by_side(
    run: Callable[..., Any], mosquitto: PrivateBroker, device: NodeTopics, tmp_path: Path
) -> None:
    nest, yard = device.task("nest"), device.task("yard")
    of_yard = schedules.parse({**schedules.to_object(LADDER), "task": "yard"})

    async def story() -> None:
        async with (
            connected(mosquitto, f"{device.node}-door") as mine,
            connected(mosquitto, f"{device.node}-m") as champion,
            serving(mosquitto, nest, tmp_path / "nest"),
            serving(mosquitto, yard, tmp_path / "yard", of_yard),
        ):
            doors = [Door(mine, nest), Door(mine, yard)]
            model(champion, nest, "champion", 2)
            model(champion, yard, "fast", 2)
            for bus in (champion, mine):
                await bus.start()
            for _ in range(5):
                for door in doors:
                    door.ask()
            for door in doors:
                await door.answered()
            causes = [{given[0].cause for given in door.given.values()} for door in doors]
            assert causes == [{"preferred"}, {"fallback"}]

    run(story())


@pytest.fixture
def child(
    own_mosquitto: PrivateBroker, device: NodeTopics, tmp_path: Path
) -> Iterator[Callable[[], "subprocess.Popen[bytes]"]]:
    """Starts the server as a process; what still runs at the end is killed."""
    schedule_file = tmp_path / "schedule.toml"
    schedule_file.write_text(SCHEDULE)
    started: list[subprocess.Popen[bytes]] = []

    def start() -> "subprocess.Popen[bytes]":
        arguments = [str(own_mosquitto.port), device.node, "nest", str(tmp_path), str(schedule_file)]
        process = subprocess.Popen([sys.executable, str(CHILD), *arguments])
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


class Roles:
    """Waits for the rendezvous' retained state."""

    def __init__(self, bus: MqttBus, device: NodeTopics) -> None:
        self._states: asyncio.Queue[RoleState] = asyncio.Queue()
        bus.subscribe(device.role("rendezvous-nest"), self._arrived)

    def _arrived(self, delivery: Delivery) -> None:
        message: Message | None = None
        with contextlib.suppress(Malformed):
            message = decode(delivery.payload)
        if isinstance(message, RoleState):
            self._states.put_nowait(message)
        delivery.ack()

    async def until(self, state: str, session: int) -> None:
        while True:
            seen = await self._states.get()
            if (seen.state, seen.session) == (state, session):
                return


@pytest.mark.processes
def test_a_server_killed_with_open_mailboxes_answers_them_when_it_returns(
    run: Callable[..., Any],
    own_mosquitto: PrivateBroker,
    device: NodeTopics,
    child: Callable[[], "subprocess.Popen[bytes]"],
) -> None:
    topics = device.task("nest")

    async def story() -> None:
        async with (
            connected(own_mosquitto, f"{device.node}-door") as mine,
            connected(own_mosquitto, f"{device.node}-m") as fast,
        ):
            door, roles = Door(mine, topics), Roles(mine, device)
            model(fast, topics, "fast", 2)
            for bus in (fast, mine):
                await bus.start()
            process = child()
            await roles.until("ready", 1)
            first = door.ask()
            await door.answered(first)
            waiting = [door.ask() for _ in range(5)]  # "fast" is official after 150 ms only
            scored: asyncio.Event = asyncio.Event()

            def counted(delivery: Delivery) -> None:
                delivery.ack()
                scored.set()

            mine.subscribe(topics.scores("fast"), counted)
            await scored.wait()
            process.send_signal(signal.SIGKILL)
            await roles.until("gone", 1)
            child()
            await roles.until("ready", 2)
            await door.answered()
            assert {given[0].cause for given in door.given.values()} == {"fallback"}
            repeated = door.request()
            assert len(waiting) == 5
            before = door.given[first][0].message_id
            door.given[first].clear()

            door.ask(msgspec.structs.replace(repeated, request_id=first))
            await door.answered(first)
            assert door.given[first][0].message_id == before
            assert all(len({r.message_id for r in given}) == 1 for given in door.given.values())

    run(story(), timeout=30)


@pytest.mark.processes
def test_a_broker_killed_under_load_leaves_no_asked_again_request_unanswered_or_answered_with_two_tongues(
    run: Callable[..., Any],
    own_mosquitto: PrivateBroker,
    device: NodeTopics,
    child: Callable[[], "subprocess.Popen[bytes]"],
) -> None:
    topics = device.task("nest")

    async def story() -> None:
        async with (
            connected(own_mosquitto, f"{device.node}-door") as mine,
            connected(own_mosquitto, f"{device.node}-m") as champion,
        ):
            door, roles = Door(mine, topics), Roles(mine, device)
            model(champion, topics, "champion", 30)
            for bus in (champion, mine):
                await bus.start()
            child()
            await roles.until("ready", 1)
            requests = [door.request() for _ in range(100)]
            for request in requests[:50]:
                door.ask(request)
            await door.answered(*[request.request_id for request in requests[:20]])
            own_mosquitto.kill()
            for request in requests[50:]:
                door.ask(request)
            own_mosquitto.start()
            await roles.until("ready", 1)
            for request in requests:  # as the capture does with what is open in its log
                if not door.given[request.request_id]:
                    door.ask(request)
            await door.answered()
            assert all(len({r.message_id for r in given}) == 1 for given in door.given.values())

    run(story(), timeout=40)
