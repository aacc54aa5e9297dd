"""An operator's connection to a device's outer listener: TLS 1.3, and a certificate of the fleet on either side."""

import queue
import ssl
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from roost_broker import paho_properties
from roost_broker.clock import SystemClock
from roost_broker.errors import PeerError
from roost_broker.headers import new_header
from roost_broker.identities import Identity, parse
from roost_broker.messages import Ask, Reply, encode
from roost_broker.topics import NodeTopics
from roost_provisioning.boot_test.heard import Heard

T = TypeVar("T")
Until = Callable[[Callable[[], T | None], str, float], T]

_SESSION_S: Final = 3_600
_RETRY_S: Final = 5
_AT_ONCE: Final = 64
_WAITING: Final = 50_000


@dataclass(frozen=True, slots=True)
class Papers:
    """Who we are, and whom we believe: PEM files."""

    authority: Path
    certificate: Path
    key: Path


class DeviceLink:
    """Connects in the background, again after every loss. `take` moves what has come into `heard`."""

    def __init__(self, port: int, papers: Papers, base: str = "roost") -> None:
        self.heard = Heard()
        self.trouble = ""
        """Why the last attempt failed."""
        self._port = port
        self._base = base
        self._arrived: queue.Queue[tuple[str, bytes]] = queue.Queue(_WAITING)
        self._client = Client(
            CallbackAPIVersion.VERSION2, f"boot-test-{uuid.uuid4().hex[:12]}", protocol=MQTTProtocolVersion.MQTTv5
        )
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(papers.authority))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False  # it is reached through a forwarded port; its name is compared in `peer`
        context.load_cert_chain(papers.certificate, papers.key)
        self._client.tls_set_context(context)
        self._client.reconnect_delay_set(1, _RETRY_S)
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_message = self._on_message

    def __enter__(self) -> Self:
        """Begin to connect; return at once."""
        properties = paho_properties.connecting(_SESSION_S, _AT_ONCE)
        self._client.connect_async("127.0.0.1", self._port, keepalive=30, clean_start=False, properties=properties)
        self._client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def connected(self) -> bool:
        """Whether the broker has let us in and not gone since."""
        return self._client.is_connected()

    def take(self) -> Heard:
        """Everything that has come until now."""
        while True:
            try:
                topic, payload = self._arrived.get_nowait()
            except queue.Empty:
                return self.heard
            self.heard.feed(topic, payload)

    def peer(self) -> tuple[Identity, str]:
        """Whose certificate the device showed, and the version of TLS. Raises `PeerError` when it showed none."""
        from cryptography import x509

        sock = self._client.socket()
        shown = sock.getpeercert(binary_form=True) if isinstance(sock, ssl.SSLSocket) else None
        if shown is None or not isinstance(sock, ssl.SSLSocket):
            raise PeerError("The device has shown no certificate.")
        names = x509.load_der_x509_certificate(shown).subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        return parse(str(names[0].value) if names else ""), str(sock.version())

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Say something; it waits for the connection."""
        self._client.publish(topic, payload, qos=1, retain=retain)

    def ask(self, node: str, verb: str, until: Until[Reply], timeout_s: float) -> Reply:
        """Ask the device something and wait for its answer. Raises `PeerError` when none comes."""
        topics = NodeTopics(node, self._base)
        head = new_header(SystemClock(), node, "boot-test")
        question = Ask(
            timestamp=head.timestamp,
            message_id=head.message_id,
            provenance=head.provenance,
            verb=verb,
            transaction=head.message_id,
        )
        self.publish(topics.request(verb), encode(question))
        return until(lambda: self.take().replies.get(head.message_id), f"the answer to `{verb}`", timeout_s)

    def _on_connect(self, client: Client, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self.trouble = f"the broker refused us: {reason}"
            return
        self.trouble = ""
        client.subscribe(f"{self._base}/#", qos=1)

    def _on_connect_fail(self, client: Client, data: Any) -> None:
        self.trouble = "nobody answers yet, or not as agreed"

    def _on_message(self, client: Client, data: Any, message: MQTTMessage) -> None:
        try:
            self._arrived.put_nowait((message.topic, bytes(message.payload)))
        except queue.Full:
            self.trouble = "more came than was taken"
