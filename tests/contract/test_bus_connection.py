"""Rules of `roost_broker.bus`: sessions, outages, bounds, wills, start and stop;
on the memory bus and on a real Mosquitto behind a relay that can be cut.

No test sleeps. "Nothing arrives" is shown by a later message that does.
"""

import asyncio
import gc
from typing import Any

import pytest

from roost_broker.bus import Will
from roost_broker.errors import Misuse, QueueFull


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


def test_a_session_that_was_forgotten_finds_nothing_of_what_came_while_it_was_away(
    fabric: Any, play: Any, inbox: Any
) -> None:
    async def scenario() -> None:
        topic = f"{fabric.base}/t"
        writer = await fabric.bus("writer")
        await writer.start()
        for forget, came in ((False, [b"while away", b"after"]), (True, [b"after"])):
            reader = await fabric.bus("reader")
            reader.subscribe(topic, inbox())
            await reader.start()
            await reader.stop(forget=forget)
            await writer.publish(topic, b"while away")
            box = inbox()
            again = await fabric.bus("reader")
            again.subscribe(topic, box)
            await again.start()
            await writer.publish(topic, b"after")
            assert await box.payloads(len(came)) == came
            assert box.waiting() == []
            await again.stop()

    play(fabric, scenario())


def test_what_was_published_just_before_a_session_is_forgotten_still_arrives(
    fabric: Any, play: Any, inbox: Any
) -> None:
    async def scenario() -> None:
        box = inbox()
        reader, writer = await fabric.bus("reader"), await fabric.bus("writer")
        reader.subscribe(f"{fabric.base}/t", box)
        await reader.start()
        await writer.start()
        for number in range(100):
            writer.publish(f"{fabric.base}/t", b"%d" % number)
        await writer.stop(forget=True)
        assert len(await box.payloads(100)) == 100

    play(fabric, scenario())
