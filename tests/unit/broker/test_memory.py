"""What the memory bus adds to the contract: a virtual clock, bounds that can be looked at, no real time."""

import asyncio
from collections.abc import Callable
from typing import Any

from roost_broker.bus import Delivery, Will
from roost_broker.clock import SECOND, VirtualClock
from roost_broker.memory import MemoryBroker, MemoryBus


def test_a_message_past_its_expiry_is_not_delivered(run: Callable[..., Any]) -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        broker = MemoryBroker(clock=clock)
        reader, writer = MemoryBus(broker, "reader"), MemoryBus(broker, "writer")
        box: asyncio.Queue[bytes] = asyncio.Queue()
        reader.subscribe("t", lambda delivery: box.put_nowait(delivery.payload))
        await reader.start()
        await writer.start()
        broker.cut("reader", hold=True)
        await writer.publish("t", b"short", expiry_s=5)
        await writer.publish("t", b"long", expiry_s=6)
        clock.advance(5 * SECOND)
        broker.restore("reader")
        assert await box.get() == b"long"
        await reader.stop()
        await writer.stop()

    run(scenario())


def test_what_goes_beyond_a_sessions_bound_is_dropped_and_counted(run: Callable[..., Any]) -> None:
    async def scenario() -> None:
        broker = MemoryBroker(max_queued=3)
        first = MemoryBus(broker, "reader")
        first.subscribe("t", lambda _: None)
        writer = MemoryBus(broker, "writer")
        await first.start()
        await writer.start()
        await first.stop()
        for number in range(5):
            await writer.publish("t", b"%d" % number)
        assert broker.waiting("reader") == 3
        assert broker.dropped == {"reader": 2}
        await writer.stop()

    run(scenario())


def test_a_killed_role_is_simulated_by_a_held_cut_and_a_new_bus_with_its_name(run: Callable[..., Any]) -> None:
    async def scenario() -> None:
        broker = MemoryBroker()
        writer = MemoryBus(broker, "writer")
        await writer.start()
        killed = MemoryBus(broker, "role", will=Will("state", b"gone"))
        held: asyncio.Queue[Delivery] = asyncio.Queue()
        killed.subscribe("t", held.put_nowait)
        await killed.start()
        await writer.publish("t", b"in hand")
        await held.get()
        broker.cut("role", hold=True)
        assert broker.retained("state") == b"gone"
        await writer.publish("t", b"meanwhile")
        broker.restore("role")
        again: asyncio.Queue[Delivery] = asyncio.Queue()
        reborn = MemoryBus(broker, "role")
        reborn.subscribe("t", again.put_nowait)
        await reborn.start()
        first, second = await again.get(), await again.get()
        assert (first.payload, first.redelivered) == (b"in hand", True)
        assert (second.payload, second.redelivered) == (b"meanwhile", False)
        await reborn.stop()
        await writer.stop()

    run(scenario())


def test_a_restart_that_remembers_keeps_queues_and_one_that_forgets_does_not(run: Callable[..., Any]) -> None:
    async def scenario() -> None:
        broker = MemoryBroker()
        away = MemoryBus(broker, "away")
        away.subscribe("t", lambda _: None)
        writer = MemoryBus(broker, "writer")
        await away.start()
        await writer.start()
        await away.stop()
        await writer.publish("t", b"1", retain=True)
        broker.restart()
        assert (broker.waiting("away"), broker.retained("t")) == (1, b"1")
        broker.restart(forget=True)
        assert (broker.waiting("away"), broker.retained("t")) == (0, None)
        await writer.publish("u", b"the writer is back by itself")
        await writer.stop()

    run(scenario())


def test_a_broker_that_dies_speaks_no_wills(run: Callable[..., Any]) -> None:
    async def scenario() -> None:
        broker = MemoryBroker()
        bus = MemoryBus(broker, "role", will=Will("state", b"gone"))
        await bus.start()
        broker.restart()
        assert broker.retained("state") is None
        await bus.publish("t", b"back again")
        broker.cut("role")
        assert broker.retained("state") == b"gone"
        await bus.stop()

    run(scenario())


def test_a_handler_that_answers_itself_for_ever_starves_nobody(run: Callable[..., Any]) -> None:
    async def scenario() -> None:
        broker = MemoryBroker()
        bus, other = MemoryBus(broker, "loop"), MemoryBus(broker, "other")
        rounds = 0

        def again(delivery: Delivery) -> None:
            nonlocal rounds
            rounds += 1
            delivery.ack()
            bus.publish("t", b"")

        bus.subscribe("t", again)
        await bus.start()
        await other.start()
        bus.publish("t", b"")
        for _ in range(10):
            await other.publish("u", b"")
        assert rounds > 0
        await bus.stop()
        await other.stop()

    run(scenario())
