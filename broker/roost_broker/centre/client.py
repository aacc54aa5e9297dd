"""What others use of the central streams: follow lanes in order, and say something to devices.

    async with await open_centre(NatsAccess(urls=…), name="rollout") as centre:
        async for envelope in centre.follow("devices", start="latest"):
            …
        await centre.put_down("roost/coop-1/request/ota", payload)

A connection that breaks is made again; following goes on where it was. Everything raised is a `RoostError`.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Literal, TypeAlias

from roost_broker.cancellation import cancel_and_wait, within
from roost_broker.centre import credible
from roost_broker.centre.access import NatsAccess, NatsUnreachable, connect, hang_up
from roost_broker.centre.envelope import Down, Envelope, down_headers_of, headers_of
from roost_broker.centre.lanes import LaneName, down_subject_of, lane_named, node_subjects, subject_of
from roost_broker.centre.ordering import Orderer
from roost_broker.centre.pulling import ConsumerGone, Pulled, Puller
from roost_broker.errors import Malformed, PeerError

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.js import api

Start: TypeAlias = Literal["new", "latest", "all"] | int
"""From now on; the newest of each topic first; from the oldest that is kept; from this moment (milliseconds, wall)."""

_LOOK_S = 1.0
_CHECK_S = 5.0
"""A consumer from which nothing came for so long is looked after."""
_ANSWER_S = 10.0
_IDLE_S = 300.0
"""After this time without a reader the server forgets a follower."""


class NoStream(PeerError):
    """The stream is not there: nobody has run `roost centre up` or `apply`."""


class NotTaken(PeerError):
    """The central streams did not take a message."""


async def open_centre(access: NatsAccess, *, name: str, base: str = "roost") -> "CentreClient":
    """A connected client. Raises `NatsUnreachable`, `Misuse`."""
    return CentreClient(await connect(access, name=name), base=base)


class CentreClient:
    """A connection to the central streams; close it, or use it in an `async with`."""

    def __init__(self, client: "Client", *, base: str = "roost") -> None:
        self._client = client
        self._base = base
        self.counts: Counter[str] = Counter()
        """Of everything followed: refused (not a message of a gateway), begun-again (consumers lost)."""

    @property
    def nats(self) -> "Client":
        """The connection itself, for what is not offered here."""
        return self._client

    async def __aenter__(self) -> "CentreClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connection."""
        await hang_up(self._client)

    async def put_down(self, topic: str, payload: bytes, *, retained: bool = False) -> int:
        """Say something on a topic of a device's broker; returns its number in the stream.

        It waits there while the device is away. Whether it may appear is up to the device's own allow-list. Raises
        `NotTaken`, `NatsUnreachable`, `Misuse` (a topic outside the base).
        """
        message = Down(topic, payload, message_id=os.urandom(16).hex(), retained=retained)
        return await self._acknowledged(down_subject_of(topic, self._base), payload, down_headers_of(message), topic)

    async def _acknowledged(self, subject: str, payload: bytes, headers: dict[str, str], topic: str) -> int:
        from nats.errors import Error

        try:
            answer = await self._client.jetstream(timeout=10).publish(subject, payload, headers=headers)
        except (TimeoutError, OSError) as error:
            raise NatsUnreachable(
                f"The central streams did not acknowledge a message for {topic}.", "Is a majority of servers running?"
            ) from error
        except Error as error:
            raise NotTaken(
                f"The central streams did not take a message for {topic}: {error}.",
                "See what is there: roost centre status.",
            ) from error
        return answer.seq

    async def put_up(self, envelope: Envelope) -> int:
        """Add a message of the centre's own to its lane, as a gateway would; returns its number in the stream.

        Repeated, it is known by `Envelope.key`. Raises `NotTaken`, `NatsUnreachable`, `Misuse` (outside the base).
        """
        subject = subject_of(envelope.topic, envelope.lane, self._base)
        return await self._acknowledged(subject, envelope.payload, headers_of(envelope), envelope.topic)

    async def latest(self, lane: LaneName) -> list[Envelope]:
        """The newest message of each topic of a lane, as it is now. Raises `NoStream`, `NatsUnreachable`."""
        found: list[Envelope] = []
        consumer, left = await self._made(lane, "latest", None)
        async with Puller(self._client, lane_named(lane).stream, consumer) as puller:
            while left:
                messages = await puller.next(_ANSWER_S)
                if not messages:
                    raise NatsUnreachable(
                        f"The stream {lane_named(lane).stream} stopped answering.",
                        "Is a majority of its servers running?",
                    )
                left = messages[-1].waiting
                for message in messages:
                    try:
                        found.append(self._believed(message))
                    except Malformed:
                        self.counts["refused"] += 1
        return found

    async def follow(
        self,
        *lanes: LaneName,
        start: Start = "new",
        nodes: Iterable[str] = (),
        orderer: Orderer | None = None,
    ) -> AsyncIterator[Envelope]:
        """Messages of these lanes, each once and per outbox and lane in order; for ever.

        `nodes` empty means all. Between lanes and devices there is no order. With `start="latest"` holes are normal
        and nobody waits for them. Raises `NoStream`, `NatsUnreachable`.
        """
        order = orderer or Orderer(wait_ns=0 if start == "latest" else 5_000_000_000)
        wanted = frozenset(nodes)
        ways: asyncio.Queue[Pulled | BaseException] = asyncio.Queue(maxsize=5000)
        tasks = [asyncio.ensure_future(self._feed(lane, start, ways)) for lane in lanes]
        try:
            while True:
                for envelope in await self._read_on(ways, order):
                    if not wanted or envelope.node in wanted:
                        yield envelope
        finally:
            await cancel_and_wait(*tasks)

    async def _read_on(self, ways: "asyncio.Queue[Pulled | BaseException]", order: Orderer) -> tuple[Envelope, ...]:
        deadline = order.deadline()
        patience = None if deadline is None else max(0.0, (deadline - time.monotonic_ns()) / 1e9)
        try:
            message = await within(ways.get(), patience)
        except TimeoutError:
            return order.expire(time.monotonic_ns())
        if isinstance(message, BaseException):
            raise message
        now = time.monotonic_ns()
        before = order.expire(now)
        try:
            envelope = self._believed(message)
        except Malformed:
            self.counts["refused"] += 1
            return before
        return (*before, *order.take(envelope, now))

    def _believed(self, message: Pulled) -> Envelope:
        return credible.read(message.subject, message.headers, message.payload, message.stored_ms, base=self._base)

    async def _feed(self, lane: LaneName, start: Start, ways: "asyncio.Queue[Pulled | BaseException]") -> None:
        """Read one lane for ever; after the loss of the consumer, go on behind the last message."""
        last = 0
        began_ms = time.time_ns() // 1_000_000
        try:
            while True:
                resume = last + 1 if last else None
                # A follower of what is new that lost its consumer before anything came must not skip what came since.
                first: Start = began_ms if start == "new" and self.counts["begun-again"] else start
                consumer, _ = await self._made(lane, first, resume)
                try:
                    async with Puller(self._client, lane_named(lane).stream, consumer) as puller:
                        last = await self._pass_on(puller, lane, ways, last)
                except ConsumerGone:
                    self.counts["begun-again"] += 1
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001  # whatever it was, it is raised where somebody reads
            await ways.put(error)

    async def _pass_on(
        self, puller: Puller, lane: LaneName, ways: "asyncio.Queue[Pulled | BaseException]", last: int
    ) -> int:
        """Until the consumer is gone; returns the last position."""
        quiet_since = time.monotonic()
        while True:
            try:
                messages = await puller.next(_LOOK_S)
            except ConsumerGone:
                return last
            for message in messages:
                last = max(last, message.stream_seq)
                await ways.put(message)
            now = time.monotonic()
            if messages:
                quiet_since = now
            elif now - quiet_since >= _CHECK_S:
                quiet_since = now
                if not await self._still_there(puller, lane):
                    self.counts["begun-again"] += 1
                    return last

    async def _still_there(self, puller: Puller, lane: LaneName) -> bool:
        from nats.errors import Error
        from nats.js.errors import NotFoundError

        try:
            await self._client.jetstream(timeout=2).consumer_info(lane_named(lane).stream, puller.consumer)
        except NotFoundError:
            return False
        except (Error, TimeoutError, OSError):
            return not self._client.is_connected  # a server without its consumer answers nothing at all
        return True

    async def _made(self, lane: LaneName, start: Start, resume: int | None) -> tuple[str, int]:
        """A consumer that the server forgets by itself, and what waits for it; tries again while there is no leader."""
        from nats.errors import Error
        from nats.js.errors import NotFoundError

        stream = lane_named(lane).stream
        while True:
            try:
                info = await self._client.jetstream(timeout=5).add_consumer(stream, self._config(lane, start, resume))
            except NotFoundError as error:
                raise NoStream(
                    f"There is no stream {stream}.", "Make the streams: roost centre up, or roost centre apply."
                ) from error
            except (Error, TimeoutError, OSError) as error:
                if self._client.is_closed:
                    raise NatsUnreachable("The connection to the central streams is closed.") from error
                await asyncio.sleep(0.5)
            else:
                return info.name, info.num_pending or 0

    def _config(self, lane: LaneName, start: Start, resume: int | None) -> "api.ConsumerConfig":
        from datetime import UTC, datetime

        from nats.js import api

        config = api.ConsumerConfig(
            ack_policy=api.AckPolicy.NONE,
            filter_subject=node_subjects(lane, "+", self._base),
            inactive_threshold=_IDLE_S,
            deliver_policy=api.DeliverPolicy.ALL,
        )
        if resume is not None:
            config.deliver_policy = api.DeliverPolicy.BY_START_SEQUENCE
            config.opt_start_seq = resume
        elif isinstance(start, int):
            config.deliver_policy = api.DeliverPolicy.BY_START_TIME
            config.opt_start_time = datetime.fromtimestamp(start / 1000, UTC)
        elif start != "all":
            config.deliver_policy = {"new": api.DeliverPolicy.NEW, "latest": api.DeliverPolicy.LAST_PER_SUBJECT}[start]
        return config
