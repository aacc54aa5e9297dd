"""The bus without a broker: the same rules in one process, for tests, simulation and `roost decide`.

It has what Mosquitto has as far as Roost relies on it: persistent sessions, retained messages, QoS 1 with manual
acknowledgement and redelivery, receive maximum, wills, bounded queues, message expiry, shared subscriptions. It adds
what only a simulation can do: `cut` a connection, `stop` and `start` the broker, with or without its memory. Nothing
here sleeps; everything happens on later turns of the running event loop, so a virtual clock can drive it.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from roost_broker.bus import Delivery, Handler, Will
from roost_broker.clock import SECOND, Clock, SystemClock
from roost_broker.errors import Misuse, PeerError, QueueFull
from roost_broker.outgoing import Outgoing, Taken, check_publication, fail
from roost_broker.routes import Routes
from roost_broker.topics import matches, share_group, without_share

_log = logging.getLogger(__name__)
_TOPIC_MEMORY = 1000


@dataclass(frozen=True, slots=True)
class _Message:
    topic: str
    payload: bytes
    qos: int
    retained: bool = False
    redelivered: bool = False
    expires: int | None = None
    response_topic: str | None = None
    correlation_data: bytes | None = None


@dataclass(frozen=True, slots=True)
class _Rim:
    expiry_s: int | None = None
    response_topic: str | None = None
    correlation_data: bytes | None = None


@dataclass(slots=True, eq=False)
class _Session:
    client_id: str
    filters: dict[str, int] = field(default_factory=dict)
    pending: "deque[_Message]" = field(default_factory=deque)
    unacknowledged: dict[int, _Message] = field(default_factory=dict)
    owner: "MemoryBus | None" = None

    def revive(self) -> None:
        """What was not acknowledged comes first again, in its old order."""
        again = [replace(message, redelivered=True) for message in self.unacknowledged.values()]
        self.pending.extendleft(reversed(again))
        self.unacknowledged.clear()


class MemoryBroker:
    """Sessions and retained messages of any number of `MemoryBus`es.

    `max_queued` bounds what one session keeps beyond its unacknowledged messages; `dropped` counts by client id
    what went beyond it, as Mosquitto would without a word.
    """

    def __init__(self, *, max_queued: int = 1000, clock: Clock | None = None) -> None:
        self.max_queued = max_queued
        self.dropped: Counter[str] = Counter()
        self._clock = clock or SystemClock()
        self._running = True
        self._sessions: dict[str, _Session] = {}
        self._retained: dict[str, _Message] = {}
        self._buses: dict[str, MemoryBus] = {}
        self._held: set[str] = set()
        self._turns: Counter[str] = Counter()
        self._known: dict[str, tuple[list[tuple[_Session, int]], list[str]]] = {}

    @property
    def running(self) -> bool:
        """Whether it takes connections."""
        return self._running

    def retained(self, topic: str) -> bytes | None:
        """The retained payload of a topic."""
        message = self._retained.get(topic)
        return None if message is None else message.payload

    def waiting(self, client_id: str) -> int:
        """Messages a session has still to deliver or to get acknowledged."""
        session = self._sessions.get(client_id)
        return 0 if session is None else len(session.pending) + len(session.unacknowledged)

    # -- what a simulation does to it ---------------------------------------------------------------------------

    def cut(self, client_id: str, *, hold: bool = False) -> None:
        """End a connection abnormally: the will is published. The bus comes back by itself, unless held."""
        bus = self._buses.get(client_id)
        if hold:
            self._held.add(client_id)
        if bus is not None and bus.connected:
            self._lose(bus, say_will=True)
            bus._come_back()

    def restore(self, client_id: str) -> None:
        """Let a held bus come back."""
        self._held.discard(client_id)
        bus = self._buses.get(client_id)
        if bus is not None:
            bus._come_back()

    def stop(self) -> None:
        """End all connections at once, as the broker's death does: no will is published."""
        self._running = False
        for bus in list(self._buses.values()):
            if bus.connected:
                self._lose(bus, say_will=False)

    def start(self, *, forget: bool = False) -> None:
        """Take connections again; with `forget` as a broker that lost sessions and retained messages."""
        if forget:
            self._sessions.clear()
            self._retained.clear()
            self._known.clear()
        self._running = True
        for bus in self._buses.values():
            bus._come_back()

    def restart(self, *, forget: bool = False) -> None:
        """Stop and start. `forget=True` is Mosquitto after kill -9, `False` after an orderly stop."""
        self.stop()
        self.start(forget=forget)

    # -- what a bus asks of it ----------------------------------------------------------------------------------

    def _accepts(self, client_id: str) -> bool:
        return self._running and client_id not in self._held

    def _attach(self, bus: "MemoryBus") -> None:
        session = self._sessions.setdefault(bus.client_id, _Session(bus.client_id))
        earlier = session.owner
        if earlier is not None and earlier is not bus:
            self._lose(earlier, say_will=True)
            earlier._taken_over()
        self._buses[bus.client_id] = bus
        session.owner = bus
        session.revive()

    def _detach(self, bus: "MemoryBus", *, forget: bool) -> None:
        if self._buses.get(bus.client_id) is bus:
            del self._buses[bus.client_id]
        session = self._sessions.get(bus.client_id)
        if session is not None and session.owner is bus:
            session.owner = None
            if forget:
                del self._sessions[bus.client_id]
                self._known.clear()

    def _lose(self, bus: "MemoryBus", *, say_will: bool) -> None:
        session = self._sessions.get(bus.client_id)
        if session is not None and session.owner is bus:
            session.owner = None
        bus._lost()
        if say_will and bus.will is not None:
            self._route(_Message(bus.will.topic, bus.will.payload, 1), retain=True)

    def _subscribe(self, client_id: str, topic_filter: str, qos: int) -> None:
        session = self._sessions[client_id]
        session.filters[topic_filter] = qos
        self._known.clear()
        if share_group(topic_filter) is None:
            for topic, message in self._retained.items():
                if matches(topic_filter, topic):
                    self._give(session, replace(message, qos=min(qos, message.qos), retained=True))

    def _accept(self, item: Outgoing) -> None:
        rim = item.properties if isinstance(item.properties, _Rim) else _Rim()
        expires = None if rim.expiry_s is None else self._clock.monotonic_ns() + rim.expiry_s * SECOND
        message = _Message(
            item.topic,
            item.payload,
            item.qos,
            expires=expires,
            response_topic=rim.response_topic,
            correlation_data=rim.correlation_data,
        )
        self._route(message, retain=item.retain)

    def _due(self, message: _Message) -> bool:
        return message.expires is not None and self._clock.monotonic_ns() >= message.expires

    def _route(self, message: _Message, *, retain: bool) -> None:
        if retain:
            if message.payload:
                self._retained[message.topic] = message
            else:
                self._retained.pop(message.topic, None)
        direct, shared = self._readers(message.topic)
        for session, qos in direct:
            self._give(session, message if qos >= message.qos else replace(message, qos=qos))
        for topic_filter in shared:
            self._give_to_one(topic_filter, message)

    def _readers(self, topic: str) -> tuple[list[tuple[_Session, int]], list[str]]:
        known = self._known.get(topic)
        if known is not None:
            return known
        direct: list[tuple[_Session, int]] = []
        shared: dict[str, None] = {}
        for session in self._sessions.values():
            hits = {f: qos for f, qos in session.filters.items() if matches(without_share(f), topic)}
            own = [qos for f, qos in hits.items() if share_group(f) is None]
            if own:
                direct.append((session, max(own)))
            shared.update(dict.fromkeys(f for f in hits if share_group(f) is not None))
        if len(self._known) >= _TOPIC_MEMORY:
            self._known.clear()
        self._known[topic] = (direct, list(shared))
        return self._known[topic]

    def _give_to_one(self, topic_filter: str, message: _Message) -> None:
        """Shared subscription: the members in turn, those who are there first."""
        members = [session for session in self._sessions.values() if topic_filter in session.filters]
        present = [session for session in members if session.owner is not None] or members
        session = present[self._turns[topic_filter] % len(present)]
        self._turns[topic_filter] += 1
        self._give(session, replace(message, qos=min(message.qos, session.filters[topic_filter])))

    def _give(self, session: _Session, message: _Message) -> None:
        if session.owner is None and message.qos == 0:
            return
        if len(session.pending) >= self.max_queued:
            self.dropped[session.client_id] += 1
            return
        session.pending.append(message)
        if session.owner is not None:
            session.owner._wake()


class MemoryBus:
    """See `bus.Bus` for the rules. `will` is published by `MemoryBroker.cut`, not by `stop`."""

    def __init__(
        self,
        broker: MemoryBroker,
        client_id: str,
        *,
        will: Will | None = None,
        receive_maximum: int = 64,
        max_queued: int = 1000,
    ) -> None:
        if not client_id:
            raise Misuse("A session needs a name.", "Give a client id that stays the same from start to start.")
        self.will = will
        self._broker = broker
        self._client_id = client_id
        self._receive_maximum = receive_maximum
        self._max_queued = max_queued
        self._routes = Routes()
        self._waiting: deque[Outgoing] = deque()
        self._epoch = 0
        self._number = 0
        self._started = False
        self._stopped = False
        self._connected = False
        self._coming = False
        self._work_due = False
        self._up: asyncio.Future[None] | None = None
        self._connection_callbacks: list[Callable[[bool], None]] = []
        self._error_callbacks: list[Callable[[str, BaseException], None]] = []

    @property
    def client_id(self) -> str:
        """Stable name of this session."""
        return self._client_id

    @property
    def connected(self) -> bool:
        """Whether the broker is reachable at this moment."""
        return self._connected

    @property
    def unsent(self) -> int:
        """Publications the broker has not taken responsibility for."""
        return len(self._waiting)

    async def start(self) -> None:
        """Connect; waits for a broker that is stopped."""
        if self._started:
            raise Misuse("This bus was started before.", "Make a new one; a bus is started and stopped once.")
        self._started = True
        self._up = asyncio.get_running_loop().create_future()
        # Known to the broker from now on, so that its start wakes us.
        self._broker._buses.setdefault(self._client_id, self)
        self._come_back()
        await self._up

    async def stop(self, *, forget: bool = False) -> None:
        """Disconnect in order; with `forget` the broker keeps nothing of the session."""
        if self._stopped or not self._started:
            self._stopped = True
            return
        self._stopped = True
        if self._connected:
            self._send_waiting()
        forget = forget and self._connected
        self._connected = False
        self._epoch += 1
        self._broker._detach(self, forget=forget)
        why = "The bus was stopped before the broker had acknowledged this publication."
        if self._up is not None:
            fail(self._up, PeerError(why))
        for item in self._waiting:
            item.settle(PeerError(why), self._report)
        self._waiting.clear()
        await asyncio.sleep(0)

    def subscribe(self, topic_filter: str, handler: Handler, *, qos: int = 1) -> None:
        """See `bus.Bus`. Raises `Misuse` for a filter that overlaps an earlier one of this bus."""
        self._routes.add(topic_filter, handler, qos)
        if self._connected:
            self._broker._subscribe(self._client_id, topic_filter, qos)

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        expiry_s: int | None = None,
        response_topic: str | None = None,
        correlation_data: bytes | None = None,
        taken: Taken | None = None,
    ) -> "asyncio.Future[None]":
        """See `bus.Bus`. Raises `QueueFull`, and `Misuse` for what no broker would take."""
        encoded = check_publication(topic, payload, qos)
        if self._stopped:
            raise Misuse("This bus was stopped.", "Publish before stop().")
        if len(self._waiting) >= self._max_queued:
            raise QueueFull(
                f"{self._max_queued} publications wait for the broker already.", "Wait for some, or raise max_queued."
            )
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        rim = _Rim(expiry_s, response_topic, correlation_data)
        self._waiting.append(Outgoing(topic, encoded, bytes(payload), qos, retain, done, rim, taken))
        self._wake()
        return done

    def on_connection(self, callback: Callable[[bool], None]) -> None:
        """Call back with True after each (re)connection and False after each loss."""
        self._connection_callbacks.append(callback)

    def on_error(self, callback: Callable[[str, BaseException], None]) -> None:
        """Call back when a handler raised."""
        self._error_callbacks.append(callback)

    # -- called by the broker -----------------------------------------------------------------------------------

    def _wake(self) -> None:
        if self._connected and not self._work_due:
            self._work_due = True
            asyncio.get_running_loop().call_soon(self._work)

    def _come_back(self) -> None:
        if self._started and not self._stopped and not self._connected and not self._coming:
            self._coming = True
            asyncio.get_running_loop().call_soon(self._connect)

    def _lost(self) -> None:
        self._connected = False
        self._epoch += 1
        self._tell_connection(False)

    def _taken_over(self) -> None:
        self._stopped = True
        self._report("The session was taken over", PeerError(f"Another bus is {self._client_id!r} now."))

    # -- turns of the loop --------------------------------------------------------------------------------------

    def _connect(self) -> None:
        self._coming = False
        if self._stopped or self._connected or not self._broker._accepts(self._client_id):
            return
        self._epoch += 1
        self._broker._attach(self)
        self._connected = True
        for topic_filter, qos in self._routes:
            self._broker._subscribe(self._client_id, topic_filter, qos)
        if self._up is not None and not self._up.done():
            self._up.set_result(None)
        self._tell_connection(True)
        self._wake()

    def _work(self) -> None:
        self._work_due = False
        if self._connected:
            self._send_waiting()
            self._deliver()

    def _send_waiting(self) -> None:
        while self._waiting and self._connected:
            item = self._waiting.popleft()
            self._broker._accept(item)
            item.settle(None, self._report)

    def _deliver(self) -> None:
        session = self._broker._sessions[self._client_id]
        while self._connected and session.pending and len(session.unacknowledged) < self._receive_maximum:
            message = session.pending.popleft()
            if not self._broker._due(message):
                self._hand_over(session, message)

    def _hand_over(self, session: _Session, message: _Message) -> None:
        handler = self._routes.find(message.topic)
        if handler is None:
            return  # a filter of an earlier start that this one does not have
        acknowledge: Callable[[], None] | None = None
        if message.qos:
            self._number += 1
            number, epoch = self._number, self._epoch
            session.unacknowledged[number] = message

            def acknowledge() -> None:
                if epoch == self._epoch:
                    session.unacknowledged.pop(number, None)
                    self._wake()

        delivery = Delivery(
            message.topic,
            message.payload,
            retained=message.retained,
            redelivered=message.redelivered,
            response_topic=message.response_topic,
            correlation_data=message.correlation_data,
            _ack=acknowledge,
        )
        try:
            handler(delivery)
        except Exception as error:  # noqa: BLE001 - rule 4: reported, unacknowledged, and the bus lives on
            self._report(f"The handler of {message.topic} failed", error)

    def _tell_connection(self, up: bool) -> None:
        for callback in self._connection_callbacks:
            try:
                callback(up)
            except Exception as error:  # noqa: BLE001 - as in MqttBus
                self._report("A connection callback failed", error)

    def _report(self, sentence: str, error: BaseException) -> None:
        if not self._error_callbacks:
            _log.error("%s", sentence, exc_info=error)
        for callback in self._error_callbacks:
            callback(sentence, error)
