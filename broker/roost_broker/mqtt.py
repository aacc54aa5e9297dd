"""The bus on a real broker: MQTT 5 through paho, driven by the event loop, without a thread.

Who holds what:
* `_waiting` holds publications not yet sent, `_sent` those sent and not yet acknowledged by the broker, by packet id.
  The latter are sent again after a reconnect with their packet ids (MQTT 5.0 §4.4); never more of them are out than
  the broker allows.
* Publications and their acknowledgements, both ways, are written and read by ourselves (`packets`), because paho needs
  ten times as long for them; everything else of MQTT is paho's.
* `_epoch` counts connections, so that the acknowledgement of a delivery from an earlier one does nothing: its packet
  id may belong to another message by now.
* A session that the broker forgot (killed, new card) is made anew: subscriptions are renewed on every connection.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from roost_broker import paho_properties
from roost_broker.buffered_socket import open_socket
from roost_broker.bus import Delivery, Handler, Will
from roost_broker.cancellation import cancel_and_wait, within
from roost_broker.clock import SECOND, Clock, SystemClock
from roost_broker.errors import Misuse, PeerError, QueueFull
from roost_broker.outgoing import NO_PROPERTIES, Outgoing, Taken, check_publication, fail
from roost_broker.packets import Acknowledged, Published, publish
from roost_broker.paho_client import PahoClient, Wire
from roost_broker.paho_import import ConnectFlags, DisconnectFlags, MQTTMessage
from roost_broker.reconnect import Reconnect, ReconnectPolicy
from roost_broker.refused import connection_refused, not_trusted, publication_refused, subscription_refused
from roost_broker.routes import Routes
from roost_broker.settings import BrokerSettings

_log = logging.getLogger(__name__)

# CONNACK reasons that no repetition mends (MQTT 5.0 §3.2.2.2): version, client id, password, not authorised, banned.
_HOPELESS = frozenset({0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C})
_FAILURE = 0x80
_CLOSE_S = 1.0


class MqttBus:
    """See `bus.Bus` for the rules. One instance is one session, named by `client_id`."""

    def __init__(
        self,
        settings: BrokerSettings,
        client_id: str,
        *,
        will: Will | None = None,
        receive_maximum: int | None = None,
        policy: ReconnectPolicy | None = None,
        clock: Clock | None = None,
    ) -> None:
        if not client_id:
            raise Misuse("A session needs a name.", "Give a client id that stays the same from start to start.")
        if settings.passwords:
            raise Misuse("Nobody said as which user to connect.", "Use `credentials.as_user` or `as_operator` first.")
        self._settings = settings
        self._client_id = client_id
        self._routes = Routes()
        self._waiting: deque[Outgoing] = deque()
        self._sent: dict[int, Outgoing] = {}
        self._window = settings.send_maximum
        self._largest = 0
        self._epoch = 0
        self._complaint = ""
        self._connected = False
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._greeting: asyncio.Future[None] | None = None
        self._gone = asyncio.Event()
        self._idle = asyncio.Event()
        self._ready: asyncio.Future[None] | None = None
        self._subscribing: dict[int, list[str]] = {}
        self._clock = clock or SystemClock()
        self._reconnect = Reconnect(policy or ReconnectPolicy())
        self._connection_callbacks: list[Callable[[bool], None]] = []
        self._error_callbacks: list[Callable[[str, BaseException], None]] = []
        self._client = self._make_client(will, receive_maximum or settings.receive_maximum)
        self._wire = Wire(self._client, self._arrived, self._acknowledged)

    @property
    def client_id(self) -> str:
        """Stable name of this session."""
        return self._client_id

    @property
    def connected(self) -> bool:
        """Whether the broker has greeted us and not gone since."""
        return self._connected

    @property
    def unsent(self) -> int:
        """Publications the broker has not taken responsibility for."""
        return len(self._waiting) + len(self._sent)

    # -- life ---------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Return when connected and subscribed for the first time; waits for a broker that is not there yet.

        Raises `PeerError` when the broker refuses us for good (password, client id, protocol version).
        """
        if self._task is not None:
            raise Misuse("This bus was started before.", "Make a new one; a bus is started and stopped once.")
        self._loop = asyncio.get_running_loop()
        self._ready = self._loop.create_future()
        self._task = self._loop.create_task(self._stay_connected(), name=f"mqtt {self._client_id}")
        await self._ready

    async def stop(self, *, forget: bool = False) -> None:
        """Give unsent publications `flush_s`, then say goodbye: the broker drops the will and keeps the session.

        With `forget` it drops the session as well (MQTT 5.0 §3.14.2.2.2).
        """
        if self._stopping or self._task is None:
            self._stopping = True
            return
        self._stopping = True
        try:
            if self._connected and self.unsent:
                self._idle.clear()
                await _within(self._settings.flush_s, self._idle.wait())
            if self._wire.is_open:
                self._client.disconnect(properties=paho_properties.ending_the_session() if forget else None)
                self._wire.flush()
                await _within(_CLOSE_S, self._gone.wait())
        finally:
            await cancel_and_wait(self._task)
            self._wire.drop()
            self._connected = False
            if self._ready is not None:
                fail(self._ready, PeerError("The bus was stopped before it was connected."))
            self._fail_all("The bus was stopped before the broker had acknowledged this publication.")

    def subscribe(self, topic_filter: str, handler: Handler, *, qos: int = 1) -> None:
        """See `bus.Bus`. Raises `Misuse` for a filter that overlaps an earlier one of this bus."""
        self._routes.add(topic_filter, handler, qos)
        if self._connected:
            self._send_subscriptions([(topic_filter, qos)])

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
        if self._stopping:
            raise Misuse("This bus was stopped.", "Publish before stop().")
        if len(self._waiting) + len(self._sent) >= self._settings.max_queued:
            raise QueueFull(
                f"{self._settings.max_queued} publications wait for the broker already.",
                "Wait for some of them, or raise broker.max_queued.",
            )
        if not qos and self._connected and not self._wire.has_room:
            raise QueueFull(
                "The broker does not take what was sent already.", "Leave it out: what may be lost waits for nobody."
            )
        properties = NO_PROPERTIES
        if expiry_s is not None or response_topic is not None or correlation_data is not None:
            properties = paho_properties.packed_for_the_rim(expiry_s, response_topic, correlation_data)
        done: asyncio.Future[None] = (self._loop or asyncio.get_running_loop()).create_future()
        item = Outgoing(topic, encoded, payload, qos, retain, done, properties, taken)
        if self._connected and not self._waiting and len(self._sent) < self._window:
            self._hand_over(item)
        else:
            self._waiting.append(item)
        return done

    def on_connection(self, callback: Callable[[bool], None]) -> None:
        """Call back with True after each (re)connection and False after each loss."""
        self._connection_callbacks.append(callback)

    def on_error(self, callback: Callable[[str, BaseException], None]) -> None:
        """Call back when a handler raised or the broker refused a subscription."""
        self._error_callbacks.append(callback)

    # -- connecting ---------------------------------------------------------------------------------------------

    def _make_client(self, will: Will | None, receive_maximum: int) -> PahoClient:
        client = PahoClient(
            CallbackAPIVersion.VERSION2,
            self._client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            manual_ack=True,
            reconnect_on_failure=False,
        )
        if self._settings.username is not None:
            client.username_pw_set(self._settings.username, self._settings.password)
        if will is not None:
            check_publication(will.topic, will.payload, 1)
            client.will_set(will.topic, will.payload, qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        client.connect_async(
            self._settings.host,
            self._settings.port,
            self._settings.keepalive_s,
            clean_start=False,
            properties=paho_properties.connecting(self._settings.session_expiry_s, receive_maximum),
        )
        return client

    async def _stay_connected(self) -> None:
        """Connect, and again after every loss, until stopped."""
        while not self._stopping:
            try:
                await self._connect()
            except (OSError, TimeoutError) as error:
                self._wire.drop()
                place = f"{self._settings.host}:{self._settings.port}"
                self._complain(
                    logging.WARNING, f"No broker at {place}: {str(error) or 'no answer in time'}; trying again."
                )
            except PeerError as error:
                self._wire.drop()
                if self._ready is not None and not self._ready.done():
                    self._ready.set_exception(error)
                    return
                self._complain(logging.ERROR, f"{error} Trying again.")
            except Exception as error:  # noqa: BLE001 - a defect here must be seen, and must not end the session
                self._wire.drop()
                self._report("Connecting failed in an unforeseen way", error)
            else:
                self._complaint = ""
                self._reconnect.connected(self._clock.monotonic_ns())
                await self._watch()
            delay = self._reconnect.lost(self._clock.monotonic_ns(), random.random())  # noqa: S311 - jitter, no secret
            await asyncio.sleep(delay / SECOND)

    def _complain(self, level: int, sentence: str) -> None:
        """Once for each cause: a broker that is away for a night must not fill the journal."""
        _log.log(logging.DEBUG if sentence == self._complaint else level, "%s", sentence)
        self._complaint = sentence

    async def _connect(self) -> None:
        """One attempt. Raises OSError, TimeoutError or PeerError (refused)."""
        async with asyncio.timeout(self._settings.connect_timeout_s):
            sock = await open_socket(self._settings)
            self._greeting = asyncio.get_running_loop().create_future()
            self._gone.clear()
            self._client.prepared = sock
            self._client.reconnect()
            await self._greeting

    async def _watch(self) -> None:
        """Until the connection is gone, let paho look after its pings."""
        pause = min(1.0, self._settings.keepalive_s / 4)
        while not self._gone.is_set():
            self._client.loop_misc()
            await _within(pause, self._gone.wait())

    def _on_connect(self, client: Any, data: Any, flags: ConnectFlags, reason: ReasonCode, properties: Any) -> None:
        if reason.value >= _FAILURE:
            error: Exception = connection_refused(self._settings, self._client_id, reason.value, str(reason))
            self._settle_greeting(error if reason.value in _HOPELESS else OSError(str(error)))
            return
        self._epoch += 1
        self._window = min(self._settings.send_maximum, getattr(properties, "ReceiveMaximum", 65_535))
        self._largest = getattr(properties, "MaximumPacketSize", 0)
        for packet_id, item in list(self._sent.items()):
            if self._too_large(item):  # a broker that came back with a smaller limit
                del self._sent[packet_id]
        if len(self._sent) > self._window:  # the broker allows fewer than before: not all can be sent again at once
            self._waiting.extendleft(reversed(self._sent.values()))
            self._sent.clear()
        self._subscribing.clear()
        self._send_subscriptions(list(self._routes))
        # Outside of paho's callback: what follows may end the connection.
        asyncio.get_running_loop().call_soon(self._after_greeting, self._epoch, flags.session_present)

    def _after_greeting(self, epoch: int, session_present: bool) -> None:
        if epoch != self._epoch or not self._wire.is_open:
            return
        self._connected = True
        self._settle_greeting(None)
        for packet_id, item in self._sent.items():  # in the order they were sent first (MQTT 5.0 §4.6)
            properties = item.properties
            self._wire.write(publish(item.encoded, item.payload, packet_id, item.retain, properties, session_present))
        self._hand_over_waiting()
        self._check_ready()
        self._tell_connection(True)

    def _settle_greeting(self, error: Exception | None) -> None:
        if self._greeting is not None and not self._greeting.done():
            if error is None:
                self._greeting.set_result(None)
            else:
                self._greeting.set_exception(error)

    def _on_disconnect(self, client: Any, data: Any, flags: DisconnectFlags, reason: ReasonCode, props: Any) -> None:
        if flags.is_disconnect_packet_from_server:
            _log.warning("The broker ended the session %s: %s", self._client_id, reason)
        greeted = self._greeting is None or self._greeting.done()
        if self._settings.ca and not greeted:  # TLS 1.3: a server says only now that it does not like our certificate
            self._lost(not_trusted(self._settings, self._wire.failure))
        else:
            self._lost(ConnectionError(f"the connection ended: {reason}"))

    def _lost(self, why: Exception) -> None:
        self._epoch += 1
        self._settle_greeting(why)
        was, self._connected = self._connected, False
        self._gone.set()
        if was and not self._stopping:
            self._tell_connection(False)

    def _tell_connection(self, up: bool) -> None:
        for callback in self._connection_callbacks:
            try:
                callback(up)
            except Exception as error:  # noqa: BLE001 - a callback's defect must not cost the connection
                self._report("A connection callback failed", error)

    # -- subscriptions ------------------------------------------------------------------------------------------

    def _send_subscriptions(self, filters: list[tuple[str, int]]) -> None:
        if filters:
            wanted = [(topic_filter, SubscribeOptions(qos=qos)) for topic_filter, qos in filters]
            _, mid = self._client.subscribe(wanted)
            if mid is not None:
                self._subscribing[mid] = [topic_filter for topic_filter, _ in filters]

    def _on_subscribe(self, client: Any, data: Any, mid: int, reasons: list[ReasonCode], properties: Any) -> None:
        for topic_filter, reason in zip(self._subscribing.pop(mid, []), reasons, strict=False):
            if reason.value >= _FAILURE:
                refused = subscription_refused(self._settings, topic_filter, reason.value, str(reason))
                self._report("Subscribing failed", refused)
        self._check_ready()

    def _check_ready(self) -> None:
        if self._connected and not self._subscribing and self._ready is not None and not self._ready.done():
            self._ready.set_result(None)

    # -- publications -------------------------------------------------------------------------------------------

    def _hand_over_waiting(self) -> None:
        while self._waiting and self._connected and len(self._sent) < self._window:
            self._hand_over(self._waiting.popleft())

    def _hand_over(self, item: Outgoing) -> None:
        if self._too_large(item):
            return
        packet_id = 0
        if item.qos:
            packet_id = self._client.next_packet_id()
            while packet_id in self._sent:  # after a wrap at 65,535
                packet_id = self._client.next_packet_id()
            self._sent[packet_id] = item
        self._wire.write(publish(item.encoded, item.payload, packet_id, item.retain, item.properties))
        if not item.qos:
            self._settle_soon(item, None)

    def _too_large(self, item: Outgoing) -> bool:
        """Whether it is over the broker's limit; then it has failed.

        Sent all the same, the broker would hang up, and again after each reconnect.
        """
        if not self._largest or item.wire_size <= self._largest:
            return False
        problem = f"{item.wire_size} bytes on {item.topic} are over the broker's limit of {self._largest}."
        self._settle_soon(item, PeerError(problem, "Send less, or raise Mosquitto's max_packet_size."))
        return True

    def _settle_soon(self, item: Outgoing, error: Exception | None) -> None:
        """Never within publish(): who publishes again in answer would do so without end."""
        asyncio.get_running_loop().call_soon(item.settle, error, self._report)

    def _acknowledged(self, found: Acknowledged) -> None:
        item = self._sent.pop(found.packet_id, None)
        if item is None:
            return  # acknowledged twice: no harm
        if found.reason >= _FAILURE:
            reason = paho_properties.refusal(found.reason)
            item.settle(publication_refused(self._settings, item.topic, found.reason, reason), self._report)
        else:
            item.settle(None, self._report)
        if self._waiting:
            self._hand_over_waiting()
        elif self._stopping and not self._sent:
            self._idle.set()

    def _fail_all(self, why: str) -> None:
        for item in (*self._sent.values(), *self._waiting):
            remedy = "It may or may not have arrived; publish it again after the next start."
            item.settle(PeerError(why, remedy), self._report)
        self._sent.clear()
        self._waiting.clear()

    # -- deliveries ---------------------------------------------------------------------------------------------

    def _on_message(self, client: Any, data: Any, message: MQTTMessage) -> None:
        """A publication with properties, read by paho."""
        properties = message.properties
        try:
            topic = message.topic
        except UnicodeDecodeError as error:
            self._no_topic(message.mid, error)
            return
        self._deliver(
            Delivery(
                topic,
                bytes(message.payload),
                message.retain,
                message.dup,
                getattr(properties, "ResponseTopic", None),
                getattr(properties, "CorrelationData", None),
            ),
            message.mid,
        )

    def _arrived(self, found: Published) -> None:
        """A publication without properties: nearly all of them."""
        try:
            topic = found.topic.decode()
        except UnicodeDecodeError as error:
            self._no_topic(found.packet_id, error)
            return
        self._deliver(Delivery(topic, found.payload, found.retained, found.again), found.packet_id)

    def _no_topic(self, packet_id: int, error: UnicodeDecodeError) -> None:
        self._report("A topic is not UTF-8", error)
        if packet_id and not self._stopping:
            self._acknowledge(packet_id, self._epoch)

    def _deliver(self, delivery: Delivery, packet_id: int) -> None:
        """Call the handler; `packet_id` is 0 for QoS 0, which nobody acknowledges."""
        if self._stopping:
            return  # nothing could be published in answer any more; unacknowledged, it comes again
        if packet_id:
            delivery._ack = partial(self._acknowledge, packet_id, self._epoch)
        handler = self._routes.find(delivery.topic)
        if handler is None:
            # A filter that an earlier start of this role had and this one has not: the session remembers it.
            delivery.ack()
            return
        try:
            handler(delivery)
        except Exception as error:  # noqa: BLE001 - rule 4: reported, unacknowledged, and the bus lives on
            self._report(f"The handler of {delivery.topic} failed", error)

    def _acknowledge(self, packet_id: int, epoch: int) -> None:
        if epoch == self._epoch:
            self._wire.acknowledge(packet_id)

    def _report(self, sentence: str, error: BaseException) -> None:
        if not self._error_callbacks:
            _log.error("%s", sentence, exc_info=error)
        for callback in self._error_callbacks:
            callback(sentence, error)


async def _within(seconds: float, work: Awaitable[object]) -> bool:
    """Await `work` for at most so long; whether it was done in time."""
    try:
        await within(work, seconds)
    except TimeoutError:
        return False
    return True
