"""The gateway against a real Mosquitto and a real NATS: what travels, how it is marked, what is refused."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from gateway_world import CLOCK, DEVICE, NODE, TOPICS, everything, make_streams, request
from nats.js import JetStreamContext
from nats.js.errors import BadRequestError
from tcp_proxy import TcpProxy

from roost_broker.bus import Delivery
from roost_broker.centre.access import NatsAccess, connect
from roost_broker.centre.envelope import RETAINED
from roost_broker.centre.lanes import LANE_NAMES, down_subject_of
from roost_broker.centre.nats_server import PrivateNats
from roost_broker.clock import MS, SECOND
from roost_broker.frames import FrameStore
from roost_broker.gateway.role import Gateway
from roost_broker.gateway.settings import GatewayFrames, GatewaySettings
from roost_broker.headers import new_header
from roost_broker.messages import Alert, Event, FrameRef, Input, OtaOrder, Request, decode, encode
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus
from roost_broker.reconnect import ReconnectPolicy

pytestmark = pytest.mark.broker

QUICK = ReconnectPolicy(first_ns=20 * MS, ceiling_ns=200 * MS, stable_ns=SECOND)


@pytest.fixture(scope="module")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateNats]:
    with PrivateNats(tmp_path_factory.mktemp("nats")) as server:
        asyncio.run(make_streams(server.access()))
        yield server


@pytest.fixture
def centre(nats_server: PrivateNats) -> NatsAccess:
    """The streams, emptied."""

    async def emptied() -> None:
        client = await connect(nats_server.access(), name="test")
        for stream in (*(lane.upper() for lane in LANE_NAMES), "OBJ_frames", "DOWN"):
            await client.jetstream().purge_stream(stream)
        await client.close()

    asyncio.run(emptied())
    return nats_server.access()


class World:
    def __init__(self, folder: Path, broker: PrivateBroker, centre: NatsAccess) -> None:
        self.folder, self.broker, self.centre = folder, broker, centre
        self.frames = FrameStore(folder / "frames")
        self.bus = MqttBus(broker.settings(), "tester")
        self.session = 0

    @asynccontextmanager
    async def gateway(self, **wanted: Any) -> AsyncIterator[Gateway]:
        self.session += 1
        settings = GatewaySettings(**({"centre": self.centre, "gather_ms": 5, "ack_timeout_ms": 1000} | wanted))
        bus = MqttBus(self.broker.settings(), f"{NODE}-gateway", receive_maximum=256)
        role = Gateway(
            *(bus, DEVICE, settings, self.folder / "gateway.db", [self.frames]),
            clock=CLOCK,
            session=self.session,
            policy=QUICK,
        )
        stop = asyncio.Event()
        running = asyncio.create_task(role.run(stop))
        try:
            while not bus.connected and not running.done():  # noqa: ASYNC110 - its own event is not ours to wait for
                await asyncio.sleep(0.01)
            yield role
        finally:
            stop.set()
            await running

    async def ask(self, first: int, count: int) -> list[str]:
        made = [request(number) for number in range(first, first + count)]
        await asyncio.gather(*(self.bus.publish(TOPICS.input, payload) for _, payload in made))
        return [request_id for request_id, _ in made]


@pytest.fixture
def play(run: Any, tmp_path: Path, own_mosquitto: PrivateBroker, centre: NatsAccess) -> Callable[..., None]:
    def to_the_end(story: Callable[[World], Any]) -> None:
        async def whole() -> None:
            world = World(tmp_path, own_mosquitto, centre)
            await world.bus.start()
            try:
                await story(world)
            finally:
                await world.bus.stop()

        run(whole(), timeout=60)

    return to_the_end


async def until(what: Callable[[], bool]) -> None:
    while not what():  # noqa: ASYNC110 - counts of a role set no event
        await asyncio.sleep(0.02)


async def forgotten(streams: JetStreamContext, stream: str) -> None:
    """Return when the stream knows the ids of its messages no more. Asked with a message that it can never store."""
    last = (await streams.stream_info(stream)).state.last_seq
    newest = await streams.get_msg(stream, last)
    assert newest.subject
    assert newest.headers
    probe = {"Nats-Msg-Id": newest.headers["Nats-Msg-Id"], "Nats-Expected-Last-Sequence": str(last + 1)}
    while True:
        try:
            answer = await streams.publish(newest.subject, b"", headers=probe)
        except BadRequestError:  # not the last sequence: it was not recognised as a repetition
            return
        assert answer.duplicate
        await asyncio.sleep(0.02)


def test_what_waited_days_arrives_once_in_order_and_is_marked_late(play: Any) -> None:
    async def story(world: World) -> None:
        nowhere = NatsAccess(urls=("nats://127.0.0.1:9",))
        async with world.gateway(centre=nowhere) as role:
            asked = await world.ask(0, 50)
            await until(lambda: role.counts["receipts"] == 50)
        async with world.gateway(late_ms=0) as role:
            asked += await world.ask(50, 5)
            await until(lambda: role.counts["receipts"] == 5 and not role._dispatcher.waiting)
        arrived = await everything(world.centre)
        assert [decode(one.payload).request_id for one in arrived] == asked  # type: ignore[union-attr]
        assert [one.seq for one in arrived] == list(range(1, 56))
        assert all(one.late_ms is not None and one.late_ms >= 0 for one in arrived[:50])

    play(story)


def test_acknowledgements_lost_with_the_link_do_not_double_even_without_the_streams_own_memory(play: Any) -> None:
    """1. messages stored, their acknowledgements lost  2. JetStream forgets its ids  3. the link comes back."""

    async def story(world: World) -> None:
        link = await TcpProxy(int(world.centre.urls[0].rsplit(":", 1)[1])).start()
        through = NatsAccess(urls=(f"nats://127.0.0.1:{link.port}",))
        client = await connect(world.centre, name="test")
        streams = client.jetstream()
        async with world.gateway(centre=through, window=16) as role:
            await world.ask(0, 20)
            await until(lambda: role.counts["sent"] >= 20)
            link.hold_answers()
            await world.ask(20, 10)
            while (await streams.stream_info("INPUTS")).state.messages < 30:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)
            link.cut()
            # A repetition would be recognised for two hours: take that memory away.
            config = (await streams.stream_info("INPUTS")).config
            await streams.update_stream(config, duplicate_window=0.1)
            await forgotten(streams, "INPUTS")
            link.mend()
            await until(lambda: role.counts["found-at-centre"] >= 10)
            await world.ask(30, 5)
            await until(lambda: role.counts["receipts"] == 35 and not role._dispatcher.waiting)
        arrived = await everything(world.centre)
        await streams.update_stream(config)
        await client.close()
        await link.close()
        assert [one.seq for one in arrived] == list(range(1, 36))

    play(story)


def test_beyond_the_byte_budget_the_range_that_was_dropped_is_told_in_its_place(play: Any) -> None:
    async def story(world: World) -> None:
        nowhere = NatsAccess(urls=("nats://127.0.0.1:9",))
        async with world.gateway(centre=nowhere, max_bytes=1_000_000, window=4) as role:
            for begin in range(0, 1500, 100):
                await world.ask(begin, 100)
            await until(lambda: role.counts["receipts"] == 1500)
            assert role.counts["dropped-inputs"] > 300
        async with world.gateway() as role:
            await until(lambda: bool(role.counts["sent"]) and not role._dispatcher.waiting)
        covered = 0
        for one in await everything(world.centre):
            assert one.first_seq == covered + 1
            covered = one.seq
        assert covered == 1500

    play(story)


def test_an_outbox_that_was_put_back_to_an_older_copy_goes_on_under_a_new_name(play: Any) -> None:
    async def story(world: World) -> None:
        async with world.gateway() as role:
            await world.ask(0, 10)
            await until(lambda: role.counts["sent"] >= 10 and not role._dispatcher.waiting)
        copy = (world.folder / "gateway.db").read_bytes()
        async with world.gateway() as role:
            await world.ask(10, 10)
            await until(lambda: role.counts["receipts"] == 10 and not role._dispatcher.waiting)
        (world.folder / "gateway.db").write_bytes(copy)
        async with world.gateway() as role:
            await world.ask(20, 10)
            await until(lambda: role.counts["receipts"] == 10 and not role._dispatcher.waiting)
            assert role.counts["outbox-went-back"] >= 1
        arrived = await everything(world.centre)
        assert len({one.outbox for one in arrived}) == 2
        numbers = [decode(one.payload).input.values["number"] for one in arrived]  # type: ignore[union-attr, index]
        assert set(numbers) == set(range(30))

    play(story)


def test_pictures_travel_once_each_verified_and_missing_ones_are_counted(play: Any) -> None:
    async def story(world: World) -> None:
        picture, shown = os.urandom(70_000), os.urandom(9_000)
        ref = world.frames.put(picture, width=8, height=8)
        alarmed = world.frames.put(shown, width=8, height=8)
        gone = FrameRef(sha256=hashlib.sha256(b"gone").hexdigest(), bytes=4, path="x", width=1, height=1)
        async with world.gateway(frames=GatewayFrames(chunk_bytes=16_384)) as role:
            for frame in (ref, ref, gone):
                head = new_header(CLOCK, NODE, "t")._asdict()
                asked = Request(
                    **head,
                    request_id=head["message_id"],
                    return_address=TOPICS.results("t"),
                    deadline_ms=9,
                    input=Input(frame=frame),
                )
                await world.bus.publish(TOPICS.input, encode(asked))
            head = new_header(CLOCK, NODE, "t")._asdict()
            alert = Alert(
                **head,
                type="new",
                alert_id=head["message_id"],
                camera="c",
                task="t",
                label="hen",
                started_at=1,
                last_at=1,
                frame=alarmed,
            )
            await world.bus.publish(DEVICE.camera("c").events, encode(alert))
            await until(lambda: role.counts["frames-sent"] == 2 and role.counts["frames-missing"] == 1)
        (world.folder / "gateway.db").unlink()  # all memory of it is gone, and yet it is not sent again
        async with world.gateway() as role:
            head = new_header(CLOCK, NODE, "t")._asdict()
            again = Request(
                **head, request_id=head["message_id"], return_address="r/t", deadline_ms=9, input=Input(frame=ref)
            )
            await world.bus.publish(TOPICS.input, encode(again))
            await until(lambda: role.counts["frames-known"] == 1)
        client = await connect(world.centre, name="test")
        store = await client.jetstream().object_store("frames")
        assert (await store.get(ref.sha256)).data == picture
        assert (await store.get(alarmed.sha256)).data == shown
        await client.close()

    play(story)


def test_only_what_is_allowed_comes_down_the_rest_is_refused_and_told(play: Any) -> None:
    async def story(world: World) -> None:
        came: list[Delivery] = []
        events: list[str] = []

        def event(delivery: Delivery) -> None:
            message = decode(delivery.payload)
            assert isinstance(message, Event)
            events.append(str(message.data.get("cause")))
            delivery.ack()

        world.bus.subscribe(f"{DEVICE.root}/request/+", came.append)
        world.bus.subscribe(TOPICS.schedule, came.append)
        world.bus.subscribe(DEVICE.event, event)
        order = encode(OtaOrder(**new_header(CLOCK, "centre", "test")._asdict(), do="check"))
        client = await connect(world.centre, name="test")
        streams = client.jetstream()
        await streams.publish(down_subject_of(DEVICE.request("ota")), order)  # before the gateway is there
        await streams.publish(down_subject_of(TOPICS.schedule), order)
        await streams.publish(down_subject_of(DEVICE.request("ota")), b"rubbish")
        await streams.publish(down_subject_of(DEVICE.request("ota")), encode_alert())
        async with world.gateway() as role:
            await until(lambda: bool(role.counts["down"]) and len(events) == 3)
            # Retained it would be obeyed again with every connection, for ever.
            await streams.publish(down_subject_of(DEVICE.request("ota")), order, headers={RETAINED: "1"})
            await streams.publish(down_subject_of(DEVICE.request("ota")), order)
            await until(lambda: len(came) == 2 and len(events) == 4)
            assert sorted(events) == ["malformed", "misplaced", "misplaced", "not-allowed"]
        assert [one.payload for one in came] == [order, order]
        async with world.gateway() as role:  # what was acknowledged does not come again
            await streams.publish(down_subject_of(DEVICE.request("ota")), order)
            await until(lambda: len(came) == 3)
            assert role.counts["down"] == 1
        await client.close()

    play(story)


def encode_alert() -> bytes:
    head = new_header(CLOCK, NODE, "t")._asdict()
    return encode(
        Alert(**head, type="end", alert_id=head["message_id"], camera="c", task="t", label="x", started_at=1, last_at=1)
    )


def test_retained_states_are_not_sent_again_with_every_connection(play: Any) -> None:
    async def story(world: World) -> None:
        head = new_header(CLOCK, NODE, "t")._asdict()
        state = encode(Event(**head, kind="state"))
        await world.bus.publish(TOPICS.schedule, state, retain=True)
        async with world.gateway() as role:
            await until(lambda: role.counts["sent"] >= 1 and not role._dispatcher.waiting)
        async with world.gateway() as role:
            await until(lambda: role.counts["known"] >= 1)
            await world.ask(0, 1)
            await until(lambda: role.counts["receipts"] == 1 and not role._dispatcher.waiting)
        schedules = [one for one in await everything(world.centre, ("devices",)) if one.topic == TOPICS.schedule]
        assert [one.payload for one in schedules] == [state]
        assert schedules[0].retained

    play(story)
