"""Thousands of devices in one process: of each just its connection, and Roost's own policy of coming back.

What a device would do besides (its outbox, its pings) is left out, so that ten thousand fit beside the server. Packets
of MQTT are read and written as `roost_broker.packets` does.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from mqtt_by_hand import packet, text

from roost_broker.clock import SECOND, SystemClock
from roost_broker.packets import Published, puback, read
from roost_broker.reconnect import Reconnect, ReconnectPolicy

CLOCK = SystemClock()
_EXPIRY = b"\x05\x11" + (3600).to_bytes(4, "big")
"""Properties: a session that outlives its connection by an hour (MQTT 5.0 §3.1.2.11.2)."""
_KEEPALIVE_S = 600


def hello(client_id: str) -> bytes:
    """A CONNECT that goes on with a session, if there is one."""
    return packet(0x10, text("MQTT") + b"\x05\x00" + _KEEPALIVE_S.to_bytes(2, "big") + _EXPIRY + text(client_id))


def subscribing(*topics: str) -> bytes:
    """A SUBSCRIBE with QoS 1."""
    return packet(0x82, b"\x00\x01\x00" + b"".join(text(topic) + b"\x01" for topic in topics))


class Member(asyncio.Protocol):
    """One device: it stays connected until told to rest, as `MqttBus` and the gateway's link do."""

    def __init__(self, fleet: "ManyDevices[Any]", number: int) -> None:
        self.name = f"device-{number:05}"
        self.fleet = fleet
        self.transport: Any = None
        self._data = b""
        self._up = False
        self._refused = False
        self._reconnect = Reconnect(ReconnectPolicy())
        self._task: asyncio.Task[None] | None = None

    def come(self) -> None:
        self._task = asyncio.ensure_future(self._try())

    async def _try(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self.fleet.port)
        except OSError:
            self._again()

    def _again(self) -> None:
        """The connection ended, or there was none: wait as the product does, then try again."""
        delay = self._reconnect.lost(CLOCK.monotonic_ns(), self.fleet.dice.random())
        if not self.fleet.resting:
            self.fleet.refused += not self._refused
            self._refused = True
            asyncio.get_running_loop().call_later(delay / SECOND, self.come)
        self.fleet.changed()

    def greeted(self) -> None:
        """The server has let it in."""
        self._reconnect.connected(CLOCK.monotonic_ns())

    def connected(self) -> None:
        """It is where it was before."""
        self._up = True
        self.fleet.connected += 1

    def end(self) -> None:
        """Hang up without a word, as a power cut would."""
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: Any) -> None:
        self.transport, self._data = transport, b""
        self.begin()

    def connection_lost(self, _error: Exception | None) -> None:
        self.fleet.connected -= self._up
        self.transport, self._up = None, False
        self._again()

    def data_received(self, data: bytes) -> None:
        try:
            self._data = self.read(self._data + data)
        except Exception as error:  # noqa: BLE001 - or whoever waits would wait for ever
            self.fleet.fault = error
        self.fleet.changed()

    def begin(self) -> None:
        """The connection is open."""

    def read(self, data: bytes) -> bytes:
        """Deal with what came; returns what is not whole yet."""
        raise NotImplementedError


class MqttMember(Member):
    """A session on a broker, with two topics of its own."""

    def __init__(self, fleet: "ManyDevices[Any]", number: int) -> None:
        super().__init__(fleet, number)
        self.topics = (f"fleet/{self.name}/order", f"fleet/{self.name}/schedule")
        self.heard: Counter[bytes] = Counter()
        self.sessions: list[bool] = []
        """Of each greeting: whether the broker still had the session."""

    def begin(self) -> None:
        self.transport.write(hello(self.name))

    def read(self, data: bytes) -> bytes:
        while data:
            found, at = read(data, 0)
            if isinstance(found, Published):
                self.heard[found.payload] += 1
                self.fleet.heard[found.payload.split()[0].decode()] += 1
                if found.packet_id:
                    self.transport.write(puback(found.packet_id))
            elif len(data) < 2 or not 0 < at <= len(data):
                break  # the rest of it is on its way
            else:
                self._other(data[:at])
            data = data[at:]
        return data

    def _other(self, one: bytes) -> None:
        if one[0] == 0x20:
            assert one[3] == 0, f"{self.name} was refused: {one[3]:#x}"
            self.sessions.append(bool(one[2] & 1))
            self.greeted()
            self.transport.write(subscribing(*self.topics))
        elif one[0] == 0x90:
            self.connected()


M = TypeVar("M", bound=Member)


class ManyDevices(Generic[M]):
    """All of them, and how far they have got."""

    def __init__(self, kind: Callable[["ManyDevices[Any]", int], M], count: int, port: int, *, seed: int = 7) -> None:
        self.port = port
        self.connected = 0
        """Greeted, and subscribed."""
        self.refused = 0
        """Those who found nobody, or were cut off, at least once."""
        self.heard: Counter[str] = Counter()
        """Messages of all of them, by their first word."""
        self.fault: Exception | None = None
        self.resting = False
        self.dice = random.Random(seed)
        self.members = [kind(self, number) for number in range(count)]
        self._news = asyncio.Event()

    def changed(self) -> None:
        self._news.set()

    def come(self) -> None:
        """All of them, at once."""
        self.resting = False
        for member in self.members:
            member.come()

    async def rest(self) -> None:
        """All hang up, and nobody comes back before he is told to."""
        self.resting = True
        for member in self.members:
            member.end()
        await self.until(lambda: not self.connected)

    async def until(self, condition: Callable[[], object]) -> None:
        """`condition` is looked at after each thing that happens; keep it short."""
        while not condition():
            self._news.clear()
            await self._news.wait()
            if self.fault is not None:
                raise self.fault
