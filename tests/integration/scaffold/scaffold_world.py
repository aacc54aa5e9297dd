"""A scaffold that serves, a client that asks and listens, and bundles made on the spot.

Where a model must take its time it waits at a `Gate`, a named pipe that the test opens: nobody waits for a clock.
"""

import asyncio
import base64
import itertools
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from roost_broker.bus import Bus, Delivery
from roost_broker.clock import SystemClock
from roost_broker.faults import Fault
from roost_broker.frames import FrameStore
from roost_broker.ids import new_id
from roost_broker.messages import DeadLetter, Declined, Input, Message, ModelState, Request, Score, decode, encode
from roost_broker.topics import NodeTopics, TaskTopics
from roost_broker.worker import Worker
from roost_models.bundle.folder import Bundle
from roost_models.bundle.goldens import ramps
from roost_models.bundle.writing import write_bundle
from roost_models.inference.images import encode_png
from roost_models.internal_state.rebuild import StatePlace
from roost_models.scaffold.partition import Partition
from roost_models.scaffold.presence import model_will
from roost_models.scaffold.role import Scaffold, ScaffoldSettings, receive_maximum

CLOCK = SystemClock()
PICTURE = encode_png(ramps())
_INLINE = base64.b64encode(PICTURE).decode()
QUICK = ScaffoldSettings(state_interval_ms=20)
_numbers = itertools.count()

BRIGHTNESS = """
def predict(image, context):
    brightness = float(image.mean()) / 255
    return {"bright": brightness, "dark": 1 - brightness}
"""
HELD = """
import pathlib

def predict(image, context):
    if context.values.get("raise"):
        raise RuntimeError("the model's own mistake")
    if "gate" in context.values:
        pathlib.Path(context.values["gate"]).read_text()
    return {"bright": 1.0}
"""


class Gate:
    """A model that reads the pipe waits until `open`; `reached` returns when it does so."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / f"gate-{next(_numbers)}"
        os.mkfifo(self.path)
        self._thread = Worker("gate")  # a daemon: a test that fails must not wait for a model
        self._writer: IO[str] | None = None

    def question(self, **fields: Any) -> Request:
        return question(input=Input(inline=_INLINE, values={"gate": str(self.path)}), **fields)

    async def reached(self) -> None:
        self._writer = await self._thread.call(lambda: self.path.open("w"))

    def open(self) -> None:
        assert self._writer is not None
        self._writer.close()
        self._thread.stop()


class Place:
    """A broker to connect to: memory or Mosquitto."""

    def __init__(self, connect: Callable[..., Bus]) -> None:
        self._connect = connect
        self.topics = NodeTopics(f"scaffold-{next(_numbers)}-{new_id(CLOCK.wall_ns())[-6:]}").task("nest")

    def bus(self, name: str, **options: Any) -> Bus:
        return self._connect(f"{self.topics.device.node}-{name}", **options)


@dataclass
class Watcher:
    """A client that asks and listens."""

    bus: Bus
    topics: TaskTopics
    said: "asyncio.Queue[Message]" = field(default_factory=asyncio.Queue)
    raw: list[bytes] = field(default_factory=list)
    states: "asyncio.Queue[ModelState]" = field(default_factory=asyncio.Queue)
    letters: "asyncio.Queue[DeadLetter]" = field(default_factory=asyncio.Queue)

    def listen(self) -> None:
        self.bus.subscribe(self.topics.all_scores, self._on_score)
        self.bus.subscribe(self.topics.all_model_states, self._on_state)
        self.bus.subscribe(self.topics.deadletter, self._on_letter)

    def _on_score(self, delivery: Delivery) -> None:
        delivery.ack()
        self.raw.append(delivery.payload)
        self.said.put_nowait(decode(delivery.payload))

    def _on_state(self, delivery: Delivery) -> None:
        delivery.ack()
        state = decode(delivery.payload)
        assert isinstance(state, ModelState)
        self.states.put_nowait(state)

    def _on_letter(self, delivery: Delivery) -> None:
        delivery.ack()
        letter = decode(delivery.payload)
        assert isinstance(letter, DeadLetter)
        self.letters.put_nowait(letter)

    async def ask(self, request: Request) -> bytes:
        payload = encode(request)
        await self.bus.publish(self.topics.input, payload)
        return payload

    async def score(self) -> Score:
        said = await self.said.get()
        assert isinstance(said, Score), said
        return said

    async def declined(self) -> Declined:
        said = await self.said.get()
        assert isinstance(said, Declined), said
        return said

    async def state(self, wanted: str) -> ModelState:
        while (state := await self.states.get()).state != wanted:
            pass
        return state


def question(deadline_ms: int = 60_000, **fields: Any) -> Request:
    wall = CLOCK.wall_ns()
    asked = fields.pop("input", None) or Input(inline=_INLINE)
    name = new_id(wall)
    return Request(
        timestamp=wall // 1_000_000,
        message_id=name,
        request_id=name,
        return_address="roost/x/nest/results/test",
        deadline_ms=deadline_ms,
        input=asked,
        **fields,
    )


def bundle_in(folder: Path, source: str = BRIGHTNESS, **fields: Any) -> Bundle:
    manifest = {
        "name": "brightness",
        "version": "1.0",
        "task": "nest",
        "engine": "python",
        "entry": "model.py",
        "labels": ["bright", "dark"],
        "input": {"width": 8, "height": 6},
        "licence": "Apache-2.0",
        **fields,
    }
    return write_bundle(folder / "bundle", manifest, {"model.py": source.encode(), "ramps.png": PICTURE})


@asynccontextmanager
async def serving(
    place: Place,
    bundle: Bundle,
    frames: FrameStore,
    *,
    faults: Fault | None = None,
    settings: ScaffoldSettings = QUICK,
    wait: str = "ready",
    partition: Partition = Partition(),  # noqa: B008 — frozen
    internal_state: StatePlace | None = None,
) -> AsyncIterator[tuple[Watcher, Scaffold]]:
    """A scaffold that runs as long as the block, and a watcher of it."""
    watcher = Watcher(place.bus(f"watcher{partition.replica or ''}"), place.topics)
    watcher.listen()
    await watcher.bus.start()
    will = model_will(place.topics, "champion", 3, CLOCK, bundle, partition.replica)
    scaffold = Scaffold(
        place.bus(f"champion{partition.replica or ''}", will=will, receive_maximum=receive_maximum(bundle)),
        place.topics,
        "champion",
        bundle,
        frames,
        clock=CLOCK,
        node=place.topics.device.node,
        session=3,
        faults=faults,
        settings=settings,
        partition=partition,
        internal_state=internal_state,
    )
    stop = asyncio.Event()
    running = asyncio.ensure_future(scaffold.run(stop))
    try:
        while wait and (await watcher.state(wait)).replica != partition.replica:
            pass
        yield watcher, scaffold
    finally:
        stop.set()
        try:
            await running
        finally:
            await watcher.bus.stop()
