"""The processes of the rendezvous benchmark: `ROLE PORT FOLDER`. Each says `ready` on stdout when it is connected.

echo        publishes each request's bytes back on the results topic: the broker's own round trip
model       answers each request of the task `nest` at once
rendezvous  the real server of the task `nest`
injector    the real state injector of the task `nest`
other-model answers each request of the task `join` at once
joiner      the client library's ceiling: the same messages in and out as the rendezvous server, and no other work.
            It reads input and scores of the task `join`, and on a score publishes a result of the usual size; it
            decodes nothing, decides nothing, and has no journal
"""

import asyncio
import signal
import sys
from functools import partial
from pathlib import Path

from roost_broker.bus import Delivery
from roost_broker.clock import MS, SystemClock
from roost_broker.ids import new_id
from roost_broker.mqtt import MqttBus
from roost_broker.settings import BrokerSettings
from roost_broker.topics import NodeTopics, TaskTopics

NODE, TASK, REQUESTER = "bench", "nest", "door"
TOPICS: TaskTopics = NodeTopics(NODE).task(TASK)
ECHO: TaskTopics = NodeTopics(NODE).task("echo")
JOIN: TaskTopics = NodeTopics(NODE).task("join")
SCHEDULE = {
    "task": TASK,
    "sla_ms": 2000,
    "step": [{"after_ms": 0, "accept": ["champion"]}, {"after_ms": 600, "accept": ["champion", "fast"]}],
    "default": {"after_ms": 1900, "label": "unknown"},
    "ignore": ["canary"],
}
RESULT_BYTES = 1_031
"""Size of the rendezvous' result of one of these requests."""
CLOCK = SystemClock()


def echo(bus: MqttBus) -> None:
    """Bytes back, nothing read."""
    back = ECHO.results(REQUESTER)

    def arrived(delivery: Delivery) -> None:
        bus.publish(back, delivery.payload)
        delivery.ack()

    bus.subscribe(ECHO.input, arrived)


def joiner(bus: MqttBus) -> None:
    """What no server on this client can be quicker than."""
    back = JOIN.results(REQUESTER)
    field, length = b'"requestId":"', 32 + len(b'"requestId":"')

    def asked(delivery: Delivery) -> None:
        delivery.ack()

    def scored(delivery: Delivery) -> None:
        at = delivery.payload.find(field)
        result = b"{" + delivery.payload[at : at + length] + b'","'
        bus.publish(back, result.ljust(RESULT_BYTES, b"."))
        delivery.ack()

    bus.subscribe(JOIN.input, asked)
    bus.subscribe(JOIN.all_scores, scored)


def model(topics: TaskTopics, bus: MqttBus) -> None:
    """A champion that needs no time."""
    from roost_broker.messages import Output, Request, Score, decode, encode

    outputs = [Output(label=f"label-{number}", score=0.9 / (number + 1)) for number in range(7)]
    mine = topics.scores("champion")

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

    bus.subscribe(topics.input, arrived)


SIMPLE = {"echo": echo, "joiner": joiner, "model": partial(model, TOPICS), "other-model": partial(model, JOIN)}
ROLES = ("echo", "model", "rendezvous", "injector", "other-model", "joiner")


async def run(role: str, port: int, folder: Path) -> None:
    """Until SIGTERM."""
    bus = MqttBus(BrokerSettings(port=port), f"bench-{role}")
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    buses = [bus]
    if role == "rendezvous":
        buses.append(MqttBus(BrokerSettings(port=port), f"bench-{role}-scores"))  # as on a device

    def connected(_up: bool) -> None:
        if all(one.connected for one in buses):
            print("ready", flush=True)

    for one in buses:
        one.on_connection(connected)
    if role == "rendezvous":
        from roost_rendezvous import schedule
        from roost_rendezvous.server.role import RendezvousServer

        agreed = schedule.parse(SCHEDULE)
        journal = folder / "journal"
        await RendezvousServer(
            bus, TOPICS, agreed, clock=CLOCK, journal=journal, node=NODE, session=1, scores_bus=buses[1]
        ).run(stop)
    elif role == "injector":
        from roost_rendezvous.injector.role import StateInjector

        await StateInjector(bus, TOPICS, clock=CLOCK, node=NODE, session=1).run(stop)
    else:
        SIMPLE[role](bus)
        await bus.start()
        await stop.wait()
        await bus.stop()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
