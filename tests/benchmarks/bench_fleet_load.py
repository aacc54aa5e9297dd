"""Simulated devices over real sessions into a real broker, gateway and central stream; what each device costs there."""

import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from report import Say, percentile

sys.path.insert(0, str(Path(__file__).parent.parent / "integration"))

from gateway_world import GatewayProcess, make_streams

from roost_broker.cancellation import within
from roost_broker.centre.client import CentreClient, open_centre
from roost_broker.centre.fleet import Fleet
from roost_broker.centre.nats_server import PrivateNats
from roost_broker.clock import MS, SystemClock
from roost_broker.ids import new_id
from roost_broker.messages import OtaState, decode, encode
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_broker.settings import BrokerSettings
from roost_broker.topics import NodeTopics
from roost_broker.version import VERSION
from roost_edge.fleet_sim.device import SimulatedDevice
from roost_models.rollout.document import BundleRef

CLOCK = SystemClock()
OLD = BundleRef(name="breeds", version="1", digest="a" * 64)
_TOGETHER = 50
_PATIENCE_S = 60.0


def load(sizes: tuple[int, ...], each: int, say: Say) -> dict[str, dict[str, Any]]:
    """For each number of sessions: `each` reports of every device, all seen in the fleet view, and what that took."""
    with (
        tempfile.TemporaryDirectory() as folder,
        PrivateNats(Path(folder) / "nats") as nats,
        PrivateBroker(Path(folder) / "broker") as broker,
    ):
        asyncio.run(make_streams(nats.access()))
        gateway = GatewayProcess(Path(folder), broker.port, nats.urls, more='nodes = ["+"]\nreceipts = false')
        gateway.start()
        try:
            asyncio.run(_size(20, 5, broker.port, nats, gateway, say))  # a gateway that has just started pays for that
            return {str(size): asyncio.run(_size(size, each, broker.port, nats, gateway, say)) for size in sizes}
        finally:
            gateway.end(signal.SIGTERM)


async def _size(
    size: int, each: int, port: int, nats: PrivateNats, gateway: GatewayProcess, say: Say
) -> dict[str, Any]:
    say(f"{size} real sessions, {each} reports each")
    settings = BrokerSettings(port=port, session_expiry_s=0)
    devices = [
        SimulatedDevice(f"load{size}-{number}", "nest", "champion", OLD, {}, random.Random(number))
        for number in range(size)
    ]
    buses = [MqttBus(settings, f"{device.node}-ota") for device in devices]
    for first in range(0, size, _TOGETHER):
        await asyncio.gather(*(bus.start() for bus in buses[first : first + _TOGETHER]))
    try:
        async with await open_centre(nats.access(), name="bench") as client:
            return await _round(devices, buses, each, client, gateway)
    finally:
        await asyncio.gather(*(bus.stop(forget=True) for bus in buses))


async def _round(
    devices: list[SimulatedDevice], buses: list[MqttBus], each: int, client: CentreClient, gateway: GatewayProcess
) -> dict[str, Any]:
    wanted, fleet, late_ms, seen = len(devices) * each, Fleet(), [], set()
    ours = {device.node for device in devices}
    before = _cpu_s(gateway)
    began = time.monotonic()

    async def read() -> float:
        async for envelope in client.follow("devices", start="latest", nodes=ours):
            fleet.handle(envelope)
            message = decode(envelope.payload)
            if isinstance(message, OtaState) and message.message_id not in seen:
                seen.add(message.message_id)
                late_ms.append(CLOCK.wall_ns() / MS - message.timestamp)
                if len(seen) == wanted:
                    break
        return time.monotonic()

    reading = asyncio.ensure_future(read())
    await asyncio.sleep(1.0)  # the consumer is there
    sending = time.monotonic()
    for _ in range(each):  # one report a device every half second
        for device, bus in zip(devices, buses, strict=True):
            wall = CLOCK.wall_ns()
            state = device.state(wall, CLOCK.monotonic_ns(), message_id=new_id(wall), version=VERSION)
            bus.publish(NodeTopics(device.node).ota, encode(state), retain=True)
        await asyncio.sleep(0.5)
    try:
        ended = await within(reading, _PATIENCE_S)
    except TimeoutError:
        ended = time.monotonic()
    return {
        "reports": wanted,
        "seen": len(seen),
        "in_view": len(ours & {view.node for view in fleet.view(CLOCK.wall_ns() // MS)}),
        "seconds": round(ended - sending, 2),
        "whole_s": round(ended - began, 2),
        "gateway_us_per_report": round((_cpu_s(gateway) - before) / wanted * 1e6, 1),
        "to_view_p50_ms": round(percentile(late_ms or [0.0], 0.5), 1),
        "to_view_p99_ms": round(percentile(late_ms or [0.0], 0.99), 1),
    }


def _cpu_s(gateway: GatewayProcess) -> float:
    """Processor time of the gateway so far."""
    process = gateway._process
    if process is None:
        return 0.0
    words = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
