"""The rules of `roost_broker.bus`, on the memory bus and on a real Mosquitto behind a relay that can be cut.

No test sleeps. "Nothing arrives" is shown by a later message that does.
"""

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest

from roost_broker.bus import Delivery, Will
from roost_broker.errors import Misuse, QueueFull
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


def test_what_was_published_while_a_reader_was_away_is_delivered_when_it_returns(
    fabric: Any, play: Any, inbox: Any
) -> None:
    async def scenario() -> None:
        writer = await fabric.bus("writer")
        await writer.start()
        first = await fabric.bus("reader")
        first.subscribe(f"{fabric.base}/t", inbox())
        await first.start()
        await first.stop()
        for number in range(5):
            await writer.publish(f"{fabric.base}/t", b"%d" % number)
        box = inbox()
        second = await fabric.bus("reader")
        second.subscribe(f"{fabric.base}/t", box)
        await second.start()
        assert await box.payloads(5) == [b"0", b"1", b"2", b"3", b"4"]

    play(fabric, scenario())


def test_an_unacknowledged_delivery_comes_again_after_a_loss_and_an_acknowledged_one_does_not(
    fabric: Any, play: Any, inbox: Any
) -> None:
    async def scenario() -> None:
        box = inbox(ack=False)
        bus = await fabric.bus("reader")
        writer = await fabric.bus("writer")
        bus.subscribe(f"{fabric.base}/t", box)
        await bus.start()
        await writer.start()
        for payload in (b"done", b"open"):
            await writer.publish(f"{fabric.base}/t", payload)
        done, kept = await box.next(), await box.next()
        assert not done.redelivered
        done.ack()
        done.ack()  # twice is harmless
        # The acknowledgement is on its way before the cut, because the broker has answered a later publication.
        await bus.publish(f"{fabric.base}/other", b"")
        await fabric.cut("reader")
        again = await box.next()
        assert (again.payload, again.redelivered) == (b"open", True)
        assert kept.payload == b"open"
        again.ack()
        await writer.publish(f"{fabric.base}/t", b"last")
        assert (await box.next()).payload == b"last"

    play(fabric, scenario())


def test_an_acknowledgement_of_an_earlier_connection_does_nothing(fabric: Any, play: Any, inbox: Any) -> None:
    async def scenario() -> None:
        box = inbox(ack=False)
        bus, writer = await fabric.bus("reader"), await fabric.bus("writer")
        bus.subscribe(f"{fabric.base}/t", box)
        await bus.start()
        await writer.start()
        await writer.publish(f"{fabric.base}/t", b"m")
        stale = await box.next()
        await fabric.cut("reader")
        fresh = await box.next()
        stale.ack()
        await bus.publish(f"{fabric.base}/other", b"")  # whatever stale.ack() sent has arrived before this
        await fabric.cut("reader")
        third = await box.next()
        assert third.payload == b"m"
        fresh.ack()
        third.ack()

    play(fabric, scenario())


def test_an_acknowledgement_while_the_connection_is_lost_does_nothing_either(
    fabric: Any, play: Any, inbox: Any, link: Any
) -> None:
    async def scenario() -> None:
        box = inbox(ack=False)
        bus, writer = await fabric.bus("reader"), await fabric.bus("writer")
        bus.subscribe(f"{fabric.base}/t", box)
        state = link(bus)
        await bus.start()
        await writer.start()
        await writer.publish(f"{fabric.base}/t", b"m")
        early = await box.next()
        await fabric.cut("reader", hold=True)
        await state.until(False)
        early.ack()
        await fabric.restore("reader")
        again = await box.next()
        assert (again.payload, again.redelivered) == (b"m", True)
        again.ack()

    play(fabric, scenario())


def test_no_more_than_receive_maximum_deliveries_are_out_until_one_is_acknowledged(
    fabric: Any, play: Any, inbox: Any
) -> None:
    async def scenario() -> None:
        box, marks = inbox(ack=False), inbox()
        bus, writer = await fabric.bus("reader", receive_maximum=3), await fabric.bus("writer")
        bus.subscribe(f"{fabric.base}/t", box)
        bus.subscribe(f"{fabric.base}/mark", marks, qos=0)
        await bus.start()
        await writer.start()
        for number in range(8):
            await writer.publish(f"{fabric.base}/t", b"%d" % number)
        out = [await box.next() for _ in range(3)]
        if type(bus).__name__ == "MqttBus":  # QoS 0 overtakes there and shows that nothing else is coming
            await writer.publish(f"{fabric.base}/mark", b"", qos=0)
            await marks.next()
        else:
            for _ in range(5):
                await asyncio.sleep(0)
        assert box.waiting() == []
        out[0].ack()
        fourth = await box.next()
        assert fourth.payload == b"3"
        for delivery in (*out, fourth):
            delivery.ack()
        assert [(await box.next()).payload for _ in range(3)] == [b"4", b"5", b"6"]

    play(fabric, scenario())


def test_a_handler_that_raises_is_reported_and_its_delivery_comes_again(fabric: Any, play: Any, inbox: Any) -> None:
    async def scenario() -> None:
        reports: list[tuple[str, BaseException]] = []
        seen = inbox(ack=False)
        broken = True

        def handler(delivery: Delivery) -> None:
            if broken and delivery.payload == b"poison":
                raise ZeroDivisionError("the handler's defect")
            delivery.ack()
            seen(delivery)

        bus = await fabric.bus("reader")
        bus.on_error(lambda sentence, error: reports.append((sentence, error)))
        bus.subscribe(f"{fabric.base}/t", handler)
        await bus.start()
        bus.publish(f"{fabric.base}/t", b"poison")
        bus.publish(f"{fabric.base}/t", b"after")
        assert (await seen.next()).payload == b"after"
        assert isinstance(reports[0][1], ZeroDivisionError)
        assert fabric.base in reports[0][0]
        broken = False
        await fabric.cut("reader")
        assert (await seen.next()).payload == b"poison"

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


def test_what_is_published_without_a_connection_follows_and_beyond_the_bound_is_refused(
    fabric: Any, play: Any, inbox: Any, link: Any
) -> None:
    async def scenario() -> None:
        box = inbox()
        reader, writer = await fabric.bus("reader"), await fabric.bus("writer", max_queued=3)
        reader.subscribe(f"{fabric.base}/t", box)
        await reader.start()
        state = link(writer)
        await writer.start()
        await state.until(True)
        await fabric.cut("writer", hold=True)
        await state.until(False)
        assert not writer.connected
        futures = [writer.publish(f"{fabric.base}/t", b"%d" % number) for number in range(3)]
        with pytest.raises(QueueFull):
            writer.publish(f"{fabric.base}/t", b"one too many")
        assert not any(future.done() for future in futures)
        await fabric.restore("writer")
        await asyncio.gather(*futures)
        assert await box.payloads(3) == [b"0", b"1", b"2"]

    play(fabric, scenario())


def test_a_burst_over_the_bound_is_refused_while_connected_too(fabric: Any, play: Any) -> None:
    async def scenario() -> None:
        bus = await fabric.bus("writer", max_queued=50)
        await bus.start()
        futures = [bus.publish(f"{fabric.base}/t", b"") for _ in range(50)]
        with pytest.raises(QueueFull):
            bus.publish(f"{fabric.base}/t", b"")
        await asyncio.gather(*futures)
        await bus.publish(f"{fabric.base}/t", b"room again")

    play(fabric, scenario())


def test_the_will_is_published_after_an_abnormal_end_and_not_after_stop(fabric: Any, play: Any, inbox: Any) -> None:
    async def scenario() -> None:
        box = inbox()
        watcher = await fabric.bus("watcher")
        watcher.subscribe(f"{fabric.base}/+", box)
        await watcher.start()
        orderly = await fabric.bus("orderly", will=Will(f"{fabric.base}/orderly", b"gone"))
        await orderly.start()
        await orderly.stop()
        victim = await fabric.bus("victim", will=Will(f"{fabric.base}/victim", b"gone"))
        await victim.start()
        await fabric.cut("victim", hold=True)
        assert (await box.next()).topic == f"{fabric.base}/victim"
        late = inbox()
        latecomer = await fabric.bus("latecomer")
        latecomer.subscribe(f"{fabric.base}/+", late)
        await latecomer.start()
        found = await late.next()
        assert (found.topic, found.payload, found.retained) == (f"{fabric.base}/victim", b"gone", True)
        assert box.waiting() == []

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


def test_a_broker_that_dies_and_forgets_finds_subscriptions_renewed_and_publications_completed(
    mortal_fabric: Any, play: Any, inbox: Any, link: Any
) -> None:
    async def scenario() -> None:
        box = inbox()
        reader, writer = await mortal_fabric.bus("reader"), await mortal_fabric.bus("writer")
        reader.subscribe(f"{mortal_fabric.base}/t", box)
        reader_link, writer_link = link(reader), link(writer)
        await reader.start()
        await writer.start()
        before = [writer.publish(f"{mortal_fabric.base}/t", b"before") for _ in range(300)]
        await before[0]
        await mortal_fabric.kill_broker()
        await reader_link.until(False)
        await writer_link.until(False)
        during = [writer.publish(f"{mortal_fabric.base}/t", b"during") for _ in range(5)]
        assert not any(future.done() for future in during)
        await mortal_fabric.start_broker()
        await reader_link.until(True)
        await asyncio.gather(*before, *during)
        # Answered behind the renewed subscription, on the same connection.
        await reader.publish(f"{mortal_fabric.base}/other", b"")
        # What came before that is lost with the broker's memory; the request log mends it, not the bus.
        await writer.publish(f"{mortal_fabric.base}/t", b"after")
        while (await box.next()).payload != b"after":
            pass

    play(mortal_fabric, scenario())


def test_start_waits_for_a_broker_that_is_not_there_yet(mortal_fabric: Any, play: Any, inbox: Any) -> None:
    async def scenario() -> None:
        await mortal_fabric.kill_broker()
        bus = await mortal_fabric.bus("early")
        box = inbox()
        bus.subscribe(f"{mortal_fabric.base}/t", box)
        sent = bus.publish(f"{mortal_fabric.base}/t", b"queued before start")
        starting = asyncio.create_task(bus.start())
        await asyncio.sleep(0)
        assert not starting.done()
        await mortal_fabric.start_broker()
        await starting
        await sent
        assert (await box.next()).payload == b"queued before start"

    play(mortal_fabric, scenario())


def test_stop_flushes_what_was_published_just_before(fabric: Any, play: Any, inbox: Any) -> None:
    async def scenario() -> None:
        box = inbox()
        reader, writer = await fabric.bus("reader"), await fabric.bus("writer")
        reader.subscribe(f"{fabric.base}/t", box)
        await reader.start()
        await writer.start()
        futures = [writer.publish(f"{fabric.base}/t", b"%d" % number) for number in range(300)]
        await writer.stop()
        assert all(future.done() and future.exception() is None for future in futures)
        assert len(await box.payloads(300)) == 300

    play(fabric, scenario())


def test_stop_without_a_broker_ends_soon_and_dropped_futures_make_no_noise(
    mortal_fabric: Any, play: Any, link: Any
) -> None:
    async def scenario() -> None:
        noise: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: noise.append(context))
        bus = await mortal_fabric.bus("writer")
        state = link(bus)
        await bus.start()
        await mortal_fabric.kill_broker()
        await state.until(False)
        kept = bus.publish(f"{mortal_fabric.base}/t", b"kept")
        bus.publish(f"{mortal_fabric.base}/t", b"dropped")
        await bus.stop()
        with pytest.raises(Exception, match="stopped"):
            await kept
        with pytest.raises(Misuse, match="stopped"):
            bus.publish(f"{mortal_fabric.base}/t", b"")
        del kept
        gc.collect()
        await asyncio.sleep(0)
        assert noise == []

    play(mortal_fabric, scenario())


def test_a_cancelled_future_does_not_disturb_the_others(fabric: Any, play: Any) -> None:
    async def scenario() -> None:
        bus = await fabric.bus("writer")
        await bus.start()
        given_up = bus.publish(f"{fabric.base}/t", b"1")
        other = bus.publish(f"{fabric.base}/t", b"2")
        given_up.cancel()
        await other
        assert bus.connected

    play(fabric, scenario())
