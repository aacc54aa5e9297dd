"""The processes of the overload benchmark: `rendezvous PORT FOLDER`, or `model PORT FOLDER NAME BUNDLE [N OF [KEY]]`.

Each is the real role. A model says `ready` on stdout when it is warm, the rendezvous when it is connected.
"""

import asyncio
import signal
import sys
from pathlib import Path

from msgspec import structs

from roost_broker.clock import SystemClock
from roost_broker.frames import FrameStore
from roost_broker.messages import decode
from roost_broker.mqtt import MqttBus
from roost_broker.settings import BrokerSettings
from roost_broker.topics import NodeTopics, TaskTopics

NODE, TASK, REQUESTER = "bench", "burst", "door"
TOPICS: TaskTopics = NodeTopics(NODE).task(TASK)
CLOCK = SystemClock()


def schedule_of(sla_ms: int) -> dict[str, object]:
    """The champion alone for half of the SLA, then the fast model too; the default just before the end."""
    return {
        "task": TASK,
        "sla_ms": sla_ms,
        "step": [
            {"after_ms": 0, "accept": ["champion"]},
            {"after_ms": sla_ms // 2, "accept": ["champion", "fast"]},
        ],
        "default": {"after_ms": sla_ms * 95 // 100, "label": "unknown"},
    }


async def rendezvous(port: int, folder: Path, sla_ms: str) -> None:
    """The real server."""
    from roost_rendezvous import schedule
    from roost_rendezvous.server.role import RendezvousServer

    bus = MqttBus(BrokerSettings(port=port), "bench-rendezvous")
    bus.on_connection(lambda up: print("ready", flush=True) if up else None)
    agreed = schedule.parse(schedule_of(int(sla_ms)))
    server = RendezvousServer(bus, TOPICS, agreed, clock=CLOCK, journal=folder / "journal", node=NODE, session=1)
    await server.run(_stop())


async def model(port: int, folder: Path, name: str, bundle: str, number: str = "0", of: str = "1") -> None:
    """The real scaffold around a bundle."""
    from roost_models.bundle.opening import open_bundle
    from roost_models.scaffold.partition import Partition
    from roost_models.scaffold.presence import model_will
    from roost_models.scaffold.role import Scaffold
    from roost_models.scaffold.settings import receive_maximum

    opened, partition = open_bundle(Path(bundle)), Partition(int(number), int(of))
    settings = BrokerSettings(port=port)
    if partition.shared:
        settings = structs.replace(settings, session_expiry_s=0)
    will = model_will(TOPICS, name, 1, CLOCK, opened, partition.replica)
    bus = MqttBus(settings, f"bench-{name}-{number}", will=will, receive_maximum=receive_maximum(opened))
    watcher = MqttBus(BrokerSettings(port=port), f"bench-{name}-{number}-watcher")
    watcher.subscribe(TOPICS.model_state(name, partition.replica), lambda delivery: _say_ready(delivery.payload))
    await watcher.start()
    frames = FrameStore(folder / "frames")
    scaffold = Scaffold(bus, TOPICS, name, opened, frames, clock=CLOCK, node=NODE, session=1, partition=partition)
    await scaffold.run(_stop())
    await watcher.stop()


def _say_ready(payload: bytes) -> None:
    if getattr(decode(payload), "state", "") == "ready":
        print("ready", flush=True)


def _stop() -> asyncio.Event:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    return stop


if __name__ == "__main__":
    role, at, where, *more = sys.argv[1:]
    asyncio.run((rendezvous if role == "rendezvous" else model)(int(at), Path(where), *more))
