"""The two fabrics that must behave alike: a real Mosquitto behind a relay that can be cut, and the memory bus."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import msgspec
import pytest

from roost_broker.bus import Bus, Delivery, Will
from roost_broker.memory import MemoryBroker, MemoryBus
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_broker.reconnect import ReconnectPolicy

QUICK = ReconnectPolicy(first_ns=5_000_000, ceiling_ns=50_000_000, stable_ns=0)


class Inbox:
    """A handler that keeps deliveries in order of arrival; acknowledges at once unless told not to."""

    def __init__(self, *, ack: bool = True) -> None:
        self._ack = ack
        self._queue: asyncio.Queue[Delivery] = asyncio.Queue()

    def __call__(self, delivery: Delivery) -> None:
        if self._ack:
            delivery.ack()
        self._queue.put_nowait(delivery)

    async def next(self) -> Delivery:
        return await self._queue.get()

    async def payloads(self, count: int) -> list[bytes]:
        return [(await self.next()).payload for _ in range(count)]

    def waiting(self) -> list[bytes]:
        found = []
        with contextlib.suppress(asyncio.QueueEmpty):
            while True:
                found.append(self._queue.get_nowait().payload)
        return found


class Link:
    """Connection changes of one bus, to wait for."""

    def __init__(self, bus: Bus) -> None:
        self.changes: asyncio.Queue[bool] = asyncio.Queue()
        bus.on_connection(self.changes.put_nowait)

    async def until(self, up: bool) -> None:
        while await self.changes.get() is not up:
            pass


class Fabric(Protocol):
    """What the contract suite asks of a fabric. `base` is a topic prefix of this test alone."""

    base: str

    async def bus(
        self, name: str, *, will: Will | None = None, receive_maximum: int = 64, max_queued: int = 1000
    ) -> Any:
        """A bus that is not started, its session named for this test and `name`."""
        ...

    async def cut(self, name: str, *, hold: bool = False) -> None:
        """End the connection of `name` abnormally; `hold` keeps it away until `restore`."""
        ...

    async def restore(self, name: str) -> None: ...

    async def kill_broker(self) -> None: ...

    async def start_broker(self) -> None:
        """Start it without its memory."""
        ...

    async def close(self) -> None: ...


class MemoryFabric:
    def __init__(self, base: str) -> None:
        self.base = base
        self.broker = MemoryBroker()
        self._buses: list[MemoryBus] = []

    async def bus(
        self, name: str, *, will: Will | None = None, receive_maximum: int = 64, max_queued: int = 1000
    ) -> MemoryBus:
        bus = MemoryBus(self.broker, name, will=will, receive_maximum=receive_maximum, max_queued=max_queued)
        self._buses.append(bus)
        return bus

    async def cut(self, name: str, *, hold: bool = False) -> None:
        self.broker.cut(name, hold=hold)

    async def restore(self, name: str) -> None:
        self.broker.restore(name)

    async def kill_broker(self) -> None:
        self.broker.stop()

    async def start_broker(self) -> None:
        self.broker.start(forget=True)

    async def close(self) -> None:
        for bus in self._buses:
            await bus.stop()


class Relay:
    """A TCP relay before the broker, one per client: cuts, refuses, and stalls connections."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.refusing = False
        self.stalled = False

    async def open(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            writer.transport.abort()
            return
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, up_writer}
        both = [asyncio.create_task(self._pump(reader, up_writer)), asyncio.create_task(self._pump(up_reader, writer))]
        self._tasks |= set(both)
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for one in (writer, up_writer):
            one.transport.abort()
            self._writers.discard(one)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                if not self.stalled:
                    writer.write(data)

    def cut(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def close(self) -> None:
        self.cut()
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class MosquittoFabric:
    def __init__(self, base: str, broker: PrivateBroker) -> None:
        self.base = base
        self.broker = broker
        self.relays: dict[str, Relay] = {}
        self._ports: dict[str, int] = {}
        self._buses: list[MqttBus] = []

    async def bus(
        self,
        name: str,
        *,
        will: Will | None = None,
        receive_maximum: int = 64,
        max_queued: int = 1000,
        keepalive_s: int = 10,
    ) -> MqttBus:
        if name not in self.relays:
            self.relays[name] = Relay(self.broker.port)
            self._ports[name] = await self.relays[name].open()
        settings = msgspec.structs.replace(
            self.broker.settings(),
            port=self._ports[name],
            max_queued=max_queued,
            keepalive_s=keepalive_s,
            flush_s=1.0,
        )
        client_id = f"{self.base.replace('/', '-')}-{name}"
        bus = MqttBus(settings, client_id, will=will, receive_maximum=receive_maximum, policy=QUICK)
        self._buses.append(bus)
        return bus

    async def cut(self, name: str, *, hold: bool = False) -> None:
        self.relays[name].refusing = hold
        self.relays[name].cut()

    async def restore(self, name: str) -> None:
        self.relays[name].refusing = False

    async def kill_broker(self) -> None:
        await asyncio.to_thread(self.broker.kill)
        (self.broker.folder / "mosquitto.db").unlink(missing_ok=True)

    async def start_broker(self) -> None:
        await asyncio.to_thread(self.broker.start)

    async def close(self) -> None:
        for bus in self._buses:
            await bus.stop()
        for relay in self.relays.values():
            await relay.close()


@pytest.fixture(params=["memory", pytest.param("mosquitto", marks=pytest.mark.broker)])
def fabric(request: pytest.FixtureRequest) -> Fabric:
    """One of the two fabrics. A test that kills the broker asks for `mortal_fabric`."""
    base = f"test/{abs(hash(request.node.nodeid)):x}"
    if request.param == "memory":
        return MemoryFabric(base)
    return MosquittoFabric(base, request.getfixturevalue("mosquitto"))


@pytest.fixture(params=["memory", pytest.param("mosquitto", marks=pytest.mark.broker)])
def mortal_fabric(request: pytest.FixtureRequest) -> Fabric:
    """A fabric with a broker of this test's own."""
    if request.param == "memory":
        return MemoryFabric("test/mortal")
    return MosquittoFabric("test/mortal", request.getfixturevalue("own_mosquitto"))


@pytest.fixture
def mosquitto_fabric(mosquitto: PrivateBroker, request: pytest.FixtureRequest) -> MosquittoFabric:
    """The real broker alone, for what memory does not have."""
    return MosquittoFabric(f"test/{abs(hash(request.node.nodeid)):x}", mosquitto)


@pytest.fixture
def inbox() -> Callable[..., Inbox]:
    """Makes inboxes."""
    return Inbox


@pytest.fixture
def link() -> Callable[[Bus], Link]:
    """Makes links."""
    return Link


@pytest.fixture
def play(run: Callable[..., Any]) -> Callable[..., None]:
    """Run a scenario on a fabric and take the fabric down afterwards: `play(fabric, scenario())`."""

    def play_to_the_end(stage: Fabric, scenario: Coroutine[Any, Any, None], timeout: float = 20) -> None:
        async def whole() -> None:
            try:
                await scenario
            finally:
                await stage.close()

        run(whole(), timeout)

    return play_to_the_end
