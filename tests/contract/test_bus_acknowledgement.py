"""Rules of `roost_broker.bus`: a delivery is done when it was acknowledged, and not before;
on the memory bus and on a real Mosquitto behind a relay that can be cut.

No test sleeps. "Nothing arrives" is shown by a later message that does.
"""

import asyncio
from typing import Any

from roost_broker.bus import Delivery


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


def test_from_stop_on_no_handler_is_called_and_what_arrived_comes_again(fabric: Any, play: Any, inbox: Any) -> None:
    async def scenario() -> None:
        leaving: list[bool] = []
        called_while_leaving: list[bool] = []

        def handler(delivery: Any) -> None:
            called_while_leaving.extend(leaving)
            reader.publish(f"{fabric.base}/answer", delivery.payload).add_done_callback(lambda _: delivery.ack())

        reader, writer = await fabric.bus("reader"), await fabric.bus("writer")
        reader.subscribe(f"{fabric.base}/t", handler)
        answers = inbox()
        writer.subscribe(f"{fabric.base}/answer", answers)
        noise: list[str] = []
        reader.on_error(lambda sentence, error: noise.append(sentence))
        await reader.start()
        await writer.start()
        for number in range(900):
            writer.publish(f"{fabric.base}/t", b"%d" % number)
        await answers.next()
        leaving.append(True)
        await reader.stop()
        assert noise == []
        assert not called_while_leaving
        rest = inbox()
        again = await fabric.bus("reader")
        again.subscribe(f"{fabric.base}/t", rest)
        await again.start()
        seen = {b"0", *answers.waiting()}
        while len(seen) < 900:
            seen.add((await rest.next()).payload)
            seen.update(answers.waiting())

    play(fabric, scenario())
