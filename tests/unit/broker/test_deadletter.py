import asyncio
import base64
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_broker.bus import Delivery
from roost_broker.clock import SECOND, VirtualClock
from roost_broker.deadletter import DeadLetters, RateLimit
from roost_broker.errors import Misuse
from roost_broker.memory import MemoryBroker, MemoryBus
from roost_broker.messages import DeadLetter, decode

TOPIC = "roost/coop/henhouse/deadletter"


def test_an_unreadable_message_is_reported_with_reason_and_head_and_then_acknowledged(run: Callable[..., Any]) -> None:
    async def scenario() -> None:
        broker = MemoryBroker()
        letters: asyncio.Queue[Delivery] = asyncio.Queue()
        operator, reader, rogue = (MemoryBus(broker, name) for name in ("operator", "reader", "rogue"))
        dead = DeadLetters(reader, TOPIC, "rendezvous", VirtualClock())
        operator.subscribe(TOPIC, letters.put_nowait)
        reader.subscribe("roost/coop/henhouse/input", lambda delivery: void(dead.send(delivery, "not JSON")))
        for bus in (operator, reader, rogue):
            await bus.start()
        await rogue.publish("roost/coop/henhouse/input", b"\xff" * 5000)
        letter = decode((await letters.get()).payload)
        assert isinstance(letter, DeadLetter)
        assert (letter.topic, letter.reason, letter.reader) == ("roost/coop/henhouse/input", "not JSON", "rendezvous")
        assert (letter.size, base64.b64decode(letter.head)) == (5000, b"\xff" * 3000)
        assert letter.provenance.path[0].node == "coop"
        assert broker.waiting("reader") == 0
        assert dead.counts == {"sent": 1}
        for bus in (operator, reader, rogue):
            await bus.stop()

    run(scenario())


def void(_: object) -> None:
    return None


def test_a_flood_is_counted_and_acknowledged_but_not_repeated(run: Callable[..., Any]) -> None:
    async def scenario() -> None:
        broker = MemoryBroker()
        bus = MemoryBus(broker, "reader")
        await bus.start()
        clock = VirtualClock()
        dead = DeadLetters(bus, TOPIC, "reader", clock, burst=3, per_s=1)
        acknowledged = []
        for number in range(10):
            dead.send(Delivery("t", b"x", _ack=lambda number=number: acknowledged.append(number)), "why")
        assert dead.counts == {"sent": 3, "suppressed": 7}
        assert acknowledged == list(range(3, 10))  # the first three when their reports have arrived
        clock.advance(SECOND)
        assert dead.send(Delivery("t", b"x"), "why") is True
        assert dead.send(Delivery(TOPIC, b"x"), "a dead letter itself") is False
        await bus.stop()

    run(scenario())


def test_whatever_the_topic_and_reason_the_letter_can_be_read(run: Callable[..., Any]) -> None:
    async def scenario() -> None:
        broker = MemoryBroker()
        bus = MemoryBus(broker, "reader")
        box: asyncio.Queue[Delivery] = asyncio.Queue()
        bus.subscribe(TOPIC, box.put_nowait)
        await bus.start()
        dead = DeadLetters(bus, TOPIC, "reader", VirtualClock())
        for topic, reason in (("t" * 900, "r" * 5000), ("", ""), ("t", "half a surrogate \ud800")):
            dead.send(Delivery(topic, b""), reason)
            assert isinstance(decode((await box.get()).payload), DeadLetter)
        await bus.stop()

    run(scenario())


@given(st.lists(st.integers(0, 3 * SECOND), max_size=60), st.integers(1, 5), st.integers(1, 20))
def test_a_rate_limit_never_gives_more_than_burst_and_rate_allow(steps: list[int], burst: int, per_s: int) -> None:
    limit = RateLimit(burst, per_s)
    now, given_out = 0, 0
    for step in steps:
        now += step
        given_out += limit.take(now)
    assert given_out <= burst + now * per_s // SECOND + 1


def test_a_rate_limit_of_nothing_is_refused() -> None:
    with pytest.raises(Misuse):
        RateLimit(0, 1)


def test_a_report_that_the_broker_does_not_take_holds_no_delivery_back(run: Callable[..., Any]) -> None:
    async def scenario() -> None:
        broker = MemoryBroker()
        bus = MemoryBus(broker, "reader")
        await bus.start()
        broker.stop()
        acknowledged = asyncio.Event()
        dead = DeadLetters(bus, TOPIC, "reader", VirtualClock())
        dead.send(Delivery("t", b"x", _ack=acknowledged.set), "why")
        await bus.stop()
        await acknowledged.wait()
        assert dead.counts == {"sent": 1, "refused": 1}

    run(scenario())
