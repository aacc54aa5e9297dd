"""A gateway in a few lines: numbers its messages, publishes until each is acknowledged, whatever dies meanwhile."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from roost_broker.centre.applying import apply
from roost_broker.centre.client import CentreClient, open_centre
from roost_broker.centre.envelope import Envelope, headers_of
from roost_broker.centre.lanes import lane_of, node_of, subject_of
from roost_broker.centre.nats_server import PrivateNats
from roost_broker.centre.streams import StreamSettings, plans
from roost_models.central.archiver import Archiver
from roost_models.central.settings import ArchiverSettings

if TYPE_CHECKING:
    from roost_models.central.archiver import ArchiverStatus

INPUT = "roost/coop-1/henhouse/input"
OUTBOX = "1" * 32


class Sender:
    """Publishes with acknowledgement; what was not acknowledged is published again with the same id."""

    def __init__(self, client: CentreClient, outbox: str = OUTBOX) -> None:
        self._client = client
        self._outbox = outbox
        self._seqs: Counter[str] = Counter()
        self.sent: list[Envelope] = []

    def envelope(self, topic: str = INPUT, payload: bytes = b"{}") -> Envelope:
        """The next message of its lane, not yet sent."""
        node, lane = node_of(topic), lane_of(topic)
        assert node is not None
        assert lane is not None
        self._seqs[lane] += 1
        return Envelope(topic, payload, node, self._outbox, lane, self._seqs[lane], time.time_ns() // 1_000_000)

    async def send(self, topic: str = INPUT, payload: bytes = b"{}") -> None:
        """One message, until it is acknowledged."""
        await self.put(self.envelope(topic, payload))

    async def put(self, envelope: Envelope) -> None:
        """This one, until it is acknowledged."""
        from nats.errors import Error

        subject = subject_of(envelope.topic, envelope.lane)
        while True:
            try:
                await self._client.nats.jetstream(timeout=2).publish(
                    subject, envelope.payload, headers=headers_of(envelope)
                )
            except (Error, TimeoutError, OSError):
                await asyncio.sleep(0.05)  # a server is away: its clients wait, whatever they test
            else:
                self.sent.append(envelope)
                return

    async def send_many(self, count: int, *, at_once: int = 50, topic: str = INPUT) -> None:
        """So many, several at a time."""
        envelopes = [self.envelope(topic, f'{{"number":{number}}}'.encode()) for number in range(count)]
        for begin in range(0, count, at_once):
            await asyncio.gather(*(self.put(one) for one in envelopes[begin : begin + at_once]))


async def opened(servers: PrivateNats, *, name: str = "test") -> CentreClient:
    """A client, with the streams made."""
    client = await open_centre(servers.access(), name=name)
    await apply(client.nats, plans(StreamSettings(replicas=len(servers.nodes), redeliver_s=1)))
    return client


class Archiving:
    """An archiver beside the test. Use it in an `async with`; `until` waits for so many messages in its archive."""

    def __init__(self, servers: PrivateNats, root: Path, **settings: int) -> None:
        self._servers = servers
        self._root = root
        self._settings = ArchiverSettings(**settings)  # type: ignore[arg-type]  # keywords of the settings
        self._stop = asyncio.Event()
        self._news = asyncio.Event()
        self.said: list[str] = []

    def _say(self, sentence: str) -> None:
        self.said.append(sentence)
        self._news.set()

    async def __aenter__(self) -> "Archiving":
        self._client = await open_centre(self._servers.access(), name="archiver")
        self.archiver = Archiver(
            self._client.nats,
            self._root,
            self._settings,
            stored=lambda _: self._news.set(),
            say=self._say,
        )
        self._running = asyncio.ensure_future(self.archiver.run(self._stop))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await self._running
        await self._client.close()

    async def until(self, stored: int) -> "ArchiverStatus":
        """Return when so many messages have been stored since it began."""
        return await self.until_it(lambda status: status.stored >= stored)

    async def until_it(self, so: "Callable[[ArchiverStatus], bool]") -> "ArchiverStatus":
        """Return when the archiver is so; it is looked at whenever it stores or says something."""
        while not so(self.archiver.status):
            self._news.clear()
            await self._news.wait()
        return self.archiver.status
