"""From JetStream to files: exactly once, whatever is killed."""

import asyncio
import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from centre_world import INPUT, Archiving, Sender, opened

from roost_broker.centre import applying
from roost_broker.centre.nats_server import PrivateNats
from roost_broker.centre.streams import FRAMES_META, FRAMES_STREAM
from roost_broker.errors import Misuse
from roost_models.central.archiver import Archiver
from roost_models.central.overview import overview
from roost_models.central.reading import CentralArchive

pytestmark = pytest.mark.nats
Run = Callable[..., Any]


def payloads(root: Path) -> list[bytes]:
    return [one.payload for one in CentralArchive(root).rows()]


def test_what_was_published_is_archived_once_and_in_order(nats: PrivateNats, tmp_path: Path, run: Run) -> None:
    async def story() -> None:
        async with await opened(nats) as client, Archiving(nats, tmp_path / "archive") as archiving:
            sender = Sender(client)
            await sender.send_many(500)
            await sender.put(sender.sent[3])  # again, with the same id
            await sender.send("roost/coop-1/availability", b"{}")
            await archiving.until(501)
            assert [one for one in CentralArchive(tmp_path / "archive").rows() if one.lane == "inputs"] == sorted(
                (one for one in sender.sent[:500]), key=lambda one: one.seq
            )

    run(story())


def test_a_repetition_beyond_jetstreams_window_is_recognised(nats: PrivateNats, tmp_path: Path, run: Run) -> None:
    async def story() -> None:
        async with await opened(nats) as client, Archiving(nats, tmp_path / "archive") as archiving:
            sender = Sender(client)
            one = sender.envelope()
            await sender.put(one)
            await archiving.until(1)  # before the purge: what is gone from the stream is delivered to nobody
            await client.nats.jetstream().purge_stream("INPUTS")  # with the messages goes what JetStream knows of them
            await sender.put(one)
            await sender.send()
            status = await archiving.until(2)
            assert status.duplicate <= 1

    run(story())
    assert len(payloads(tmp_path / "archive")) == 2


def test_what_no_gateway_sent_is_refused_and_stops_nothing(nats: PrivateNats, tmp_path: Path, run: Run) -> None:
    async def story() -> None:
        async with await opened(nats) as client, Archiving(nats, tmp_path / "archive") as archiving:
            js = client.nats.jetstream()
            await js.publish("up.inputs.roost.coop-1.henhouse.input", b"no headers")
            await js.publish("up.inputs.roost.x", b"?", headers={"Roost-Lane": "inputz", "Roost-Outbox": "?"})
            await Sender(client).send()
            status = await archiving.until(1)
            assert (status.stored, status.refused) == (1, 2)

    run(story())


def test_frames_are_fetched_verified_and_stored_by_content(nats: PrivateNats, tmp_path: Path, run: Run) -> None:
    picture = os.urandom(300_000)
    sha256 = hashlib.sha256(picture).hexdigest()

    async def story() -> None:
        async with await opened(nats) as client:
            bucket = await client.nats.jetstream().object_store("frames")
            await bucket.put("0" * 64, b"not what it is named for")
            await bucket.put("whatever", b"no digest")
            await bucket.put(sha256, picture)
            assert await applying.behind(client.nats, FRAMES_STREAM, FRAMES_META, 0) == 3
            async with Archiving(nats, tmp_path / "archive") as archiving:
                path = CentralArchive(tmp_path / "archive").frames.path(sha256)
                await archiving.until_it(lambda status: (status.frames, status.frames_refused) == (1, 2))
                assert path.read_bytes() == picture
            read = overview(tmp_path / "archive").frames_read
            assert await applying.behind(client.nats, FRAMES_STREAM, FRAMES_META, read) == 0

    run(story())


def test_two_archivers_of_one_folder_are_refused(nats: PrivateNats, tmp_path: Path, run: Run) -> None:
    async def story() -> None:
        async with await opened(nats) as client, Archiving(nats, tmp_path / "archive"):
            with pytest.raises(Misuse, match="Another process"):
                Archiver(client.nats, tmp_path / "archive")

    run(story())


def test_a_full_disk_stops_the_reading_and_nothing_is_lost(nats: PrivateNats, tmp_path: Path, run: Run) -> None:
    async def story() -> None:
        async with await opened(nats) as client:
            async with Archiving(nats, tmp_path / "archive") as archiving:
                archiving.archiver._staging.limit_pages(40)
                sender = Sender(client)
                for _ in range(8):
                    await sender.send(INPUT, b"x" * 50_000)
                await archiving.until_it(lambda status: status.full)
                assert any("takes no more" in sentence for sentence in archiving.said)
            # Room is made by the next start: the bound was the connection's own.
            stored = len(payloads(tmp_path / "archive"))
            async with Archiving(nats, tmp_path / "archive") as archiving:
                await archiving.until(8 - stored)

    run(story(), timeout=90)
    assert len(payloads(tmp_path / "archive")) == 8


_CHILD = """
import asyncio, sys
from pathlib import Path
from roost_broker.centre.access import NatsAccess
from roost_broker.centre.client import open_centre
from roost_models.central.archiver import Archiver
from roost_models.central.settings import ArchiverSettings

async def main():
    client = await open_centre(NatsAccess(urls=tuple(sys.argv[2:])), name="child")
    settings = ArchiverSettings(batch=20, close_after_hours=0)
    archiver = Archiver(client.nats, Path(sys.argv[1]), settings, stored=lambda new: print(new, flush=True))
    await archiver.run(asyncio.Event())

asyncio.run(main())
"""


async def killed_now_and_then(servers: PrivateNats, root: Path, total: int) -> int:
    """Run archivers as processes, each killed with -9 after a few batches, until all is stored; how many died."""
    stored = kills = 0
    while stored < total:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _CHILD, str(root), *servers.urls, stdout=asyncio.subprocess.PIPE
        )
        assert child.stdout is not None
        batches = 1 + kills % 7
        while batches and stored < total:
            stored += int(await child.stdout.readline())
            batches -= 1
        child.kill()
        await child.wait()
        kills += 1
        stored = len(payloads(root))
    return kills


@pytest.mark.processes
def test_killed_again_and_again_it_loses_and_doubles_nothing(nats: PrivateNats, tmp_path: Path, run: Run) -> None:
    root = tmp_path / "archive"

    async def story() -> int:
        async with await opened(nats) as client:
            sender = Sender(client)
            await sender.send_many(400)
            return await killed_now_and_then(nats, root, 400)

    assert run(story(), timeout=90) >= 3
    assert sorted(payloads(root)) == sorted(f'{{"number":{number}}}'.encode() for number in range(400))


@pytest.mark.parametrize("victim", ["leader", "follower"])
def test_one_of_three_servers_killed_under_load_the_archive_is_complete(
    cluster: PrivateNats, tmp_path: Path, run: Run, victim: str
) -> None:
    async def story() -> list[int]:
        async with await opened(cluster) as client, Archiving(cluster, tmp_path / "archive") as archiving:
            sender = Sender(client)
            await sender.send_many(500)
            leader = (await client.nats.jetstream().stream_info("INPUTS")).cluster
            assert leader is not None
            number = int(str(leader.leader)[1:]) - 1
            if victim == "follower":
                number = (number + 1) % 3
            sending = asyncio.ensure_future(sender.send_many(2000))
            await archiving.until(700)
            await asyncio.to_thread(cluster.kill, number)
            await sending
            await archiving.until(2500)
            await asyncio.to_thread(cluster.restart, number)
            await sender.send_many(100)
            await archiving.until(2600)
            return [one.seq for one in CentralArchive(tmp_path / "archive").rows()]

    assert run(story(), timeout=120) == list(range(1, 2601))
