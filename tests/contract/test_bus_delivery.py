"""Rules of `roost_broker.bus`: what reaches whom, in which order and with which properties;
on the memory bus and on a real Mosquitto behind a relay that can be cut.

No test sleeps. "Nothing arrives" is shown by a later message that does.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from roost_broker.bus import Delivery
from roost_broker.errors import Misuse
from roost_broker.messages import MAX_BYTES


def test_a_publication_reaches_matching_subscriptions_only(fabric: Any, play: Any, inbox: Callable[..., Any]) -> None:
    async def scenario() -> None:
        base = fabric.base
        exact, one_level, below = inbox(), inbox(), inbox()
        reader, writer = await fabric.bus("reader"), await fabric.bus("writer")
        reader.subscribe(f"{base}/exact", exact)
        reader.subscribe(f"{base}/one/+/end", one_level)
        reader.subscribe(f"{base}/below/#", below)
        await reader.start()
        await writer.start()
        for topic in ("exact", "exact/more", "one/x/end", "one/x/y/end", "below", "below/a/b", "elsewhere"):
            await writer.publish(f"{base}/{topic}", topic.encode())
        last = await below.payloads(2)
        assert last == [b"below", b"below/a/b"]
        assert exact.waiting() == [b"exact"]
        assert one_level.waiting() == [b"one/x/end"]

    play(fabric, scenario())


def test_messages_of_one_publisher_arrive_complete_and_in_order(fabric: Any, play: Any, inbox: Any) -> None:
    async def scenario() -> None:
        box = inbox()
        bus = await fabric.bus("both")
        bus.subscribe(f"{fabric.base}/t", box)
        await bus.start()
        sent = [b"%d" % number for number in range(700)]
        for payload in sent:
            bus.publish(f"{fabric.base}/t", payload)
        assert await box.payloads(700) == sent

    play(fabric, scenario())


def test_the_largest_message_of_the_contract_passes_and_a_larger_one_is_refused(
    fabric: Any, play: Any, inbox: Any
) -> None:
    async def scenario() -> None:
        box = inbox()
        bus = await fabric.bus("both")
        topic = f"{fabric.base}/" + "t" * 400
        bus.subscribe(topic, box)
        await bus.start()
        await bus.publish(topic, b"x" * MAX_BYTES)
        assert len((await box.next()).payload) == MAX_BYTES
        with pytest.raises(Misuse, match="over the limit"):
            bus.publish(topic, b"x" * (MAX_BYTES + 1))

    play(fabric, scenario())


def test_a_handler_may_publish(fabric: Any, play: Any, inbox: Any) -> None:
    async def scenario() -> None:
        box = inbox()
        bus = await fabric.bus("both")

        def forward(delivery: Delivery) -> None:
            bus.publish(f"{fabric.base}/out", delivery.payload + b"!").add_done_callback(lambda _: delivery.ack())

        bus.subscribe(f"{fabric.base}/in", forward)
        bus.subscribe(f"{fabric.base}/out", box)
        await bus.start()
        for number in range(100):
            bus.publish(f"{fabric.base}/in", b"%d" % number)
        assert await box.payloads(100) == [b"%d!" % number for number in range(100)]

    play(fabric, scenario())


def test_a_retained_message_meets_a_later_subscriber_marked_until_it_is_cleared(
    fabric: Any, play: Any, inbox: Any
) -> None:
    async def scenario() -> None:
        writer = await fabric.bus("writer")
        await writer.start()
        await writer.publish(f"{fabric.base}/state", b"old", retain=True)
        await writer.publish(f"{fabric.base}/state", b"new", retain=True)
        await writer.publish(f"{fabric.base}/cleared", b"x", retain=True)
        await writer.publish(f"{fabric.base}/cleared", b"", retain=True)
        box = inbox()
        reader = await fabric.bus("reader")
        reader.subscribe(f"{fabric.base}/#", box)
        await reader.start()
        stored = await box.next()
        assert (stored.payload, stored.retained) == (b"new", True)
        await writer.publish(f"{fabric.base}/state", b"live", retain=True)
        live = await box.next()
        assert (live.payload, live.retained) == (b"live", False)

    play(fabric, scenario())


def test_a_subscription_made_while_connected_works(fabric: Any, play: Any, inbox: Any) -> None:
    async def scenario() -> None:
        bus = await fabric.bus("both")
        await bus.start()
        box = inbox()
        bus.subscribe(f"{fabric.base}/t", box)
        bus.publish(f"{fabric.base}/t", b"m")
        assert (await box.next()).payload == b"m"

    play(fabric, scenario())


@pytest.mark.parametrize(
    ("first", "second"), [("a/b", "a/b"), ("a/+", "a/b"), ("a/#", "a"), ("#", "a/b"), ("a/+/c", "+/b/c")]
)
def test_overlapping_filters_on_one_bus_are_refused(
    fabric: Any, play: Any, inbox: Any, first: str, second: str
) -> None:
    async def scenario() -> None:
        bus = await fabric.bus("reader")
        bus.subscribe(first, inbox())
        with pytest.raises(Misuse, match="overlaps"):
            bus.subscribe(second, inbox())

    play(fabric, scenario())


@pytest.mark.parametrize("bad", ["", "a/b#", "a/#/b", "a+/b", "$share//x"])
def test_what_is_no_filter_is_refused(fabric: Any, play: Any, inbox: Any, bad: str) -> None:
    async def scenario() -> None:
        bus = await fabric.bus("reader")
        with pytest.raises(Misuse, match="no topic filter"):
            bus.subscribe(bad, inbox())
        with pytest.raises(Misuse):
            bus.publish("with/+/wildcard", b"")

    play(fabric, scenario())


def test_members_of_a_shared_subscription_share_and_nothing_comes_twice(fabric: Any, play: Any, inbox: Any) -> None:
    async def scenario() -> None:
        one, two, all_of_it = inbox(), inbox(), inbox()
        for name, box in (("one", one), ("two", two)):
            bus = await fabric.bus(name)
            bus.subscribe(f"$share/replicas/{fabric.base}/t", box)
            await bus.start()
        writer = await fabric.bus("writer")
        writer.subscribe(f"{fabric.base}/t", all_of_it)
        await writer.start()
        sent = [b"%d" % number for number in range(40)]
        await asyncio.gather(*(writer.publish(f"{fabric.base}/t", payload) for payload in sent))
        await all_of_it.payloads(40)
        got_one, got_two = [], []
        while len(got_one) + len(got_two) < 40:
            got_one += one.waiting()
            got_two += two.waiting()
            await asyncio.sleep(0)
        assert sorted(got_one + got_two) == sorted(sent)
        assert got_one
        assert got_two

    play(fabric, scenario())


def test_a_requester_from_outside_gets_its_response_topic_and_correlation_data_back(
    fabric: Any, play: Any, inbox: Any
) -> None:
    async def scenario() -> None:
        box = inbox()
        bus = await fabric.bus("both")
        bus.subscribe(f"{fabric.base}/ask", box)
        await bus.start()
        bus.publish(
            f"{fabric.base}/ask", b"?", response_topic=f"{fabric.base}/reply", correlation_data=b"\x00\xff", expiry_s=60
        )
        bus.publish(f"{fabric.base}/ask", b"plain")
        asked, plain = await box.next(), await box.next()
        assert (asked.response_topic, asked.correlation_data) == (f"{fabric.base}/reply", b"\x00\xff")
        assert (plain.response_topic, plain.correlation_data) == (None, None)

    play(fabric, scenario())


def test_taken_is_called_once_the_broker_has_it_never_within_publish_and_may_publish_again(
    fabric: Any, play: Any, inbox: Any
) -> None:
    async def scenario() -> None:
        box, told = inbox(), []
        reader, writer = await fabric.bus("reader"), await fabric.bus("writer")
        reader.subscribe(f"{fabric.base}/+", box)
        await reader.start()
        await writer.start()

        def taken(error: Exception | None) -> None:
            told.append(error)
            writer.publish(f"{fabric.base}/second", b"2")

        sent = [
            writer.publish(f"{fabric.base}/first", b"1", taken=taken),
            writer.publish(f"{fabric.base}/zero", b"0", qos=0, taken=taken),
        ]
        assert told == []
        await asyncio.gather(*sent)
        assert sorted(await box.payloads(4)) == [b"0", b"1", b"2", b"2"]
        assert told == [None, None]

    play(fabric, scenario())


def test_taken_hears_of_what_failed_and_a_defect_in_it_disturbs_nobody_else(fabric: Any, play: Any, link: Any) -> None:
    async def scenario() -> None:
        told: list[Any] = []
        reported: list[str] = []
        bus = await fabric.bus("writer")
        bus.on_error(lambda sentence, error: reported.append(f"{sentence} {error}"))
        state = link(bus)
        await bus.start()

        def defective(error: Exception | None) -> None:
            raise RuntimeError("a defect")

        await asyncio.gather(
            bus.publish(f"{fabric.base}/t", b"1", taken=defective), bus.publish(f"{fabric.base}/t", b"2")
        )
        assert len(reported) == 1
        assert "a defect" in reported[0]
        await fabric.cut("writer", hold=True)
        await state.until(False)
        bus.publish(f"{fabric.base}/t", b"3", taken=told.append)
        await bus.stop()
        assert len(told) == 1
        assert "stopped" in str(told[0])

    play(fabric, scenario())
