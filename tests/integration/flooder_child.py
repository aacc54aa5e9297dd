"""Flooding models as one process: PORT NODE TASK FLOODERS RATE. Together they say RATE words a second, until SIGTERM.

Words for requests that nobody asked, rubbish, and words in another's name, in turn. It says `ready` when connected,
and at its end how many words the broker has taken.
"""

import asyncio
import contextlib
import signal
import sys
import time

from roost_broker.clock import MS, SystemClock
from roost_broker.errors import QueueFull
from roost_broker.ids import new_id
from roost_broker.messages import Output, Score, encode
from roost_broker.mqtt import MqttBus
from roost_broker.settings import BrokerSettings
from roost_broker.topics import NodeTopics

CLOCK = SystemClock()
TURN_S = 0.02


def word(model: str) -> bytes:
    """A score for a request of nobody's."""
    wall = CLOCK.wall_ns()
    return encode(
        Score(
            timestamp=wall // MS,
            message_id=new_id(wall),
            request_id=new_id(wall),
            model=model,
            version="1",
            outputs=[Output(label="forged", score=1.0)],
        )
    )


async def main(port: int, node: str, task: str, flooders: int, rate: float) -> None:
    topics = NodeTopics(node).task(task)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    buses = [MqttBus(BrokerSettings(port=port, session_expiry_s=0), f"flooder-{n}") for n in range(flooders)]
    await asyncio.gather(*(bus.start() for bus in buses))
    print("ready", flush=True)
    taken = 0

    def count(error: Exception | None) -> None:
        nonlocal taken
        taken += error is None

    began, said = time.monotonic(), 0
    while not stop.is_set():
        due = int((time.monotonic() - began) * rate) - said
        for turn in range(due):
            number = (said + turn) % flooders
            name = f"flooder-{number}"
            payload = (word(name), b"{rubbish", word("champion"))[(said + turn) // flooders % 3]
            with contextlib.suppress(QueueFull):
                buses[number].publish(topics.scores(name), payload, taken=count)
        said += due
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TURN_S):
                await stop.wait()
    await asyncio.gather(*(bus.stop() for bus in buses))
    print(taken, flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5])))
