"""What a component says of traced requests, and which requests are traced."""

import asyncio
from collections.abc import Iterator

import pytest

from roost_broker.clock import MS, VirtualClock
from roost_broker.errors import Misuse
from roost_broker.ids import new_id
from roost_broker.memory import MemoryBroker, MemoryBus
from roost_broker.messages import Diagnostics, Input, Provenance, Request, Trace, decode
from roost_broker.topics import NodeTopics
from roost_broker.tracing import MAX_SPANS, Tracer, own_trace_parent, read_trace_parent, span

TOPICS = NodeTopics("coop-1").task("nest")
WALL = 1_800_000_000_000_000_000
ASKS = Diagnostics(trace=True)


def tracer(
    share: float, *, component: str = "decoy", on_demand: bool = False, bus: MemoryBus | None = None, ahead: int = 0
) -> Tracer:
    clock = VirtualClock(monotonic_ns=7_000 * MS + ahead, wall_ns=WALL)
    bus = bus or MemoryBus(MemoryBroker(clock=clock), component)
    return Tracer(bus, TOPICS, component, clock, node="coop-1", share=share, on_demand=on_demand, boot="b" * 32)


def ids(count: int) -> Iterator[str]:
    return (new_id(WALL + number * MS) for number in range(count))


def test_share_0_traces_none_and_share_1_all() -> None:
    none, all_of_them = tracer(0.0), tracer(1.0)
    for request_id in ids(500):
        assert not none.wants(request_id, None)
        assert all_of_them.wants(request_id, None)


def test_every_component_chooses_the_same_requests_and_about_the_share() -> None:
    components = [tracer(0.1, component=name) for name in ("capture-nest", "injector", "rendezvous", "model champion")]
    chosen = [[one.wants(request_id, None) for one in components] for request_id in ids(5_000)]
    assert all(len(set(row)) == 1 for row in chosen)
    assert 0.08 < sum(row[0] for row in chosen) / len(chosen) < 0.12


def test_whoever_is_traced_at_a_small_share_is_traced_at_a_larger_one() -> None:
    small, large = tracer(0.05), tracer(0.3)
    chosen = [request_id for request_id in ids(2_000) if small.wants(request_id, None)]
    assert chosen
    assert all(large.wants(request_id, None) for request_id in chosen)


def test_a_request_that_asks_is_traced_where_that_is_allowed() -> None:
    allowed = tracer(0.0, on_demand=True)
    request_id = next(ids(1))
    assert allowed.wants(request_id, ASKS)
    assert not allowed.wants(request_id, Diagnostics(log_level="debug"))


def test_a_request_that_asks_elsewhere_is_traced_only_when_it_is_in_the_share_anyhow() -> None:
    refusing, tracing_all = tracer(0.0), tracer(1.0)
    request_id = next(ids(1))
    assert not refusing.wants(request_id, ASKS)
    assert tracing_all.wants(request_id, ASKS)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_misuse(share: float) -> None:
    with pytest.raises(Misuse, match="share"):
        tracer(share)


def request(parent: str | None = None) -> Request:
    return Request(
        timestamp=1,
        message_id="1" * 32,
        provenance=Provenance(trace_parent=parent),
        request_id="2" * 32,
        return_address="roost/coop-1/nest/results/door",
        deadline_ms=2000,
        input=Input(),
    )


def published(*, max_queued: int = 1000, times: int = 1, spans: int = 2) -> tuple[list[Trace], Tracer]:
    clock = VirtualClock(monotonic_ns=7_000 * MS, wall_ns=WALL)
    broker, seen = MemoryBroker(clock=clock), list[Trace]()

    async def main() -> Tracer:
        bus, ear = MemoryBus(broker, "decoy", max_queued=max_queued), MemoryBus(broker, "ear")
        ear.subscribe(TOPICS.traces, lambda delivery: seen.append(decode(delivery.payload)))  # type: ignore[arg-type]  # checked below
        await ear.start()
        await bus.start()
        one = tracer(1.0, bus=bus)
        for _ in range(times):
            one.publish(request("parent"), [span("wait", 6_900 * MS + n, 6_950 * MS) for n in range(spans)])
        await asyncio.sleep(0)
        await bus.stop()
        await ear.stop()
        return one

    return seen, asyncio.run(main())


def test_a_trace_says_who_when_and_by_both_clocks_and_keeps_the_trace_parent() -> None:
    [trace], one = published()
    assert (trace.request_id, trace.component, trace.boot) == ("2" * 32, "decoy", "b" * 32)
    assert trace.provenance.trace_parent == "parent"
    [hop] = trace.provenance.path
    assert (hop.node, hop.component) == ("coop-1", "decoy")
    assert trace.timestamp == WALL // MS
    assert hop.at == WALL // MS - 100  # the first step began 100 ms ago
    assert [one.duration_ns for one in trace.spans] == [50 * MS, 50 * MS - 1]
    assert one.counts == {"traces": 1}


def test_without_steps_nothing_is_told_and_beyond_the_bound_the_last_ones_are_left_out() -> None:
    assert published(spans=0)[0] == []
    [trace], _ = published(spans=MAX_SPANS + 1)
    assert len(trace.spans) == MAX_SPANS


def test_a_full_queue_costs_the_trace_and_nothing_else_and_is_counted() -> None:
    seen, one = published(max_queued=1, times=3)
    assert len(seen) == 1
    assert one.counts == {"traces": 1, "traces-dropped": 2}


def test_while_the_broker_is_away_traces_are_dropped_and_take_no_room_in_the_queue() -> None:
    bus = MemoryBus(MemoryBroker(clock=VirtualClock()), "decoy", max_queued=1)
    one = tracer(1.0, bus=bus)

    async def main() -> None:
        one.publish(request(), [span("wait", 0, 1)])
        bus.publish("roost/coop-1/event", b"{}")  # would raise QueueFull
        await bus.start()
        await bus.stop()

    asyncio.run(main())
    assert one.counts == {"traces-dropped": 1}


def test_a_bus_that_was_stopped_costs_the_trace_and_nothing_else() -> None:
    bus = MemoryBus(MemoryBroker(clock=VirtualClock()), "decoy")
    one = tracer(1.0, bus=bus)

    async def main() -> None:
        await bus.start()
        await bus.stop()
        one.publish(request(), [span("wait", 0, 1)])

    asyncio.run(main())
    assert one.counts == {"traces-dropped": 1}


def test_a_step_that_ends_before_it_begins_lasts_no_time_and_empty_attributes_are_left_out() -> None:
    odd = span("wait", 10, 5, {"reason": "", "model": "m" * 300})
    assert (odd.start_ns, odd.duration_ns) == (10, 0)
    assert odd.attributes == {"model": "m" * 200}


def test_a_requests_own_trace_parent_can_be_read_back() -> None:
    request_id = next(ids(1))
    assert read_trace_parent(own_trace_parent(request_id)) == (request_id, request_id[16:])


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "00-" + "a" * 32 + "-" + "b" * 16,
        "01-" + "a" * 32 + "-" + "b" * 16 + "-01",
        "00-" + "A" * 32 + "-" + "b" * 16 + "-01",
        "00-" + "0" * 32 + "-" + "b" * 16 + "-01",
        "00-" + "a" * 32 + "-" + "0" * 16 + "-01",
        "00-" + "a" * 32 + "-" + "b" * 16 + "-01\n",
    ],
)
def test_what_is_no_trace_parent_is_not_taken_for_one(text: str | None) -> None:
    assert read_trace_parent(text) is None
