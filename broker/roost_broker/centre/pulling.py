"""Reading a consumer of JetStream in batches, at the reader's own pace.

The library's `fetch` waits for a whole batch or for its time to run out, so that a lone message is late by seconds.
Here a standing request asks for a batch, and `next` gives at once what has come. A request that was lost with a
connection or with a server is made again when its time is over, or as soon as the connection is back.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roost_broker.cancellation import within
from roost_broker.errors import PeerError

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription

_SECOND = 1_000_000_000
_GRACE_S = 1.0
"""How much later than a request's own end we stop believing in it."""
_ACK = b"+ACK"
_TERM = b"+TERM"


class ConsumerGone(PeerError):
    """The consumer is not there (any more): its server died with it, or somebody deleted it."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """One message of a stream, not yet acknowledged."""

    subject: str
    headers: dict[str, str]
    payload: bytes
    stream_seq: int
    stored_ms: int
    """When JetStream stored it."""
    waiting: int
    """Messages of the stream behind this one that the consumer has not given yet."""
    reply: str


class Puller:
    """Reads one consumer. Use it as an asynchronous context manager; one reader at a time."""

    def __init__(
        self, client: "Client", stream: str, consumer: str, *, batch: int = 500, expires_s: float = 5.0
    ) -> None:
        self._client = client
        self._stream = stream
        self.consumer = consumer
        self._batch = batch
        self._expires_s = expires_s
        self._come: deque[Pulled] = deque()
        self._news = asyncio.Event()
        self._inbox = client.new_inbox()
        self._subscription: Subscription | None = None
        self._open = 0
        """Messages that the standing request may still bring."""
        self._until = 0
        """When the standing request is over, monotonic nanoseconds."""
        self._reconnects = client.stats["reconnects"]
        self._gone = ""

    async def __aenter__(self) -> "Puller":
        self._subscription = await self._client.subscribe(self._inbox, cb=self._arrived)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._subscription is not None and self._client.is_connected:
            await self._subscription.unsubscribe()
        self._subscription = None

    async def next(self, wait_s: float) -> list[Pulled]:
        """What has come, at most a batch; empty when nothing came in `wait_s`. Raises `ConsumerGone`."""
        end = time.monotonic() + wait_s
        while not self._come:
            if self._gone:
                raise ConsumerGone(f"The consumer {self.consumer} of {self._stream} is gone: {self._gone}.")
            await self._keep_asking()
            left = end - time.monotonic()
            if left <= 0:
                return []
            self._news.clear()
            try:
                # Looked at more often than a request lasts, so that a new connection is noticed.
                await within(self._news.wait(), min(left, 0.25))
            except TimeoutError:
                continue
        await self._keep_asking()
        taken = [self._come.popleft() for _ in range(min(len(self._come), self._batch))]
        return taken

    async def acknowledge(self, messages: Iterable[Pulled]) -> None:
        """These are safe with the reader. Not confirmed: what gets lost on the way is delivered again."""
        for message in messages:
            await self._client.publish(message.reply, _ACK)

    async def refuse(self, messages: Iterable[Pulled]) -> None:
        """These will never be understood: they are not to be delivered again."""
        for message in messages:
            await self._client.publish(message.reply, _TERM)

    async def _keep_asking(self) -> None:
        now = time.monotonic_ns()
        reconnects = self._client.stats["reconnects"]
        if reconnects != self._reconnects:
            self._reconnects, self._open = reconnects, 0
        if now >= self._until:
            self._open = 0
        if self._open > 0 or len(self._come) >= self._batch or not self._client.is_connected:
            return
        self._open = self._batch
        self._until = now + int((self._expires_s + _GRACE_S) * _SECOND)
        request = {"batch": self._batch, "expires": int(self._expires_s * _SECOND)}
        await self._client.publish(
            f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self.consumer}",
            json.dumps(request).encode(),
            reply=self._inbox,
        )

    async def _arrived(self, message: "Msg") -> None:
        status = (message.headers or {}).get("Status")
        if status is None:
            self._open -= 1
            self._come.append(_pulled(message))
        elif status != "100":  # 100 is a heartbeat
            self._ended(status, (message.headers or {}).get("Description", ""))
        self._news.set()

    def _ended(self, status: str, words: str) -> None:
        """The standing request is over: 408 its time, 404 nothing there, 409 a conflict, 503 nobody answers."""
        self._open = 0
        if status == "503":
            # No leader now, or no such consumer: whoever asks too fast helps nobody.
            self._open, self._until = 1, time.monotonic_ns() + _SECOND // 4
        if status == "409" and "deleted" in words.lower():
            self._gone = words


def _pulled(message: "Msg") -> Pulled:
    about = message.metadata
    return Pulled(
        subject=message.subject,
        headers=dict(message.headers or {}),
        payload=message.data,
        stream_seq=about.sequence.stream,
        stored_ms=int(about.timestamp.timestamp() * 1000),
        waiting=about.num_pending,
        reply=message.reply,
    )
