"""What traces cost: per span recorded, per request that is not traced, and what the ring keeps.

"Recorded" is all that a component does for a trace on its own thread: reading the clock, building the spans, encoding
the message and handing it to the bus of a real connection. What the broker and the monitor do with it is theirs.
"""

import asyncio
import gc
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from report import Outcome, Say, at_most, percentile

from roost_broker.clock import SECOND, SystemClock
from roost_broker.ids import new_id
from roost_broker.messages import Diagnostics, Trace, decode, encode
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_broker.settings import BrokerSettings
from roost_broker.topics import NodeTopics
from roost_broker.tracing import Tracer, span
from roost_rendezvous.traces.knit import knit
from roost_rendezvous.traces.ring import OVERHEAD, Part, TraceRing
from roost_rendezvous.traces.settings import TraceSettings
from roost_rendezvous.traces.store import TraceStore

CLOCK = SystemClock()
TOPICS = NodeTopics("bench").task("nest")
STEPS = ("wait", "prepare", "evaluate", "publish")
RING_BYTES = 16_000_000


def run(quick: bool, say: Say) -> Outcome:
    """See the module."""
    rounds, each = (5, 400) if quick else (15, 1_000)
    say("the ring, filled three times over")  # first: memory that others have given back would hide its growth
    ring = _ring(1 if quick else 3)
    say("a request that is not traced")
    untraced = {name: _untraced(share, asks) for name, share, asks in _CASES}
    say("spans recorded on a real connection")
    with tempfile.TemporaryDirectory() as folder, PrivateBroker(Path(folder) / "broker") as broker:
        recorded = asyncio.run(_recorded(broker.port, rounds, each))
    say("knitting and storing")
    monitor = _monitor(500 if quick else 3_000)
    span_us, worst_off = percentile(recorded, 0.5), max(untraced.values())
    outcome = Outcome(
        data={
            "span_us": {"p50": span_us, "p99": percentile(recorded, 0.99), "spans_per_trace": len(STEPS)},
            "untraced_us": untraced,
            "ring": ring,
            "monitor": monitor,
        }
    )
    outcome.goals += [
        at_most("G17 span", "a span recorded", "µs", round(span_us, 2), 20),
        at_most("G17 off", "a request that is not traced", "µs", round(worst_off, 3), 1),
        at_most("G17 ring", "bytes the process grows by with a full ring", "MB", ring["grown_mb"], 16),
    ]
    outcome.lines += [
        f"span recorded: {span_us:.2f} µs (p50 of {rounds} rounds of {each} traces of {len(STEPS)} spans)"
    ]
    outcome.lines += [f"not traced, {name}: {cost:.3f} µs" for name, cost in untraced.items()]
    outcome.lines += [
        f"ring of {RING_BYTES / 1e6:.0f} MB: {ring['requests']} requests, counted {ring['counted_mb']} MB, "
        f"process grew by {ring['grown_mb']} MB, {ring['part_us']} µs a message",
        f"monitor: knit {monitor['knit_us']} µs, store {monitor['store_us']} µs a request, "
        f"{monitor['stored_bytes']} bytes a request on the card",
    ]
    return outcome


_CASES = (
    ("share 0", 0.0, False),
    ("share 0.01, not in it", 0.01, False),
    ("share 0, asks where it may not", 0.0, True),
)


def _untraced(share: float, asks: bool) -> float:
    """Microseconds for one `wants` that says no; the best of several rounds, with the loop's own cost taken off."""
    bus: Any = None  # never spoken to
    tracer = Tracer(bus, TOPICS, "bench", CLOCK, node="bench", share=share, on_demand=False)
    wanted = Diagnostics(trace=True) if asks else None
    ids = [one for one in (new_id(time.time_ns()) for _ in range(3_000)) if not tracer.wants(one, None)]
    best = _best(lambda: [tracer.wants(one, wanted) for one in ids])
    empty = _best(lambda: [one for one in ids])  # noqa: C416 — the loop without the call
    return round((best - empty) / len(ids) / 1_000, 3)


def _best(work: Callable[[], object]) -> int:
    took = []
    for _ in range(15):
        started = time.perf_counter_ns()
        work()
        took.append(time.perf_counter_ns() - started)
    return min(took)


async def _recorded(port: int, rounds: int, each: int) -> list[float]:
    """Microseconds for one span, one value a round."""
    bus = MqttBus(BrokerSettings(port=port, max_queued=1_000_000), "bench-tracer")
    await bus.start()
    tracer = Tracer(bus, TOPICS, "model bench", CLOCK, node="bench", share=1.0, on_demand=False)
    found = []
    for _ in range(rounds):
        ids = [new_id(time.time_ns()) for _ in range(each)]
        started = time.perf_counter_ns()
        for request_id in ids:
            tracer.wants(request_id, None)
            spans = [span(name, CLOCK.monotonic_ns(), CLOCK.monotonic_ns(), {"batch": "1"}) for name in STEPS]
            tracer.tell(request_id, None, spans)
        found.append((time.perf_counter_ns() - started) / each / len(STEPS) / 1_000)
        last = bus.publish(TOPICS.traces, b"{}")
        await last  # the wire is empty again
    await bus.stop(forget=True)
    return found


def _trace(request_id: str, component: str) -> Trace:
    now = CLOCK.monotonic_ns()
    kept: list[bytes] = []

    class Keep:
        connected = True

        def publish(self, _topic: str, payload: bytes, *, qos: int) -> None:
            kept.append(payload)

    bus: Any = Keep()
    tracer = Tracer(bus, TOPICS, component, CLOCK, node="bench", share=1.0, on_demand=False)
    tracer.tell(
        request_id, f"00-{request_id}-{request_id[16:]}-01", [span(name, now, now + 1_000_000) for name in STEPS]
    )
    message = decode(kept[0])
    assert isinstance(message, Trace)
    return message


_COMPONENTS = ("capture-nest", "injector", "rendezvous", "model champion", "model fast", "model canary", "decoy")


def _ring(times: int) -> dict[str, float | None]:
    """Fill the largest ring that settings allow, several times over."""
    gc.collect()
    before = _private_mb()
    ring = TraceRing(max_bytes=RING_BYTES, max_requests=100_000, settle_ns=15 * SECOND)
    bytes_of = {name: len(encode(_trace(new_id(1), name))) for name in _COMPONENTS}
    needed = times * RING_BYTES // sum(size + OVERHEAD for size in bytes_of.values())
    now, took, parts = 0, 0, 0
    for _ in range(needed):
        request_id = new_id(time.time_ns())
        made = [
            Part(request_id, "nest", new_id(time.time_ns()), random.randbytes(size), True) for size in bytes_of.values()
        ]
        now += SECOND // 10
        started = time.perf_counter_ns()
        for part in made:
            ring.handle(part, now)
        ring.expire(now)
        ring.fresh()
        took += time.perf_counter_ns() - started
        parts += len(made)
    gc.collect()
    return {
        "requests": len(ring),
        "counted_mb": round(ring.bytes / 1e6, 2),
        "grown_mb": None if before is None else round((_private_mb() or 0) - before, 2),
        "part_us": round(took / parts / 1_000, 2),
    }


def _private_mb() -> float | None:
    """Memory that belongs to this process alone, in MB (10^6 bytes); None where nobody tells."""
    if not sys.platform.startswith("linux"):
        return None
    text = Path(f"/proc/{os.getpid()}/smaps_rollup").read_text(encoding="ascii")
    lines = [line.split() for line in text.splitlines()]
    return sum(int(words[1]) * 1024 for words in lines if words[0] in ("Private_Dirty:", "Private_Clean:")) / 1e6


def _monitor(count: int) -> dict[str, float]:
    """What the monitor does with each traced request."""
    stories = [
        (request_id, {new_id(time.time_ns()): encode(_trace(request_id, name)) for name in _COMPONENTS})
        for request_id in (new_id(time.time_ns()) for _ in range(count))
    ]
    started = time.perf_counter_ns()
    for request_id, parts in stories:
        knit(request_id, map(decode, parts.values()))
    knitted = time.perf_counter_ns() - started
    with tempfile.TemporaryDirectory() as folder:
        store = TraceStore(Path(folder) / "traces.db", TraceSettings())
        started = time.perf_counter_ns()
        for first in range(0, count, 50):
            with store.transaction():
                for request_id, parts in stories[first : first + 50]:
                    store.put(request_id, "nest", 1, parts)
        stored = time.perf_counter_ns() - started
        store.close()
        size = (Path(folder) / "traces.db").stat().st_size
    return {
        "knit_us": round(knitted / count / 1_000, 1),
        "store_us": round(stored / count / 1_000, 1),
        "stored_bytes": round(size / count),
    }
