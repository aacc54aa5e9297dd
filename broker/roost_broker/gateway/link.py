"""The connection to the centre's streams: made again by itself, publishing with acknowledgements, asking what is there.

One of the three modules here that speak to NATS (beside `down` and `pictures`). Every connection is a new one with an
inbox of its own, so that no acknowledgement of an earlier one is mistaken: what was on its way when a connection ended
has an unknown fate, and the dispatcher asks.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote

import msgspec

from roost_broker.centre.access import NatsAccess, hang_up
from roost_broker.centre.envelope import LANE, OUTBOX, SEQ, TOPIC, Envelope, headers_of
from roost_broker.centre.lanes import LANE_NAMES, LANES, LaneName, node_subjects, subject_of
from roost_broker.centre.pulling import ConsumerGone, Pulled, Puller
from roost_broker.clock import SECOND, Clock
from roost_broker.errors import Misuse
from roost_broker.gateway.dispatch import Acked, Event, Failed
from roost_broker.gateway.rows import content_of
from roost_broker.reconnect import Reconnect, ReconnectPolicy

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.js.api import ConsumerInfo
    from nats.js.client import JetStreamContext

_log = logging.getLogger(__name__)
_PAGE = 500
_CALL_S = 5.0
_PING_S = 5
T = TypeVar("T")
_TOO_LARGE = 10_054  # JetStream's "message size exceeds maximum allowed"


class _Error(msgspec.Struct):
    err_code: int = 0
    description: str = ""


class _Answer(msgspec.Struct):
    seq: int = 0
    duplicate: bool = False
    error: _Error | None = None


_answers = msgspec.json.Decoder(_Answer)


class CentreLink:
    """See the module. `tell` is called with what the centre said, `linked` with True or False as the link changes."""

    def __init__(
        self,
        access: NatsAccess,
        *,
        name: str,
        base: str,
        clock: Clock,
        tell: Callable[[Event], None],
        linked: Callable[[bool], None],
        policy: ReconnectPolicy | None = None,
    ) -> None:
        self._access = access
        self._name = name
        self._base = base
        self._clock = clock
        self._tell = tell
        self._linked = linked
        self._reconnect = Reconnect(policy or ReconnectPolicy())
        self._client: Client | None = None
        self._inbox = ""
        self._gone = asyncio.Event()
        self._complaint = ""
        self._asking: dict[LaneName, asyncio.Lock] = {lane: asyncio.Lock() for lane in LANE_NAMES}
        self.denied = 0
        """How often the centre said that we may not do what we tried."""
        self.rivals = 0
        """How often another one took our reader away: a second gateway of this name is at the centre."""
        self.duplicates = 0
        """Acknowledgements that said: this one was there already."""
        self.bytes_sent = 0
        """As NATS counts them: payloads, headers and subjects."""

    @property
    def up(self) -> bool:
        """Whether the centre is reachable at this moment."""
        return self._client is not None and self._client.is_connected

    @property
    def client(self) -> "Client | None":
        """The connection; None while the centre is away."""
        return self._client

    @property
    def jetstream(self) -> "JetStreamContext | None":
        """For whoever does more than publish; None while the centre is away."""
        return self._client.jetstream(timeout=_CALL_S) if self._client is not None and self.up else None

    async def run(self) -> None:
        """Connect, and again after every loss, until cancelled. Raises `Misuse` for files that cannot be used."""
        from nats.errors import Error

        while True:
            gone = self._gone = asyncio.Event()
            try:
                client = await self._connect(gone)
            except (Error, OSError, TimeoutError, asyncio.InvalidStateError) as error:
                self._complain(str(error) or type(error).__name__)
            else:
                self._complaint = ""
                self._reconnect.connected(self._clock.monotonic_ns())
                self._client = client
                try:
                    self._linked(True)
                    await gone.wait()
                finally:
                    self._client = None
                    self._linked(False)
                    await _end(client)
            delay = self._reconnect.lost(self._clock.monotonic_ns(), random.random())  # noqa: S311 - jitter, no secret
            await asyncio.sleep(delay / SECOND)

    def hang_up(self) -> None:
        """End this connection; the next one is made at once. What it would still have said is not heard."""
        self._inbox = ""
        self._gone.set()

    async def _connect(self, gone: asyncio.Event) -> "Client":
        from nats.aio.client import Client

        async def lost() -> None:
            gone.set()

        async def failed(error: Exception) -> None:
            """What went wrong is told by the calls that notice it; no call notices that something is forbidden."""
            if "permissions" in str(error).lower():
                self.denied += 1
                self._complain(str(error))

        client = Client()
        try:
            # nats-py's own limit is for one step of connecting; this one is for all of them.
            async with asyncio.timeout(self._access.connect_timeout_s):
                await client.connect(
                    servers=list(self._access.urls),
                    name=self._name,
                    tls=self._access.tls(),
                    user=self._access.user or None,
                    password=self._access.password(),
                    user_credentials=self._access.credentials or None,
                    connect_timeout=max(1, round(self._access.connect_timeout_s)),
                    inbox_prefix=f"_INBOX.{self._name}".encode(),  # so that the server can keep others' answers from us
                    allow_reconnect=False,
                    ping_interval=_PING_S,
                    max_outstanding_pings=2,
                    error_cb=failed,
                    disconnected_cb=lost,
                    closed_cb=lost,
                )
                self._inbox = client.new_inbox()
                await client.subscribe(f"{self._inbox}.*.*", cb=self._answered)
                await client.flush(timeout=max(1, round(self._access.connect_timeout_s)))
        except BaseException as error:
            await _end(client)
            if isinstance(error, ModuleNotFoundError):
                raise Misuse(f"gateway.centre needs {error.name}, which is not installed.", "Install it.") from error
            raise
        return client

    def _complain(self, cause: str) -> None:
        """Once for each cause: a centre that is away for a week must not fill the journal."""
        level = logging.DEBUG if cause == self._complaint else logging.WARNING
        self._complaint = cause
        _log.log(level, "No centre at %s: %s; trying again.", ", ".join(self._access.urls), cause)

    # -- publishing -----------------------------------------------------------------------------------------------

    async def publish(self, envelope: Envelope) -> None:
        """Hand one message to the network; what becomes of it is told."""
        from nats.errors import Error, MaxPayloadError

        client = self._client
        if client is None:
            return  # its fate was told with the end of the link
        subject = subject_of(envelope.topic, envelope.lane, self._base)
        headers = headers_of(envelope)
        reply = f"{self._inbox}.{LANE_NAMES.index(envelope.lane)}.{envelope.seq}"
        try:
            await client.publish(subject, envelope.payload, reply=reply, headers=headers)
        except MaxPayloadError:
            self._tell(Failed(envelope.lane, envelope.seq, "too-large", forever=True))
        except (Error, OSError):
            self._tell(Failed(envelope.lane, envelope.seq, "unsent"))
        else:
            self.bytes_sent += len(subject) + len(envelope.payload) + len(reply) + 12
            self.bytes_sent += sum(len(key) + len(value) + 4 for key, value in headers.items())

    async def _answered(self, message: "Msg") -> None:
        """An acknowledgement, or why there is none."""
        lane_number, _, number = message.subject.removeprefix(f"{self._inbox}.").partition(".")
        try:
            lane, seq = LANE_NAMES[int(lane_number)], int(number)
        except (ValueError, IndexError):
            return  # a stranger guessed our inbox, or it is an earlier connection's
        if message.headers and message.headers.get("Status"):
            self._tell(Failed(lane, seq, "no-stream"))
            return
        try:
            answer = _answers.decode(message.data)
        except msgspec.DecodeError:
            self._tell(Failed(lane, seq, "unreadable"))
            return
        if answer.error is not None:
            cause = "too-large" if answer.error.err_code == _TOO_LARGE else f"error-{answer.error.err_code}"
            self._tell(Failed(lane, seq, cause, forever=answer.error.err_code == _TOO_LARGE))
            return
        self.duplicates += answer.duplicate
        self._tell(Acked(lane, seq, answer.seq, answer.duplicate))

    # -- asking ---------------------------------------------------------------------------------------------------

    async def ask(
        self, lane: LaneName, position: int | None, outbox: str, nodes: tuple[str, ...]
    ) -> tuple[dict[int, int], int] | None:
        """What the lane's stream holds of this outbox behind `position`, number → place, and where the stream ends.

        None when it cannot be told now.
        """
        async with self._asking[lane]:  # its reader has one name
            return await self._read(lane, position, outbox, nodes, _place)

    async def contents(
        self, lane: LaneName, position: int | None, outbox: str, nodes: tuple[str, ...]
    ) -> dict[int, bytes] | None:
        """The same, number → `content_of` what is there; of the whole stream without a `position`."""
        async with self._asking[lane]:
            answer = await self._read(lane, position or 0, outbox, nodes, _content)
        return None if answer is None else answer[0]

    async def _read(
        self,
        lane: LaneName,
        position: int | None,
        outbox: str,
        nodes: tuple[str, ...],
        value: Callable[[Pulled], T],
    ) -> tuple[dict[int, T], int] | None:
        from nats.errors import Error
        from nats.js.errors import Error as StreamError

        client, streams = self._client, self.jetstream
        if client is None or streams is None:
            return None
        stream = LANES[lane].stream
        try:
            tail = (await streams.stream_info(stream)).state.last_seq
            found: dict[int, T] = {}
            if position is not None and position != tail:
                start = position + 1 if position < tail else 1  # behind its end: it is another stream than it was
                for node in nodes:
                    subjects = node_subjects(lane, node, self._base)
                    found |= await self._listed(client, stream, subjects, start, (outbox, lane), value)
        except (Error, StreamError, ConsumerGone, OSError, TimeoutError) as error:
            _log.info("The stream %s does not tell what it holds: %s.", stream, str(error) or type(error).__name__)
            return None
        return found, tail

    async def _listed(
        self,
        client: "Client",
        stream: str,
        subjects: str,
        start: int,
        ours: tuple[str, str],
        value: Callable[[Pulled], T],
    ) -> dict[int, T]:
        from nats.js import api
        from nats.js.errors import NotFoundError

        config = api.ConsumerConfig(
            name=self._name,  # and not a random one: a server's permissions can name it
            deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=start,
            filter_subject=subjects,
            ack_policy=api.AckPolicy.EXPLICIT,
            max_ack_pending=-1,
            headers_only=value is not _content,
            inactive_threshold=30,
            mem_storage=True,
            num_replicas=1,
        )
        streams = client.jetstream(timeout=_CALL_S)
        with contextlib.suppress(NotFoundError):  # left by a connection that was lost in the middle of this
            await streams.delete_consumer(stream, self._name)
        made = await streams.add_consumer(stream, config)
        found: dict[int, T] = {}
        try:
            left = made.num_pending or 0
            async with Puller(client, stream, made.name, batch=_PAGE) as puller:
                while left > 0:
                    messages = await puller.next(_CALL_S)
                    if not messages:
                        raise TimeoutError(f"{left} messages of {stream} do not come")
                    for message in messages:
                        left = message.waiting
                        if (message.headers.get(OUTBOX), message.headers.get(LANE)) == ours:
                            with contextlib.suppress(ValueError):
                                found[int(message.headers.get(SEQ, ""))] = value(message)
            await self._still_ours(client, stream, made)
        finally:
            from nats.errors import Error
            from nats.js.errors import Error as StreamError

            with contextlib.suppress(Error, StreamError, OSError, TimeoutError):  # it goes by itself in half a minute
                await streams.delete_consumer(stream, made.name)
        return found

    async def _still_ours(self, client: "Client", stream: str, made: "ConsumerInfo") -> None:
        """Raises `ConsumerGone` when a second gateway of this name made the reader anew: what we read may be its."""
        from nats.js.errors import NotFoundError

        try:
            found = await client.jetstream(timeout=_CALL_S).consumer_info(stream, made.name)
        except NotFoundError:
            found = None
        if found is None or found.created != made.created:
            self.rivals += 1
            level = logging.WARNING if self.rivals == 1 else logging.DEBUG
            _log.log(level, "A second gateway named %s is at the centre: give one of the two another name.", self._name)
            raise ConsumerGone(f"Another one made the reader {made.name} of {stream} anew.")


def _place(message: Pulled) -> int:
    return message.stream_seq


def _content(message: Pulled) -> bytes:
    return content_of(unquote(message.headers.get(TOPIC, "")), message.payload)


async def _end(client: "Client") -> None:
    """Close a connection, whatever state it is in."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(1):
            await hang_up(client)
