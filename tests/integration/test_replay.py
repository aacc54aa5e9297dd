"""From question to replay on shipped parts: scaffold and decoy over the memory bus, then the archive alone."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from roost_broker.bus import Delivery
from roost_broker.clock import SystemClock
from roost_broker.frames import FrameStore
from roost_broker.ids import new_id
from roost_broker.memory import MemoryBroker, MemoryBus
from roost_broker.messages import Input, Issued, ModelState, Receipt, Request, RoleState, Score, decode, encode
from roost_broker.topics import NodeTopics
from roost_models.archive.reading import ArchiveReader
from roost_models.archive.writing import Archive
from roost_models.bundle.writing import new_bundle
from roost_models.decoy import Decoy
from roost_models.inference.images import encode_png
from roost_models.replay import replay
from roost_models.scaffold.role import Scaffold

REQUESTS = 40
CLOCK = SystemClock()


def test_what_a_scaffold_answered_can_be_reproduced_from_the_archive_alone(tmp_path: Path, run: Any) -> None:
    topics = NodeTopics("coop").task("nest")
    bundle = new_bundle(tmp_path / "bundle", name="champion", task="nest")
    capture = FrameStore(tmp_path / "capture")
    random = np.random.default_rng(7)
    sent: list[bytes] = []
    for number in range(REQUESTS):
        picture = encode_png(random.integers(0, 255, (48, 64, 3), dtype=np.uint8))
        request = Request(
            timestamp=number,
            message_id=new_id(number, b"m" * 10),
            request_id=f"{number:032x}",
            return_address=topics.results("cam"),
            deadline_ms=60_000,
            issued=Issued(boot="b" * 32, seq=number, monotonic_ns=number),
            input=Input(frame=capture.put(picture, width=64, height=48)),
        )
        sent.append(encode(request))

    async def main() -> None:
        broker = MemoryBroker()
        stop = asyncio.Event()
        heard: asyncio.Queue[Any] = asyncio.Queue()

        def hear(delivery: Delivery) -> None:
            heard.put_nowait(decode(delivery.payload))
            delivery.ack()

        bus = MemoryBus(broker, "test")
        for topic in (topics.receipts, topics.all_scores, topics.all_model_states, topics.device.all_roles):
            bus.subscribe(topic, hear)
        await bus.start()
        common: dict[str, Any] = {"clock": CLOCK, "node": "coop", "session": 1}
        with Archive(tmp_path / "archive") as archive:
            async with asyncio.TaskGroup() as group:
                group.create_task(Decoy(MemoryBus(broker, "decoy"), topics, archive, capture, **common).run(stop))
                scaffold = Scaffold(MemoryBus(broker, "model"), topics, "champion", bundle, capture, **common)
                group.create_task(scaffold.run(stop))
                ready = 0
                while ready < 2:
                    message = await heard.get()
                    ready += isinstance(message, RoleState | ModelState) and message.state == "ready"
                for number, payload in enumerate(sent):  # one at a time: a model that is behind may decline
                    bus.publish(topics.input, payload)
                    seen: set[type] = set()
                    while seen != {Receipt, Score}:
                        message = await heard.get()
                        if isinstance(message, Receipt | Score) and message.request_id == f"{number:032x}":
                            seen.add(type(message))
                stop.set()
        await bus.stop()

    run(main(), timeout=60)
    for path in list(capture):
        path.unlink()  # capture's house-keeping: the archive must do without it
    with ArchiveReader(tmp_path / "archive") as reader:
        assert [item.payload for item in reader.inputs()] == sent
        report = replay(reader, bundle)
        cells = [row.cells["champion", bundle.manifest.version] for row in reader.matrix()]
        scores = reader.scores(f"{number:032x}" for number in range(REQUESTS))
    assert (report.compared, report.identical) == (len(scores), len(scores))
    assert len(scores) >= REQUESTS - 1  # the last score may not have reached the decoy when it was stopped
    assert all(cell.saw_archived_bytes for cell in cells if cell.status == "answered")
    assert scores[0].saw == hashlib.sha256(sent[0]).hexdigest()
