"""A device's broker, a gateway as a process, a link that can be cut, and a centre; a source that forgets nothing."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from msgspec import structs

from roost_broker.bus import Delivery
from roost_broker.centre.access import NatsAccess, connect
from roost_broker.centre.applying import apply
from roost_broker.centre.envelope import Envelope, parse
from roost_broker.centre.lanes import LANES, LaneName
from roost_broker.centre.streams import StreamSettings, plans
from roost_broker.clock import SystemClock
from roost_broker.errors import RoostError
from roost_broker.headers import new_header
from roost_broker.ids import new_id
from roost_broker.messages import Input, Receipt, Request, RoleState, decode, encode
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_broker.topics import NodeTopics

NODE, TASK = "coop-1", "nest"
DEVICE = NodeTopics(NODE)
TOPICS = DEVICE.task(TASK)
CLOCK = SystemClock()


def request(number: int, *, pad: int = 300) -> tuple[str, bytes]:
    """A request as capture makes it: its id and its bytes, of about 600 bytes."""
    head = new_header(CLOCK, NODE, "source")
    message = Request(
        **head._asdict(),
        request_id=new_id(CLOCK.wall_ns()),
        return_address=TOPICS.results("source"),
        deadline_ms=2000,
        input=Input(values={"number": number, "pad": "x" * pad}),
    )
    return message.request_id, encode(message)


async def make_streams(access: NatsAccess, *, replicas: int = 1) -> None:
    client = await connect(access, name="test")
    try:
        await apply(client, plans(StreamSettings(replicas=replicas)))
    finally:
        await client.close()


async def everything(access: NatsAccess, lanes: Sequence[LaneName] = ("inputs",)) -> list[Envelope]:
    """What the streams hold, in their order."""
    client = await connect(access, name="test")
    found: list[Envelope] = []
    try:
        streams = client.jetstream(timeout=10)
        for lane in lanes:
            left = (await streams.stream_info(LANES[lane].stream)).state.messages
            reader = await streams.subscribe(LANES[lane].subjects, stream=LANES[lane].stream, ordered_consumer=True)
            for _ in range(left):
                message = await reader.next_msg(timeout=10)
                found.append(parse(message.headers, message.data))
    finally:
        await client.close()
    return found


async def gateway_ready(broker: PrivateBroker) -> None:
    """Return when a gateway says so: from then on the broker keeps for it what it misses."""
    ready = asyncio.Event()

    def state(delivery: Delivery) -> None:
        message = decode(delivery.payload)
        if isinstance(message, RoleState) and message.state == "ready":
            ready.set()
        delivery.ack()

    bus = MqttBus(broker.settings(), "waits-for-gateway")
    bus.subscribe(DEVICE.role("gateway"), state)
    await bus.start()
    await ready.wait()
    await bus.stop(forget=True)


class GatewayProcess:
    """`roost run gateway` of a settings file."""

    def __init__(self, folder: Path, broker_port: int, servers: Sequence[str], *, more: str = "") -> None:
        self.settings = folder / "roost.toml"
        self.log = folder / "gateway.log"
        self.data = folder / "data"
        urls = ", ".join(f'"{url}"' for url in servers)
        self.settings.write_text(
            f'[node]\nname = "{NODE}"\ndata = "data"\n[broker]\nport = {broker_port}\n'
            f"[gateway]\nack_timeout_ms = 2000\n{more}\n[gateway.centre]\nurls = [{urls}]\nconnect_timeout_s = 2\n",
            encoding="utf-8",
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "roost_edge.daemon", "gateway", "--settings", str(self.settings)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([*command, "--die-with", str(os.getpid())], stdout=log, stderr=log)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def end(self, how: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(how)
        try:
            return self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise


class Source:
    """Asks `count` requests and asks each again until the gateway's receipt for it was seen: it forgets nothing."""

    def __init__(self, broker: PrivateBroker, count: int, *, at_once: int = 200) -> None:
        self.count = count
        self.sent: dict[str, bytes] = {}
        self.open: dict[str, float] = {}
        self.counts: Counter[str] = Counter()
        self._at_once = at_once
        self._changed = asyncio.Event()
        self._bus = MqttBus(structs.replace(broker.settings(), max_queued=20_000), "source")
        self._bus.subscribe(TOPICS.receipts, self._receipt)

    @property
    def done(self) -> bool:
        return len(self.sent) == self.count and not self.open

    async def run(self, *, rate: float, again_s: float = 1.0) -> None:
        loop = asyncio.get_running_loop()
        await self._bus.start()
        begun = loop.time()
        try:
            while not self.done:
                now = loop.time()
                while len(self.open) < self._at_once and len(self.sent) < min(self.count, (now - begun) * rate + 1):
                    request_id, payload = request(len(self.sent))
                    self.sent[request_id] = payload
                    self._publish(request_id, now)
                for request_id, since in list(self.open.items()):
                    if now - since > again_s:
                        self.counts["again"] += 1
                        self._publish(request_id, now)
                await asyncio.sleep(0.01)
        finally:
            await self._bus.stop()

    def _publish(self, request_id: str, now: float) -> None:
        self.open[request_id] = now
        try:
            self._bus.publish(TOPICS.input, self.sent[request_id])
        except RoostError:
            self.counts["queue-full"] += 1

    def _receipt(self, delivery: Delivery) -> None:
        message = decode(delivery.payload)
        assert isinstance(message, Receipt)
        assert message.provenance.path[0].component == "gateway"
        self.open.pop(message.request_id, None)
        delivery.ack()
