"""The monitor on a bus in memory, with a real store."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from pathlib import Path

from roost_broker.bus import Delivery
from roost_broker.clock import MS, SystemClock, boot_id
from roost_broker.errors import Malformed
from roost_broker.ids import new_id
from roost_broker.memory import MemoryBroker, MemoryBus
from roost_broker.messages import (
    Answer,
    DeadLetter,
    Message,
    ModelOutcome,
    Output,
    Result,
    RoleState,
    Score,
    decode,
    encode,
)
from roost_broker.topics import NodeTopics
from roost_broker.tracing import Tracer, span
from roost_rendezvous.monitor import Monitor
from roost_rendezvous.traces.settings import TraceSettings
from roost_rendezvous.traces.store import StoredTrace, TraceReader

DEVICE = NodeTopics("coop-1")
NEST = DEVICE.task("nest")
CLOCK = SystemClock()
QUICK = TraceSettings(settle_ms=100, flush_ms=10)


class Nest:
    """A monitor with somebody who speaks and listens beside it."""

    def __init__(self, folder: Path, settings: TraceSettings = QUICK) -> None:
        self.path = folder / "traces.db"
        self.broker = MemoryBroker(clock=CLOCK)
        self.bus = MemoryBus(self.broker, "speaker")
        self.heard: list[Message] = []
        self._news = asyncio.Event()
        for topic in (DEVICE.all_roles, NEST.deadletter):
            self.bus.subscribe(topic, self._take)
        bus = MemoryBus(self.broker, "monitor")
        self.monitor = Monitor(bus, [NEST], self.path, clock=CLOCK, node="coop-1", session=1, settings=settings)

    def _take(self, delivery: Delivery) -> None:
        with suppress(Malformed):
            self.heard.append(decode(delivery.payload))
        delivery.ack()
        self._news.set()

    async def until(self, condition: Callable[[dict[str, int]], object]) -> None:
        """Until the counts that the monitor publishes are so."""
        while not any(isinstance(one, RoleState) and condition(one.counts) for one in self.heard):
            self._news.clear()
            await self._news.wait()

    def trace(self, request_id: str, component: str, ago_ms: int = 0, name: str = "wait", lasts_ms: int = 1) -> None:
        now = CLOCK.monotonic_ns() - ago_ms * MS
        tracer = Tracer(self.bus, NEST, component, CLOCK, node="coop-1", share=1.0, on_demand=False, boot=boot_id())
        tracer.tell(request_id, None, [span(name, now, now + lasts_ms * MS)])

    def result(self, request_id: str, *pending: str, wall_ms: int = 0) -> None:
        said = Result(
            timestamp=wall_ms or CLOCK.wall_ns() // MS,
            message_id=new_id(CLOCK.wall_ns()),
            request_id=request_id,
            cause="preferred",
            answer=Answer(model="quick", version="1", label="hen", score=0.5),
            elapsed_ms=1,
            sla_ms=2000,
            models=[ModelOutcome(model=model, status="pending") for model in pending],
        )
        self.bus.publish(NEST.results("door"), encode(said))

    def score(self, request_id: str, model: str, *, wall_ms: int, compute_ms: float) -> None:
        outputs = [Output(label=f"label-{n}", score=0.5) for n in range(1000)]
        said = Score(
            timestamp=wall_ms,
            message_id=new_id(CLOCK.wall_ns()),
            request_id=request_id,
            model=model,
            version="1",
            outputs=outputs,
            compute_ms=compute_ms,
        )
        self.bus.publish(NEST.scores(model), encode(said))

    def run(self, story: Callable[["Nest"], Awaitable[None]]) -> None:
        async def main() -> None:
            stop = asyncio.Event()
            running = asyncio.ensure_future(self.monitor.run(stop))
            await self.bus.start()
            async with asyncio.timeout(60):
                await self.until(lambda _: any(isinstance(s, RoleState) and s.state == "ready" for s in self.heard))
                await story(self)
            stop.set()
            await running
            await self.bus.stop()

        asyncio.run(main())

    def stored(self) -> list[StoredTrace]:
        reader = TraceReader(self.path)
        try:
            return reader.newest(100)
        finally:
            reader.close()


def an_id() -> str:
    return new_id(CLOCK.wall_ns())


def test_what_is_said_of_a_traced_request_is_stored_together_without_pictures_and_long_lists(tmp_path: Path) -> None:
    nest, request_id = Nest(tmp_path), an_id()

    async def story(nest: Nest) -> None:
        nest.trace(request_id, "injector")
        nest.trace(request_id, "decoy")
        nest.result(request_id)
        nest.score(request_id, "quick", wall_ms=1, compute_ms=1)
        await nest.until(lambda counts: counts.get("settled") == 1)

    nest.run(story)
    [stored] = nest.stored()
    assert stored.request_id == request_id
    assert sorted(type(one).__name__ for one in stored.messages) == ["Result", "Score", "Trace", "Trace"]
    [score] = [one for one in stored.messages if isinstance(one, Score)]
    assert len(score.outputs) == 1


def test_an_untraced_request_is_not_stored_but_who_ran_on_is_counted(tmp_path: Path) -> None:
    nest, request_id = Nest(tmp_path), an_id()

    async def story(nest: Nest) -> None:
        nest.result(request_id, "slow", wall_ms=10_000)
        nest.score(request_id, "slow", wall_ms=10_300, compute_ms=5_000)
        await nest.until(lambda counts: counts.get("ran-on nest/slow") == 1)

    nest.run(story)
    assert nest.monitor.counts["ran-on-ms nest/slow"] == 300
    assert nest.monitor.counts["settled"] == 0
    assert nest.stored() == []


def test_a_model_that_is_told_of_long_after_its_request_had_settled_is_counted_once_with_all_it_took(
    tmp_path: Path,
) -> None:
    nest, request_id = Nest(tmp_path), an_id()

    async def story(nest: Nest) -> None:
        nest.trace(request_id, "rendezvous", ago_ms=5000, lasts_ms=100)
        await nest.until(lambda counts: counts.get("settled") == 1)
        nest.trace(request_id, "model slow", ago_ms=4900, name="evaluate", lasts_ms=400)
        await nest.until(lambda counts: counts.get("ran-on nest/slow") == 1)
        nest.trace(request_id, "decoy")
        await nest.until(lambda counts: counts.get("settled") == 3)

    nest.run(story)
    assert 395 <= nest.monitor.counts["ran-on-ms nest/slow"] <= 405
    assert nest.monitor.counts["ran-on nest/slow"] == 1
    assert len(nest.stored()[0].messages) == 3


def test_a_restarted_monitor_adds_to_what_is_stored(tmp_path: Path) -> None:
    request_id = an_id()

    async def first(nest: Nest) -> None:
        nest.trace(request_id, "injector")
        await nest.until(lambda counts: counts.get("stored"))

    async def second(nest: Nest) -> None:
        nest.trace(request_id, "decoy")
        await nest.until(lambda counts: counts.get("stored"))

    Nest(tmp_path).run(first)
    nest = Nest(tmp_path)
    nest.run(second)
    [stored] = nest.stored()
    assert [getattr(one, "component", "") for one in stored.messages] == ["injector", "decoy"]


def test_what_came_just_before_the_end_is_stored(tmp_path: Path) -> None:
    nest, request_id = Nest(tmp_path, TraceSettings(settle_ms=60_000, flush_ms=60_000)), an_id()

    async def story(nest: Nest) -> None:
        nest.trace(request_id, "injector")
        nest.bus.publish(NEST.traces, b"{rubbish")  # comes behind the trace, and its dead letter is heard
        while not any(isinstance(one, DeadLetter) for one in nest.heard):
            nest._news.clear()
            await nest._news.wait()

    nest.run(story)
    assert [one.request_id for one in nest.stored()] == [request_id]


def test_rubbish_among_traces_goes_to_the_dead_letters_and_elsewhere_is_left_to_its_owners(tmp_path: Path) -> None:
    nest = Nest(tmp_path)

    async def story(nest: Nest) -> None:
        nest.bus.publish(NEST.traces, b"{rubbish")
        nest.bus.publish(NEST.scores("quick"), b"{rubbish")
        nest.bus.publish(NEST.results("door"), b"{rubbish")
        nest.trace(an_id(), "injector")
        await nest.until(lambda counts: counts.get("stored") and counts.get("dead-letters"))

    nest.run(story)
    assert [one.topic for one in nest.heard if isinstance(one, DeadLetter)] == [NEST.traces]


def test_a_store_that_cannot_be_written_costs_the_stored_traces_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "traces.db").mkdir()
    nest, request_id = Nest(tmp_path), an_id()

    async def story(nest: Nest) -> None:
        nest.trace(request_id, "injector")
        nest.result(request_id, "slow", wall_ms=10_000)
        nest.score(request_id, "slow", wall_ms=10_300, compute_ms=5_000)
        await nest.until(lambda counts: counts.get("store-failed") and counts.get("ran-on nest/slow"))

    nest.run(story)
    assert nest.monitor.counts["stored"] == 0


def test_a_store_that_is_damaged_while_it_is_used_is_set_aside_and_begun_anew(tmp_path: Path) -> None:
    nest, first, second = Nest(tmp_path), an_id(), an_id()

    async def story(nest: Nest) -> None:
        nest.trace(first, "injector")
        await nest.until(lambda counts: counts.get("stored"))
        with closing(sqlite3.connect(nest.path)) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        nest.path.write_bytes(nest.path.read_bytes()[:100] + b"\xff" * 40_000)
        nest.trace(second, "injector")
        await nest.until(lambda counts: counts.get("store-failed"))
        nest.trace(second, "decoy")
        await nest.until(lambda counts: counts.get("stored", 0) > 1)

    nest.run(story)
    assert [one.request_id for one in nest.stored()] == [second]
    assert nest.path.with_suffix(".damaged").exists()


def test_models_whose_names_are_none_and_ages_of_work_end_nothing(tmp_path: Path) -> None:
    nest, request_id = Nest(tmp_path), an_id()

    async def story(nest: Nest) -> None:
        nest.trace(request_id, "rendezvous", ago_ms=50)
        for number in range(100):
            nest.trace(request_id, f"model {number}" + "é" * 190, name="evaluate")
        nest.trace(request_id, "model slow", name="evaluate", lasts_ms=10**12)
        nest.trace(request_id, "model slow", name="evaluate", lasts_ms=2**63 // MS - 10**9)
        await nest.until(lambda counts: counts.get("ran-on nest/slow"))

    nest.run(story)
    names = [name for name in nest.monitor.counts if name.startswith("ran-on")]
    assert sorted(names) == ["ran-on nest/slow", "ran-on-ms nest/slow"]
    assert nest.monitor.counts["ran-on-ms nest/slow"] == 86_400_000


def test_while_the_card_hangs_no_more_is_held_than_the_ring_may_have(tmp_path: Path) -> None:
    settings = TraceSettings(settle_ms=60_000, flush_ms=10, ring_bytes=100_000)
    nest = Nest(tmp_path, settings)

    async def story(nest: Nest) -> None:
        nest.trace(an_id(), "injector")
        await nest.until(lambda counts: counts.get("stored"))
        with closing(sqlite3.connect(nest.path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")  # the monitor's thread waits
            while not nest.monitor.counts["not-stored"]:
                nest.trace(an_id(), "injector", name="x" * 200)
                await asyncio.sleep(0)
            held = sum(sum(map(len, one.parts.values())) for one in nest.monitor.traces._fresh.values())
            assert held <= 100_000
            other.execute("ROLLBACK")

    nest.run(story)


def test_the_monitor_imports_no_numpy() -> None:
    program = "import sys, roost_rendezvous.monitor; sys.exit('numpy' in sys.modules or 'sqlite_utils' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
