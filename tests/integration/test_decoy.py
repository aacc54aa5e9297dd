"""The decoy over the memory bus and over a real Mosquitto: the same circumstances, the same outcomes."""

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from roost_broker.bus import Bus, Delivery, Will
from roost_broker.clock import SystemClock
from roost_broker.errors import Malformed
from roost_broker.frames import FrameStore
from roost_broker.ids import new_id
from roost_broker.memory import MemoryBroker, MemoryBus
from roost_broker.messages import (
    Answer,
    DeadLetter,
    Declined,
    FrameRef,
    Input,
    Issued,
    Output,
    Receipt,
    Request,
    Result,
    RoleState,
    Score,
    Token,
    decode,
    encode,
)
from roost_broker.mqtt import MqttBus
from roost_broker.presence import role_will
from roost_broker.topics import NodeTopics, TaskTopics
from roost_models.archive.reading import ArchiveReader
from roost_models.archive.settings import ArchiveSettings
from roost_models.archive.writing import Archive, Item, Written
from roost_models.decoy import Decoy

MakeBus: TypeAlias = Callable[..., Bus]
CLOCK = SystemClock()


@pytest.fixture(params=["memory", pytest.param("mosquitto", marks=pytest.mark.broker)])
def make_bus(request: pytest.FixtureRequest) -> MakeBus:
    if request.param == "memory":
        broker = MemoryBroker()
        return lambda name, will=None: MemoryBus(broker, name, will=will)
    settings = request.getfixturevalue("mosquitto").settings()
    return lambda name, will=None: MqttBus(settings, name, will=will)


@pytest.fixture
def topics(request: pytest.FixtureRequest) -> TaskTopics:
    node = hashlib.sha256(request.node.name.encode()).hexdigest()[:12]  # one broker serves all tests
    return NodeTopics(f"decoy-{node}").task("nest")


def request_payload(number: int, frame: FrameRef | None = None, attempt: int = 1) -> bytes:
    return encode(
        Request(
            timestamp=number,
            message_id=new_id(number, attempt.to_bytes(10, "big")),
            request_id=f"{number:032x}",
            return_address="roost/x/nest/results/cam",
            deadline_ms=2000,
            issued=Issued(boot="b" * 32, seq=number, monotonic_ns=number, attempt=attempt),
            input=Input(frame=frame, values=None if frame else {"n": number}),
        )
    )


class Listener:
    """Publishes as capture and models do, and keeps all it hears."""

    def __init__(self, bus: Bus, topics: TaskTopics) -> None:
        self.bus = bus
        self.heard: list[Any] = []
        self._changed = asyncio.Condition()
        self._topics = topics
        bus.subscribe(topics.receipts, self._hear)
        bus.subscribe(topics.all_scores, self._hear)
        bus.subscribe(topics.deadletter, self._hear)
        bus.subscribe(topics.device.all_roles, self._hear)

    def _hear(self, delivery: Delivery) -> None:
        with suppress(Malformed):  # some tests publish rubbish on purpose
            self.heard.append(decode(delivery.payload))
        delivery.ack()
        self._nudge = asyncio.ensure_future(self._tell())

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def of(self, kind: type[Any]) -> list[Any]:
        return [message for message in self.heard if isinstance(message, kind)]

    async def until(self, holds: Callable[[], bool]) -> None:
        async with self._changed:
            await self._changed.wait_for(holds)


@asynccontextmanager
async def decoy_at_work(
    make_bus: MakeBus, topics: TaskTopics, archive: Archive, frames: FrameStore
) -> AsyncIterator[Listener]:
    name = f"{topics.device.node}-decoy"
    listener = Listener(make_bus(f"{topics.device.node}-test"), topics)
    await listener.bus.start()
    will: Will = role_will(topics.device, "decoy-nest", 1, CLOCK)
    decoy = Decoy(make_bus(name, will=will), topics, archive, frames, clock=CLOCK, node=topics.device.node, session=1)
    stop = asyncio.Event()
    task = asyncio.ensure_future(decoy.run(stop))
    await listener.until(lambda: bool([s for s in listener.of(RoleState) if s.state == "ready"]))
    yield listener
    stop.set()
    await task
    await listener.until(lambda: listener.of(RoleState)[-1].state == "stopped")
    await listener.bus.stop()


def test_every_request_is_archived_to_the_byte_and_the_decoy_scores_nothing(
    make_bus: MakeBus, topics: TaskTopics, tmp_path: Path, run: Any
) -> None:
    payloads = [request_payload(number) for number in range(200)]

    async def main() -> None:
        with Archive(tmp_path / "archive") as archive:
            async with decoy_at_work(make_bus, topics, archive, FrameStore(tmp_path / "frames")) as listener:
                for payload in payloads:
                    listener.bus.publish(topics.input, payload)
                await listener.until(lambda: len(listener.of(Receipt)) == len(payloads))
            assert [item.payload for item in archive.inputs()] == payloads
            assert {r.saw for r in listener.of(Receipt)} == {hashlib.sha256(p).hexdigest() for p in payloads}
            assert not any(r.duplicate for r in listener.of(Receipt))
            assert listener.of(Score) == listener.of(Declined) == []
            assert archive.stats().scores == 0

    run(main())


def test_a_receipt_says_that_the_input_is_in_the_archive_already(
    make_bus: MakeBus, topics: TaskTopics, tmp_path: Path, run: Any
) -> None:
    async def main() -> None:
        with Archive(tmp_path / "archive") as archive:
            async with decoy_at_work(make_bus, topics, archive, FrameStore(tmp_path / "frames")) as listener:
                for number in range(5):
                    listener.bus.publish(topics.input, request_payload(number))
                    await listener.until(lambda wanted=number: len(listener.of(Receipt)) == wanted + 1)
                    with ArchiveReader(tmp_path / "archive") as reader:
                        assert reader.stats().inputs == number + 1

    run(main())


def test_a_request_published_again_is_archived_once_and_gets_its_receipt_again(
    make_bus: MakeBus, topics: TaskTopics, tmp_path: Path, run: Any
) -> None:
    async def main() -> None:
        with Archive(tmp_path / "archive") as archive:
            async with decoy_at_work(make_bus, topics, archive, FrameStore(tmp_path / "frames")) as listener:
                listener.bus.publish(topics.input, request_payload(1))
                listener.bus.publish(topics.input, request_payload(1))
                listener.bus.publish(topics.input, request_payload(1, attempt=2))
                await listener.until(lambda: len(listener.of(Receipt)) == 3)
            assert [receipt.duplicate for receipt in listener.of(Receipt)] == [False, True, True]
            assert (archive.stats().inputs, archive.stats().variants) == (1, 1)

    run(main())


def test_scores_declines_and_results_of_the_task_are_archived_beside_the_inputs(
    make_bus: MakeBus, topics: TaskTopics, tmp_path: Path, run: Any
) -> None:
    request_id = f"{1:032x}"
    score = Score(
        timestamp=1, message_id="1" * 32, request_id=request_id, model="fast", version="1",
        outputs=[Output(label="hen", score=0.1 + 0.2)],
    )  # fmt: skip
    declined = Declined(
        timestamp=1, message_id="2" * 32, request_id=request_id, model="champion", version="1", reason="behind"
    )
    result = Result(
        timestamp=1, message_id="3" * 32, request_id=request_id, cause="fallback", elapsed_ms=5.0, sla_ms=2000,
        answer=Answer(model="fast", version="1", label="hen", score=0.1 + 0.2),
    )  # fmt: skip

    async def main() -> None:
        with Archive(tmp_path / "archive") as archive:
            async with decoy_at_work(make_bus, topics, archive, FrameStore(tmp_path / "frames")) as listener:
                listener.bus.publish(topics.scores("fast"), encode(score))  # before its input
                listener.bus.publish(topics.scores("champion"), encode(declined))
                listener.bus.publish(topics.scores("canary"), encode(score))  # in another model's name
                listener.bus.publish(topics.scores("fast"), b"no score")
                listener.bus.publish(topics.results("cam"), encode(result))
                listener.bus.publish(topics.input, request_payload(1))
                await listener.until(lambda: len(listener.of(Receipt)) == 1)
            stats = archive.stats()
            assert (stats.inputs, stats.scores, stats.declines, stats.results_by_cause) == (1, 1, 1, {"fallback": 1})
            (row,) = archive.matrix()
            assert row.cells["fast", "1"].outputs == (Output(label="hen", score=0.1 + 0.2),)
            assert row.cells["champion", "1"].reason == "behind"
            final = listener.of(RoleState)[-1].counts
            assert (final["score-on-other-topic"], final["score-unreadable"]) == (1, 1)
            assert listener.of(DeadLetter) == []  # that is the rendezvous' to say

    run(main())


def test_a_token_of_a_hand_over_is_neither_archived_nor_a_dead_letter(
    make_bus: MakeBus, topics: TaskTopics, tmp_path: Path, run: Any
) -> None:
    token = Token(
        timestamp=1,
        message_id=f"{1:032x}",
        kind="transition",
        component="rendezvous",
        handover_id=f"{2:032x}",
        old="rendezvous-nest",
        new="rendezvous-nest-b",
    )

    async def main() -> None:
        with Archive(tmp_path / "archive") as archive:
            async with decoy_at_work(make_bus, topics, archive, FrameStore(tmp_path / "frames")) as listener:
                await listener.bus.publish(topics.input, encode(token))
                await listener.bus.publish(topics.scores("champion"), encode(token))
                await listener.bus.publish(topics.input, request_payload(1))
                await listener.until(lambda: bool(listener.of(Receipt)))
            assert listener.of(DeadLetter) == []
            assert [item.payload for item in archive.inputs()] == [request_payload(1)]

    run(main())


def test_an_input_that_nobody_can_read_becomes_one_dead_letter_and_the_next_is_archived(
    make_bus: MakeBus, topics: TaskTopics, tmp_path: Path, run: Any
) -> None:
    async def main() -> None:
        with Archive(tmp_path / "archive") as archive:
            async with decoy_at_work(make_bus, topics, archive, FrameStore(tmp_path / "frames")) as listener:
                listener.bus.publish(topics.input, b"{not json")
                listener.bus.publish(topics.input, request_payload(1))
                await listener.until(lambda: bool(listener.of(Receipt) and listener.of(DeadLetter)))
            (letter,) = listener.of(DeadLetter)
            assert (letter.reader, letter.topic) == ("decoy", topics.input)
            assert archive.stats().inputs == 1

    run(main())


def test_frames_are_adopted_and_a_missing_one_costs_no_receipt(
    make_bus: MakeBus, topics: TaskTopics, tmp_path: Path, run: Any
) -> None:
    frames = FrameStore(tmp_path / "frames")
    kept = frames.put(b"a hen" * 300, width=8, height=8)
    lost = frames.put(b"a jay" * 300, width=8, height=8)
    frames.remove(lost.sha256)

    async def main() -> None:
        with Archive(tmp_path / "archive") as archive:
            async with decoy_at_work(make_bus, topics, archive, frames) as listener:
                listener.bus.publish(topics.input, request_payload(1, kept))
                listener.bus.publish(topics.input, request_payload(2, lost))
                await listener.until(lambda: len(listener.of(Receipt)) == 2)
            assert archive.frames.read(kept) == b"a hen" * 300
            assert archive.stats().inputs_without_frame == {"missing": 1}
            assert listener.of(RoleState)[-1].counts["frame-missing"] == 1

    run(main())


def test_frames_beyond_the_budget_go_while_the_decoy_works(
    make_bus: MakeBus, topics: TaskTopics, tmp_path: Path, run: Any
) -> None:
    frames = FrameStore(tmp_path / "frames")
    refs = [frames.put(bytes([number]) * 1000, width=8, height=8) for number in range(30)]
    settings = ArchiveSettings(budget_mb=0.01, slice_frames=3)

    async def main() -> None:
        with Archive(tmp_path / "archive", settings=settings) as archive:
            async with decoy_at_work(make_bus, topics, archive, frames) as listener:
                for number, ref in enumerate(refs):
                    listener.bus.publish(topics.input, request_payload(number, ref))
                await listener.until(lambda: len(listener.of(Receipt)) == 30)
            while archive.enforce_budget(1).more:
                pass
            stats = archive.stats()
            assert stats.inputs == 30
            assert stats.frame_bytes <= 10_000
            assert archive.frames.path(refs[-1].sha256).exists()

    run(main())


def test_inputs_that_arrive_while_the_decoy_is_away_are_archived_when_it_is_back(
    make_bus: MakeBus, topics: TaskTopics, tmp_path: Path, run: Any
) -> None:
    frames = FrameStore(tmp_path / "frames")

    async def main() -> None:
        with Archive(tmp_path / "archive") as archive:
            async with decoy_at_work(make_bus, topics, archive, frames) as listener:
                listener.bus.publish(topics.input, request_payload(1))
                await listener.until(lambda: len(listener.of(Receipt)) == 1)
            publisher = make_bus(f"{topics.device.node}-capture")
            await publisher.start()
            for number in (2, 3):
                await publisher.publish(topics.input, request_payload(number))
            await publisher.stop()
            async with decoy_at_work(make_bus, topics, archive, frames) as listener:
                await listener.until(lambda: len(listener.of(Receipt)) >= 2)
            assert [item.seq for item in archive.inputs()] == [1, 2, 3]

    run(main())


def test_a_connection_that_breaks_again_and_again_loses_no_input_and_doubles_none(
    topics: TaskTopics, tmp_path: Path, run: Any
) -> None:
    broker = MemoryBroker()

    def make_bus(name: str, will: Will | None = None) -> Bus:
        return MemoryBus(broker, name, will=will, receive_maximum=8)

    async def main() -> None:
        with Archive(tmp_path / "archive") as archive:
            async with decoy_at_work(make_bus, topics, archive, FrameStore(tmp_path / "frames")) as listener:
                for number in range(60):
                    await listener.bus.publish(topics.input, request_payload(number))
                    if number % 20 == 10:
                        broker.cut(f"{topics.device.node}-decoy")
                everything = {f"{number:032x}" for number in range(60)}
                await listener.until(lambda: {r.request_id for r in listener.of(Receipt)} == everything)
            assert [item.seq for item in archive.inputs()] == list(range(60))
            assert broker.waiting(f"{topics.device.node}-decoy") == 0

    run(main())


def test_when_the_database_fails_the_decoy_ends_loudly_and_gives_no_receipt(
    make_bus: MakeBus, topics: TaskTopics, tmp_path: Path, run: Any
) -> None:
    async def main() -> None:
        archive = Archive(tmp_path / "archive")
        listener = Listener(make_bus(f"{topics.device.node}-test"), topics)
        await listener.bus.start()
        bus = make_bus(f"{topics.device.node}-decoy")
        decoy = Decoy(bus, topics, archive, FrameStore(tmp_path / "f"), clock=CLOCK, node=topics.device.node, session=1)
        task = asyncio.ensure_future(decoy.run(asyncio.Event()))
        await listener.until(lambda: any(s.state == "ready" for s in listener.of(RoleState)))
        archive._db.execute("PRAGMA max_page_count = 1")  # as a full medium: SQLite says SQLITE_FULL
        listener.bus.publish(
            topics.input, request_payload(1, FrameRef(sha256="0" * 64, bytes=1, path="x", width=1, height=1))
        )
        for number in range(2, 400):
            listener.bus.publish(topics.input, request_payload(number))
        with pytest.raises(Exception, match="cannot grow"):
            await task
        await listener.until(lambda: listener.of(RoleState)[-1].state == "failed")
        with_receipt = {receipt.request_id for receipt in listener.of(Receipt)}
        assert {item.request_id for item in archive.inputs()} >= with_receipt
        assert len(with_receipt) < 399
        archive.close()
        await listener.bus.stop()

    run(main())


class GatedArchive(Archive):
    """An archive on a slow card: it writes when it is let."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reached, self.gate = threading.Event(), threading.Event()

    def write(self, items: Sequence[Item], source: FrameStore | None = None) -> tuple[Written, ...]:
        self.reached.set()
        self.gate.wait()
        return super().write(items, source)


def test_told_to_stop_while_receipts_wait_for_an_absent_broker_it_stops(
    topics: TaskTopics, tmp_path: Path, run: Any
) -> None:
    """1. Inputs are written slowly. 2. The broker goes. 3. More receipts than the bus queues are due. 4. Stop."""
    memory = MemoryBroker()

    async def main() -> None:
        source, bus = MemoryBus(memory, "source"), MemoryBus(memory, "decoy", max_queued=3)
        await source.start()
        with GatedArchive(tmp_path / "archive") as archive:
            frames = FrameStore(tmp_path / "frames")
            decoy = Decoy(bus, topics, archive, frames, clock=CLOCK, node=topics.device.node, session=1)
            stop = asyncio.Event()
            running = asyncio.ensure_future(decoy.run(stop))
            while decoy.counts["request"] < 4:
                if not archive.reached.is_set():
                    source.publish(topics.input, request_payload(1))
                    await asyncio.to_thread(archive.reached.wait, 0.05)
                elif not archive.gate.is_set():
                    for number in range(2, 9):
                        await source.publish(topics.input, request_payload(number))
                    memory.cut("decoy", hold=True)
                    archive.gate.set()
                await asyncio.sleep(0)
            stop.set()
            async with asyncio.timeout(60):
                await running
            assert decoy.counts["receipt-not-sent"]
        await source.stop()

    run(main())
