"""What the centre publishes on a device: only allow-listed topics, only what belongs there; the rest is refused.

Rules:

1. A durable consumer for each device: what was said while the link was away comes when it is back, once.
2. The centre's message is acknowledged when the broker has taken it, or when it was refused for good.
3. Refused is told by name: `not-allowed` (the settings), `not-a-topic`, `malformed`, `misplaced` (a message of a kind
   that does not belong on that topic, or one to be retained where nothing is: an order would be obeyed for ever).
   A refusal is counted and told as an event.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from roost_broker.bus import Bus
from roost_broker.catalogue import entry_of
from roost_broker.centre.envelope import RETAINED
from roost_broker.centre.lanes import DOWN_STREAM, down_filter, topic_of
from roost_broker.centre.pulling import ConsumerGone, Pulled, Puller
from roost_broker.errors import Malformed, PeerError, QueueFull
from roost_broker.gateway.choosing import Choice
from roost_broker.messages import decode

if TYPE_CHECKING:
    from nats.aio.client import Client

    from roost_broker.gateway.link import CentreLink

_log = logging.getLogger(__name__)
_BATCH = 16
_POLL_S = 20.0
_PAUSE_S = 2.0


def judge(choice: Choice, base: str, subject: str, payload: bytes, *, retained: bool = False) -> tuple[str, str]:
    """The topic that a message from the centre may be published on, or "" and why it may not. Pure."""
    try:
        topic = topic_of(subject)
    except Malformed:
        return "", "not-a-topic"
    if not choice.may_come_down(topic):
        return "", "not-allowed"
    try:
        message = decode(payload)
    except Malformed:
        return "", "malformed"
    entry = entry_of(topic, base)
    if entry is None or not isinstance(message, entry.content) or (retained and not entry.retained):
        return "", "misplaced"
    return topic, ""


class Downward:
    """See the module's rules. `refused` is called with the cause and the subject."""

    def __init__(
        self,
        link: "CentreLink",
        bus: Bus,
        choice: Choice,
        *,
        base: str,
        counts: Counter[str],
        refused: Callable[[str, str], None],
    ) -> None:
        self._link = link
        self._bus = bus
        self._choice = choice
        self._base = base
        self._counts = counts
        self._refused = refused
        self._linked = asyncio.Event()

    def linked(self, up: bool) -> None:
        """The centre is reachable, or no more."""
        if up:
            self._linked.set()
        else:
            self._linked.clear()

    async def run(self) -> None:
        """Publish what comes, until cancelled."""
        filters = down_filter(self._choice.nodes, self._base)
        await asyncio.gather(
            *(self._follow(node, subjects) for node, subjects in zip(self._choice.nodes, filters, strict=True))
        )

    async def _follow(self, node: str, subjects: str) -> None:
        from nats.errors import Error
        from nats.js.errors import Error as StreamError

        while True:
            await self._linked.wait()
            client = self._link.client
            try:
                if client is not None:
                    await self._read(client, node, subjects)
            except (Error, StreamError, ConsumerGone, OSError, TimeoutError) as error:
                _log.debug("Nothing comes down for %s now: %s.", node, str(error) or type(error).__name__)
                self._counts["down-failed"] += 1
            await asyncio.sleep(_PAUSE_S)

    async def _read(self, client: "Client", node: str, subjects: str) -> None:
        from nats.js import api

        name = f"gateway-{'all' if node == '+' else node}"
        config = api.ConsumerConfig(
            name=name, durable_name=name, filter_subject=subjects, ack_policy=api.AckPolicy.EXPLICIT, ack_wait=30
        )
        await client.jetstream().add_consumer(DOWN_STREAM, config)
        async with Puller(client, DOWN_STREAM, name, batch=_BATCH, expires_s=_POLL_S) as puller:
            while self._link.client is client and client.is_connected:
                for message in await puller.next(_POLL_S):
                    await self._one(puller, message)

    async def _one(self, puller: Puller, message: Pulled) -> None:
        retain = message.headers.get(RETAINED) == "1"
        topic, cause = judge(self._choice, self._base, message.subject, message.payload, retained=retain)
        if cause:
            self._counts[f"down-{cause}"] += 1
            self._refused(cause, message.subject)
            await puller.refuse([message])
            return
        try:
            await self._bus.publish(topic, message.payload, retain=retain)
        except (QueueFull, PeerError):
            self._counts["down-delayed"] += 1
            return  # not acknowledged: it comes again
        self._counts["down"] += 1
        await puller.acknowledge([message])
