"""What only a real connection can do to the MQTT bus: stall, refuse, be taken over, die with messages in hand."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from roost_broker.errors import PeerError, QueueFull
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_broker.reconnect import ReconnectPolicy
from roost_broker.settings import BrokerSettings

pytestmark = pytest.mark.broker
QUICK = ReconnectPolicy(first_ns=5_000_000, ceiling_ns=50_000_000, stable_ns=0)


def test_a_silent_broker_is_noticed_by_keepalive_and_the_session_goes_on(
    mosquitto_fabric: Any, play: Any, inbox: Any, link: Any
) -> None:
    async def scenario() -> None:
        box = inbox()
        bus = await mosquitto_fabric.bus("reader", keepalive_s=1)
        bus.subscribe(f"{mosquitto_fabric.base}/t", box)
        state = link(bus)
        await bus.start()
        relay = mosquitto_fabric.relays["reader"]
        relay.stalled = True
        sent = bus.publish(f"{mosquitto_fabric.base}/t", b"into the void")
        await state.until(False)
        relay.stalled = False
        await state.until(True)
        await sent
        assert (await box.next()).payload == b"into the void"

    play(mosquitto_fabric, scenario())


def test_publications_in_hand_when_the_broker_is_killed_are_all_completed_later(
    own_mosquitto: PrivateBroker, run: Callable[..., Any]
) -> None:
    async def scenario() -> None:
        bus = MqttBus(own_mosquitto.settings(), "writer", policy=QUICK)
        await bus.start()
        for _ in range(3):
            futures = [bus.publish("t", b"%d" % number) for number in range(800)]
            await futures[10]
            own_mosquitto.kill()  # blocks the loop on purpose: the bus learns of it afterwards
            assert not all(future.done() for future in futures)
            await asyncio.to_thread(own_mosquitto.start)
            await asyncio.gather(*futures)
        await bus.stop()

    run(scenario())


def test_what_arrives_while_the_reader_is_cut_again_and_again_is_lost_nowhere(mosquitto_fabric: Any, play: Any) -> None:
    async def scenario() -> None:
        seen: set[bytes] = set()
        complete = asyncio.Event()

        def handler(delivery: Any) -> None:
            seen.add(delivery.payload)
            asyncio.get_running_loop().call_soon(delivery.ack)  # later, so that cuts find unacknowledged ones
            if len(seen) == 600:
                complete.set()

        reader, writer = await mosquitto_fabric.bus("reader", receive_maximum=8), await mosquitto_fabric.bus("writer")
        reader.subscribe(f"{mosquitto_fabric.base}/t", handler)
        await reader.start()
        await writer.start()
        for number in range(600):
            await writer.publish(f"{mosquitto_fabric.base}/t", b"%d" % number)
            if number % 50 == 25:
                await mosquitto_fabric.cut("reader" if number % 100 == 25 else "writer")
        await complete.wait()

    play(mosquitto_fabric, scenario())


def test_a_second_process_with_the_same_client_id_takes_the_session_over(
    mosquitto_fabric: Any, play: Any, inbox: Any, link: Any
) -> None:
    async def scenario() -> None:
        old = await mosquitto_fabric.bus("role")
        old.subscribe(f"{mosquitto_fabric.base}/t", inbox())
        state = link(old)
        await old.start()
        await mosquitto_fabric.restore("role")
        box = inbox()
        new = await mosquitto_fabric.bus("role")
        new.subscribe(f"{mosquitto_fabric.base}/t", box)
        await new.start()
        await state.until(False)
        await old.stop()
        await new.publish(f"{mosquitto_fabric.base}/t", b"to the new one")
        assert (await box.next()).payload == b"to the new one"

    play(mosquitto_fabric, scenario())


def _scripted_broker(*answers: bytes) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]:
    """A peer that says the same whatever it hears: one answer for each packet, then it hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            if not await reader.read(4096):
                break
            writer.write(answer)
        writer.close()

    return serve


def test_a_broker_that_does_not_authorise_us_is_fatal_at_the_start(run: Callable[..., Any]) -> None:
    async def scenario() -> None:
        server = await asyncio.start_server(_scripted_broker(b"\x20\x03\x00\x87\x00"), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        bus = MqttBus(BrokerSettings(port=port), "stranger", policy=QUICK)
        with pytest.raises(PeerError, match="Not authorized"):
            await bus.start()
        await bus.stop()
        server.close()

    run(scenario())


def test_a_peer_that_talks_nonsense_is_tried_again_until_the_bus_is_stopped(run: Callable[..., Any]) -> None:
    async def scenario() -> None:
        calls = asyncio.Queue[None]()
        nonsense = _scripted_broker(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            calls.put_nowait(None)
            await nonsense(reader, writer)

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        bus = MqttBus(BrokerSettings(port=port), "lost", policy=QUICK)
        starting = asyncio.create_task(bus.start())
        for _ in range(3):
            await calls.get()
        await bus.stop()
        with pytest.raises(PeerError, match="stopped before"):
            await starting
        server.close()

    run(scenario())


def test_a_broker_that_allows_two_in_flight_never_gets_a_third(run: Callable[..., Any]) -> None:
    async def scenario() -> None:
        together: list[int] = []
        size = 10  # one publication of one byte on "t": header 2, topic 3, packet id 2, no properties 1, payload 2

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(4096)
            writer.write(b"\x20\x06\x00\x00\x03\x21\x00\x02")  # CONNACK, Receive Maximum 2
            while (data := await reader.read(4096)) and data[0] >> 4 == 3:
                # What the bus makes in one turn arrives in one piece: a third would be in it.
                together.append(len(data) // size)
                for start in range(0, len(data), size):
                    writer.write(b"\x40\x02" + data[start + 5 : start + 7])
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        bus = MqttBus(BrokerSettings(port=server.sockets[0].getsockname()[1]), "modest", policy=QUICK)
        await bus.start()
        await asyncio.gather(*(bus.publish("t", b"xy") for _ in range(10)))
        assert sum(together) == 10
        assert max(together) <= 2
        await bus.stop()
        server.close()

    run(scenario())


def test_a_publication_that_the_broker_rejects_fails_its_future(run: Callable[..., Any]) -> None:
    async def scenario() -> None:
        # CONNACK, then PUBACK of packet 1 with 0x97, quota exceeded.
        peer = _scripted_broker(b"\x20\x03\x00\x00\x00", b"\x40\x04\x00\x01\x97\x00")
        server = await asyncio.start_server(peer, "127.0.0.1", 0)
        bus = MqttBus(BrokerSettings(port=server.sockets[0].getsockname()[1]), "writer", policy=QUICK)
        await bus.start()
        with pytest.raises(PeerError, match="Quota exceeded"):
            await bus.publish("t", b"x")
        await bus.stop()
        server.close()

    run(scenario())


def test_a_message_over_the_brokers_own_limit_fails_alone_and_is_not_sent(run: Callable[..., Any]) -> None:
    async def scenario() -> None:
        # CONNACK with Maximum Packet Size 100, then PUBACK of packet 1.
        peer = _scripted_broker(b"\x20\x08\x00\x00\x05\x27\x00\x00\x00\x64", b"\x40\x02\x00\x01")
        server = await asyncio.start_server(peer, "127.0.0.1", 0)
        bus = MqttBus(BrokerSettings(port=server.sockets[0].getsockname()[1]), "writer", policy=QUICK)
        await bus.start()
        with pytest.raises(PeerError, match="over the broker's limit"):
            await bus.publish("t", b"x" * 200)
        await bus.publish("t", b"x")
        await bus.stop()
        server.close()

    run(scenario())


def test_what_was_sent_is_not_sent_again_to_a_broker_that_came_back_with_a_smaller_limit(
    run: Callable[..., Any],
) -> None:
    async def scenario() -> None:
        greetings = [b"\x20\x03\x00\x00\x00", b"\x20\x08\x00\x00\x05\x27\x00\x00\x00\x64"]  # then at most 100 bytes
        sent: list[bytes] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(4096)
            writer.write(greetings.pop(0))
            sent.append(await reader.read(4096))  # the goodbye, the third time
            if not greetings:
                for packet_id in (1, 2, 3):
                    writer.write(b"\x40\x02" + packet_id.to_bytes(2, "big"))
                await reader.read(4096)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        bus = MqttBus(BrokerSettings(port=server.sockets[0].getsockname()[1]), "writer", policy=QUICK)
        await bus.start()
        before, large, behind = (bus.publish("t", payload) for payload in (b"before", b"x" * 200, b"behind"))
        with pytest.raises(PeerError, match="over the broker's limit"):
            await large
        await asyncio.gather(before, behind)
        assert b"x" * 200 in sent[0]
        assert b"before" in sent[1]
        assert b"behind" in sent[1]
        assert b"xx" not in sent[1]
        await bus.stop()
        server.close()

    run(scenario())


def test_what_was_sent_waits_for_room_at_a_broker_that_came_back_with_a_smaller_window(run: Callable[..., Any]) -> None:
    async def scenario() -> None:
        greetings = [b"\x20\x03\x00\x00\x00", b"\x20\x06\x00\x00\x03\x21\x00\x02"]  # then Receive Maximum 2
        size, together, numbers = 10, [], []  # see above

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(4096)
            writer.write(greetings.pop(0))
            if greetings:
                await reader.read(4096)  # all five, none of them acknowledged
            else:
                while (data := await reader.read(4096)) and data[0] >> 4 == 3:
                    together.append(len(data) // size)
                    for start in range(0, len(data), size):
                        numbers.append(data[start + 8 : start + 10])
                        writer.write(b"\x40\x02" + data[start + 5 : start + 7])
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        bus = MqttBus(BrokerSettings(port=server.sockets[0].getsockname()[1]), "modest", policy=QUICK)
        await bus.start()
        sent = [b"%02d" % number for number in range(5)]
        await asyncio.gather(*(bus.publish("t", payload) for payload in sent))
        assert numbers == sent
        assert max(together) <= 2
        await bus.stop()
        server.close()

    run(scenario())


def test_what_may_be_lost_is_refused_while_the_peer_reads_nothing(run: Callable[..., Any]) -> None:
    async def scenario() -> None:
        reading, ended = asyncio.Event(), asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(4096)
            writer.write(b"\x20\x03\x00\x00\x00")
            await reading.wait()
            while await reader.read(65_536):
                pass
            writer.close()
            ended.set()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        bus = MqttBus(BrokerSettings(port=server.sockets[0].getsockname()[1]), "teller", policy=QUICK)
        await bus.start()

        async def flood() -> None:
            for _ in range(1000):  # 100 MB, far above what the system's own buffers take
                await bus.publish("t", bytes(100_000), qos=0)

        with pytest.raises(QueueFull, match="does not take"):
            await flood()
        reading.set()
        async with asyncio.timeout(60):
            while True:  # as soon as it reads again
                with suppress(QueueFull):
                    await bus.publish("t", b"again", qos=0)
                    break
                await asyncio.sleep(0)
        await bus.stop()
        await ended.wait()
        server.close()

    run(scenario())


def test_properties_count_towards_the_brokers_own_limit(run: Callable[..., Any]) -> None:
    async def scenario() -> None:
        peer = _scripted_broker(b"\x20\x08\x00\x00\x05\x27\x00\x00\x00\x64", b"\x40\x02\x00\x01")
        server = await asyncio.start_server(peer, "127.0.0.1", 0)
        bus = MqttBus(BrokerSettings(port=server.sockets[0].getsockname()[1]), "writer", policy=QUICK)
        await bus.start()
        with pytest.raises(PeerError, match="over the broker's limit"):
            await bus.publish("t", b"x", correlation_data=b"c" * 200)
        await bus.publish("t", b"x")
        await bus.stop()
        server.close()

    run(scenario())
