"""The processes of the rendezvous benchmark: `ROLE PORT FOLDER`. Each says `ready` on stdout when it is connected.

echo        publishes each request's bytes back on the results topic: the broker's own round trip
model       answers each request at once
rendezvous  the real server
injector    the real state injector
"""

import asyncio
import signal
import sys
from pathlib import Path

from roost_broker.bus import Delivery
from roost_broker.clock import MS, SystemClock
from roost_broker.ids import new_id
from roost_broker.mqtt import MqttBus
from roost_broker.settings import BrokerSettings
from roost_broker.topics import NodeTopics, TaskTopics
from roost_rendezvous import schedule
from roost_rendezvous.injector import StateInjector
from roost_rendezvous.server.role import RendezvousServer

NODE, TASK, REQUESTER = "bench", "nest", "door"
TOPICS: TaskTopics = NodeTopics(NODE).task(TASK)
ECHO: TaskTopics = NodeTopics(NODE).task("echo")
SCHEDULE = {
    "task": TASK,
    "sla_ms": 2000,
    "step": [{"after_ms": 0, "accept": ["champion"]}, {"after_ms": 600, "accept": ["champion", "fast"]}],
    "default": {"after_ms": 1900, "label": "unknown"},
    "ignore": ["canary"],
}
CLOCK = SystemClock()


def echo(bus: MqttBus) -> None:
    """Bytes back, nothing read."""
    back = ECHO.results(REQUESTER)

    def arrived(delivery: Delivery) -> None:
        bus.publish(back, delivery.payload)
        delivery.ack()

    bus.subscribe(ECHO.input, arrived)


def model(bus: MqttBus) -> None:
    """A champion that needs no time."""
    from roost_broker.messages import Output, Request, Score, decode, encode

    outputs = [Output(label=f"label-{number}", score=0.9 / (number + 1)) for number in range(7)]
    mine = TOPICS.scores("champion")

    def arrived(delivery: Delivery) -> None:
        request = decode(delivery.payload)
        if isinstance(request, Request):
            wall = CLOCK.wall_ns()
            score = Score(
                timestamp=wall // MS,
                message_id=new_id(wall),
                request_id=request.request_id,
                model="champion",
                version="1",
                outputs=outputs,
            )
            bus.publish(mine, encode(score))
        delivery.ack()

    bus.subscribe(TOPICS.input, arrived)


async def run(role: str, port: int, folder: Path) -> None:
    """Until SIGTERM."""
    bus = MqttBus(BrokerSettings(port=port), f"bench-{role}")
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    bus.on_connection(lambda up: print("ready", flush=True) if up else None)
    if role == "rendezvous":
        agreed = schedule.parse(SCHEDULE)
        await RendezvousServer(bus, TOPICS, agreed, clock=CLOCK, journal=folder / "journal", node=NODE, session=1).run(
            stop
        )
    elif role == "injector":
        await StateInjector(bus, TOPICS, clock=CLOCK, node=NODE, session=1).run(stop)
    else:
        {"echo": echo, "model": model}[role](bus)
        await bus.start()
        await stop.wait()
        await bus.stop()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
