"""What the gateway carries (promise F10): messages a second, bytes a message, a backlog drained, an alert beside it.

Everything on this machine: Mosquitto, the gateway and a NATS server of one node. The baseline of each run is a bare
publisher: the same bytes and headers to the same stream with the same window, without a broker before it and without
an outbox. Messages are inputs of about 600 bytes. `The whole way` are messages that waited in Mosquitto: received,
written durably, published, acknowledged. The backlog lies in the outbox before the gateway starts; while it drains an
alert is published now and then, and timed from its publication until a reader at the centre has it.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec import structs
from report import Outcome, Say, at_least, at_most, percentile

from roost_broker.centre.access import NatsAccess, connect
from roost_broker.centre.applying import apply
from roost_broker.centre.envelope import Envelope, headers_of
from roost_broker.centre.lanes import LANES, subject_of
from roost_broker.centre.nats_server import PrivateNats
from roost_broker.centre.streams import StreamSettings, plans
from roost_broker.clock import SystemClock
from roost_broker.gateway.outbox import Outbox
from roost_broker.gateway.role import Gateway
from roost_broker.gateway.rows import Arrival
from roost_broker.gateway.settings import GatewaySettings
from roost_broker.headers import new_header
from roost_broker.ids import new_id
from roost_broker.messages import Alert, Input, Request, encode
from roost_broker.moments import Stamp
from roost_broker.mosquitto import MosquittoSettings, PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_broker.topics import NodeTopics

_NODE = NodeTopics("bench")
_TOPICS = _NODE.task("nest")
_CLOCK = SystemClock()
_WINDOW = 64


def run(quick: bool, say: Say) -> Outcome:
    """See the module."""
    outcome = Outcome()
    waiting, backlog = (4_000, 20_000) if quick else (20_000, 100_000)
    with tempfile.TemporaryDirectory(prefix="roost-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        settings = MosquittoSettings(max_queued_messages=1_000_000)
        broker = stack.enter_context(PrivateBroker(folder / "broker", settings=settings))
        centre = stack.enter_context(PrivateNats(folder / "nats"))
        asyncio.run(_measure(outcome, folder, broker, centre.access(), waiting, backlog, say))
    return outcome


def _request() -> bytes:
    head = new_header(_CLOCK, "bench", "bench")._asdict()
    return encode(
        Request(
            **head,
            request_id=new_id(_CLOCK.wall_ns()),
            return_address=_TOPICS.results("bench"),
            deadline_ms=2000,
            input=Input(values={"pad": "x" * 300}),
        )
    )


async def _measure(
    outcome: Outcome, folder: Path, broker: PrivateBroker, access: NatsAccess, waiting: int, backlog: int, say: Say
) -> None:
    client = await connect(access, name="bench")
    await apply(client, plans(StreamSettings()))
    await client.close()
    data: dict[str, Any] = {"waiting": waiting, "backlog": backlog}
    say(f"A bare publisher, {waiting} messages …")
    data["bare_per_s"] = await _bare(access, waiting)
    say(f"The whole way, {waiting} messages that wait in Mosquitto …")
    data |= await _whole_way(folder, broker, access, waiting)
    say(f"A backlog of {backlog} messages drains, with alerts beside it …")
    data |= await _drain(folder, broker, access, backlog)
    say("Again a bare publisher …")
    data["bare_per_s_again"] = await _bare(access, waiting)
    outcome.data = data
    bare = (data["bare_per_s"] + data["bare_per_s_again"]) / 2
    outcome.lines += [
        f"bare publisher       {bare:8.0f} messages/s",
        f"the whole way        {data['whole_per_s']:8.0f} messages/s, {data['cpu_us']:.0f} µs of processor a message",
        f"backlog drained at   {data['drain_per_s']:8.0f} messages/s",
        f"payload {data['payload_bytes']:.0f} B, on the wire {data['wire_bytes']:.0f} B, "
        f"written to the card {data['written_bytes']:.0f} B a message",
        f"alert beside it      p50 {data['alert_ms']['p50']:.1f} ms, p99 {data['alert_ms']['p99']:.1f} ms; "
        f"without a backlog p50 {data['alert_alone_ms']['p50']:.1f} ms",
    ]
    alone = max(data["alert_alone_ms"]["p50"], 1.0)
    outcome.goals += [
        at_least("F10", "the whole way / bare publisher", "×", round(data["whole_per_s"] / bare, 2), 0.2),
        at_least("F10", "backlog drained / bare publisher", "×", round(data["drain_per_s"] / bare, 2), 0.25),
        at_most(
            "F10", "bytes on the wire beyond the payload", "B", round(data["wire_bytes"] - data["payload_bytes"]), 500
        ),
        at_most("F10", "alert beside a backlog, p50 / alone", "×", round(data["alert_ms"]["p50"] / alone, 1), 20),
    ]


async def _bare(access: NatsAccess, count: int) -> float:
    client = await connect(access, name="bare")
    room = asyncio.Semaphore(_WINDOW)
    done = asyncio.Event()
    answered = 0

    async def answer(_: object) -> None:
        nonlocal answered
        answered += 1
        room.release()
        if answered == count:
            done.set()

    inbox = client.new_inbox()
    await client.subscribe(inbox, cb=answer)
    outbox, payload = os.urandom(16).hex(), _request()
    begun = time.perf_counter()
    for seq in range(1, count + 1):
        await room.acquire()
        envelope = Envelope(_TOPICS.input, payload, "bench", outbox, "inputs", seq, 1)
        await client.publish(subject_of(_TOPICS.input, "inputs"), payload, reply=inbox, headers=headers_of(envelope))
    await done.wait()
    elapsed = time.perf_counter() - begun
    await client.close()
    return count / elapsed


@asynccontextmanager
async def _gateway(folder: Path, broker: PrivateBroker, access: NatsAccess) -> AsyncIterator[Gateway]:
    bus = MqttBus(broker.settings(), "bench-gateway", receive_maximum=256)
    settings = GatewaySettings(centre=access, receipts=False)
    role = Gateway(bus, _NODE, settings, folder / "gateway.db", [], clock=_CLOCK, session=1)
    stop = asyncio.Event()
    running = asyncio.create_task(role.run(stop))
    try:
        yield role
    finally:
        stop.set()
        await running


async def _whole_way(folder: Path, broker: PrivateBroker, access: NatsAccess, count: int) -> dict[str, Any]:
    session = MqttBus(broker.settings(), "bench-gateway")  # so that the broker keeps what comes before the gateway
    session.subscribe("roost/bench/#", lambda _: None)
    await session.start()
    await session.stop()
    source = MqttBus(structs.replace(broker.settings(), max_queued=1_000_000), "source")
    await source.start()
    payloads = [_request() for _ in range(count)]
    for begin in range(0, count, 500):
        await asyncio.gather(*(source.publish(_TOPICS.input, one) for one in payloads[begin : begin + 500]))
    await source.stop()
    written, cpu, begun = _written(), time.process_time(), time.perf_counter()
    async with _gateway(folder, broker, access) as role:
        while role.counts["sent"] < count:  # noqa: ASYNC110 - a count sets no event
            await asyncio.sleep(0.01)
        elapsed = time.perf_counter() - begun
        sent = role.counts["sent"]
        wire = role._link.bytes_sent
    return {
        "whole_per_s": sent / elapsed,
        "cpu_us": (time.process_time() - cpu) / sent * 1e6,
        "payload_bytes": sum(map(len, payloads)) / count,
        "wire_bytes": wire / sent,
        "written_bytes": (_written() - written) / sent,
    }


async def _drain(folder: Path, broker: PrivateBroker, access: NatsAccess, count: int) -> dict[str, Any]:
    (folder / "gateway.db").unlink()
    outbox = Outbox(folder / "gateway.db", boot="bench", max_bytes=10**9)
    for begin in range(0, count, 1000):
        outbox.add([_arrival(number) for number in range(begin, begin + 1000)])
    outbox.close()
    source = MqttBus(broker.settings(), "source")
    reader = await connect(access, name="reader")
    arrived = asyncio.Event()

    async def alert_arrived(_: object) -> None:
        arrived.set()

    await reader.subscribe(LANES["alerts"].subjects, cb=alert_arrived)
    await source.start()
    await reader.flush()

    async def one_alert() -> float:
        arrived.clear()
        begun = time.perf_counter()
        await source.publish(_NODE.camera("c").events, _alert())
        await arrived.wait()
        return (time.perf_counter() - begun) * 1000

    beside, alone = [], []
    begun = time.perf_counter()
    async with _gateway(folder, broker, access) as role:
        while role.counts["sent"] < 100:  # noqa: ASYNC110 - a count sets no event
            await asyncio.sleep(0.005)
        while role._dispatcher.waiting > 1000:
            beside.append(await one_alert())
            await asyncio.sleep(0.05)
        while role.counts["sent"] < count:  # noqa: ASYNC110 - a count sets no event
            await asyncio.sleep(0.005)
        elapsed = time.perf_counter() - begun
        for _ in range(30):
            alone.append(await one_alert())
    await source.stop()
    await reader.close()
    return {
        "drain_per_s": count / elapsed,
        "alerts": len(beside),
        "alert_ms": {"p50": percentile(beside, 0.5), "p99": percentile(beside, 0.99)},
        "alert_alone_ms": {"p50": percentile(alone, 0.5), "p99": percentile(alone, 0.99)},
    }


def _arrival(number: int) -> Arrival:
    stamp = Stamp("bench", number, _CLOCK.wall_ns())
    return Arrival("inputs", _TOPICS.input, _request(), stamp, number.to_bytes(8, "big"))


def _alert() -> bytes:
    head = new_header(_CLOCK, "bench", "bench")._asdict()
    return encode(
        Alert(
            **head,
            type="new",
            alert_id=head["message_id"],
            camera="c",
            task="nest",
            label="hen",
            started_at=1,
            last_at=1,
        )
    )


def _written() -> int:
    """Bytes that this process has handed to the disk so far (Linux); 0 elsewhere."""
    try:
        lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))
