"""Streams applied, lanes followed, something said to devices: against a real NATS server."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from centre_world import INPUT, Sender, opened

from roost_broker.centre import applying
from roost_broker.centre.access import NatsAccess, NatsUnreachable
from roost_broker.centre.applying import StreamRefused, apply, status
from roost_broker.centre.client import NoStream, Start, open_centre
from roost_broker.centre.envelope import Envelope, parse_down
from roost_broker.centre.nats_server import NatsServer, NatsSettings, PrivateNats
from roost_broker.centre.streams import Limits, StreamSettings, plans
from roost_broker.errors import PeerError
from roost_broker.private_process import free_port

pytestmark = pytest.mark.nats
Run = Callable[..., Any]


def test_applied_twice_nothing_is_changed_the_second_time(nats: PrivateNats, run: Run) -> None:
    async def story() -> None:
        async with await open_centre(nats.access(), name="test") as client:
            settings = StreamSettings()
            planned = await apply(client.nats, plans(settings), dry_run=True)
            assert {step.what for step in planned} == {"created"}
            assert await status(client.nats, ["INPUTS"]) == ()  # a dry run does nothing
            await apply(client.nats, plans(settings))
            assert {step.what for step in await apply(client.nats, plans(settings))} == {"unchanged"}

    run(story())


def test_growing_is_done_shrinking_only_when_asked_and_messages_stay(nats: PrivateNats, run: Run) -> None:
    async def story() -> None:
        async with await opened(nats) as client:
            await Sender(client).send_many(10)
            base = {"redeliver_s": 1.0}
            grown = StreamSettings(**base, lanes={"inputs": Limits(max_bytes=9_000_000_000)})
            small = StreamSettings(**base, lanes={"inputs": Limits(max_bytes=5_000_000)})
            said = {step.stream: step.what for step in await apply(client.nats, plans(grown))}
            assert said.pop("INPUTS") == "changed"
            assert set(said.values()) == {"unchanged"}
            (refused,) = [step for step in await apply(client.nats, plans(small)) if step.what != "unchanged"]
            assert (refused.what, refused.refused) == ("refused-to-shrink", ("max_bytes",))
            (inputs,) = await status(client.nats, ["INPUTS"])
            assert (inputs.max_bytes, inputs.messages) == (9_000_000_000, 10)
            await apply(client.nats, plans(small), shrink=True)
            (inputs,) = await status(client.nats, ["INPUTS"])
            assert (inputs.max_bytes, inputs.messages) == (5_000_000, 10)

    run(story())


def test_a_consumers_patience_can_be_changed(nats: PrivateNats, run: Run) -> None:
    async def story() -> None:
        async with await opened(nats) as client:
            steps = await apply(client.nats, plans(StreamSettings(redeliver_s=30)))
            assert {step.what for step in steps if step.stream not in ("DOWN", "OBJ_frames")} == {"changed"}
            steps = await apply(client.nats, plans(StreamSettings(redeliver_s=30)))
            assert {step.what for step in steps} == {"unchanged"}

    run(story())


def test_more_copies_than_servers_are_refused_with_a_hint(nats: PrivateNats, run: Run) -> None:
    async def story() -> None:
        async with await open_centre(nats.access(), name="test") as client:
            with pytest.raises(StreamRefused, match="replicas"):
                await apply(client.nats, plans(StreamSettings(replicas=3)))

    run(story())


def test_a_server_that_is_not_there_is_told_soon(run: Run) -> None:
    async def story() -> None:
        with pytest.raises(NatsUnreachable, match="roost centre up"):
            await open_centre(NatsAccess(urls=(f"nats://127.0.0.1:{free_port()}",)), name="test")

    run(story())


def test_following_without_streams_is_told(nats: PrivateNats, run: Run) -> None:
    async def story() -> None:
        async with await open_centre(nats.access(), name="test") as client:
            with pytest.raises(NoStream, match="roost centre"):
                async for _ in client.follow("inputs"):
                    pass

    run(story())


def test_a_port_that_is_taken_is_told_with_the_servers_words(nats: PrivateNats, tmp_path: Path) -> None:
    second = NatsServer(NatsSettings(port=nats.nodes[0].settings.port, folder=str(tmp_path / "second")))
    with pytest.raises(PeerError, match="in use"):
        second.start()
    assert not second.running


async def first(client: Any, count: int, start: Start, *lanes: str, nodes: tuple[str, ...] = ()) -> list[Envelope]:
    found: list[Envelope] = []
    async for envelope in client.follow(*(lanes or ("inputs",)), start=start, nodes=nodes):
        found.append(envelope)
        if len(found) == count:
            break
    return found


def test_from_the_beginning_each_comes_once_and_in_order(nats: PrivateNats, run: Run) -> None:
    async def story() -> None:
        async with await opened(nats) as client:
            sender = Sender(client)
            await sender.send_many(200)
            await client.nats.jetstream().publish("up.inputs.roost.x.y", b"of nobody")
            late, early = sender.envelope(), sender.envelope()
            await sender.put(early)  # the wrong way round, as around the death of a leader
            await sender.put(late)
            found = await first(client, 202, "all")
            assert [one.seq for one in found] == list(range(1, 203))
            assert client.counts["refused"] == 1

    run(story())


def test_the_newest_of_each_topic_come_first_and_then_what_is_new(nats: PrivateNats, run: Run) -> None:
    async def story() -> None:
        async with await opened(nats) as client:
            sender = Sender(client)
            for number in range(3):
                await sender.send("roost/coop-1/availability", f"{number}".encode())
            await sender.send("roost/coop-1/info", b"info")
            following = asyncio.ensure_future(first(client, 3, "latest", "devices"))
            assert {one.payload for one in await client.latest("devices")} == {b"2", b"info"}
            await sender.send("roost/coop-1/availability", b"3")
            assert [one.payload for one in await following] == [b"2", b"info", b"3"]

    run(story())


def test_only_devices_that_are_wanted_are_given(nats: PrivateNats, run: Run) -> None:
    async def story() -> None:
        async with await opened(nats) as client:
            sender, other = Sender(client), Sender(client, "2" * 32)
            await sender.send()
            await other.send("roost/coop-2/henhouse/input", b"other")
            (one,) = await first(client, 1, "all", nodes=("coop-2",))
            assert one.payload == b"other"

    run(story())


def test_who_follows_a_busy_stream_ends_in_whatever_moment_it_is_told_to(nats: PrivateNats, run: Run) -> None:
    async def story() -> None:
        async with await opened(nats) as client, await opened(nats, name="follower") as other:
            sender, enough = Sender(client), asyncio.Event()

            async def busy() -> None:
                while not enough.is_set():
                    await sender.send("roost/coop-1/ota")

            sending = asyncio.ensure_future(busy())
            for times in range(20):
                heard = asyncio.Event()

                async def follow(heard: asyncio.Event = heard) -> None:
                    async for _ in other.follow("devices", start="latest"):
                        heard.set()

                following = asyncio.ensure_future(follow())
                await heard.wait()
                for _ in range(times):
                    await asyncio.sleep(0)
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
            enough.set()
            await sending

    run(story())


def test_following_goes_on_after_the_server_was_killed(nats: PrivateNats, run: Run) -> None:
    async def story() -> None:
        async with await opened(nats) as client:
            sender = Sender(client)
            following = asyncio.ensure_future(first(client, 40, "all"))
            await sender.send_many(20)
            await asyncio.to_thread(nats.kill)
            await asyncio.to_thread(nats.restart)
            await sender.send_many(20)
            assert [one.seq for one in await following] == list(range(1, 41))

    run(story(), timeout=60)


def test_an_order_waits_for_its_device_and_the_newest_retained_one_replaces_the_others(
    nats: PrivateNats, run: Run
) -> None:
    async def story() -> None:
        async with await opened(nats) as client:
            for number in range(3):
                await client.put_down("roost/coop-1/henhouse/schedule", f"{number}".encode(), retained=True)
                await client.put_down("roost/coop-1/request/ota", f"{number}".encode())
            reader = await client.nats.jetstream().pull_subscribe("down.roost.coop-1.>", stream="DOWN")
            found = [parse_down(message.headers, message.data) for message in await reader.fetch(4, timeout=5)]
            said = sorted((one.topic, one.payload, one.retained) for one in found)
            assert said == [
                ("roost/coop-1/henhouse/schedule", b"2", True),
                *(("roost/coop-1/request/ota", f"{number}".encode(), False) for number in range(3)),
            ]
            await reader.unsubscribe()

    run(story())


def test_a_stream_that_gets_full_is_trimmed_of_what_is_archived_and_of_nothing_else(
    nats: PrivateNats, run: Run
) -> None:
    async def story() -> None:
        async with await opened(nats) as client:
            small = StreamSettings(redeliver_s=1, lanes={"inputs": Limits(max_bytes=1_000_000)})
            await apply(client.nats, plans(small), shrink=True)
            sender = Sender(client)
            for _ in range(9):
                await sender.send(INPUT, b"x" * 90_000)
            reader = await client.nats.jetstream().pull_subscribe_bind("archive", stream="INPUTS")
            for message in await reader.fetch(4, timeout=5):
                await message.ack_sync()
            names = ["INPUTS", "SCORES"]
            assert await applying.trim(client.nats, names, consumer="archive", above=0.99) == {}
            assert await applying.trim(client.nats, names, consumer="archive", above=0.5) == {"INPUTS": 4}
            assert await applying.trim(client.nats, names, consumer="archive", above=0.1) == {}
            await reader.unsubscribe()

    run(story())


def test_a_forgotten_reader_begins_again_at_the_oldest_message(nats: PrivateNats, run: Run) -> None:
    async def story() -> None:
        async with await opened(nats) as client:
            await Sender(client).send_many(5)
            reader = await client.nats.jetstream().pull_subscribe_bind("archive", stream="INPUTS")
            for message in await reader.fetch(5, timeout=5):
                await message.ack_sync()
            await reader.unsubscribe()
            planned = plans(StreamSettings(redeliver_s=1))
            await applying.forget_readers(client.nats, planned)
            await applying.forget_readers(client.nats, planned)  # twice is as good as once
            await apply(client.nats, planned)
            (inputs,) = await status(client.nats, ["INPUTS"])
            assert [one.waiting for one in inputs.consumers] == [5]

    run(story())
