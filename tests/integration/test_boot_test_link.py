"""The boot test's operator, against a real Mosquitto with the fleet's certificates on either side."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pytest

from roost_broker.clock import SystemClock
from roost_broker.errors import PeerError
from roost_broker.headers import new_header
from roost_broker.identities import identity
from roost_broker.messages import Availability, Reply, encode
from roost_broker.mosquitto import find_mosquitto
from roost_broker.private_process import PrivateProcess, free_port
from roost_edge.enrolment import keys
from roost_provisioning.boot_test.device_link import DeviceLink, Papers
from roost_provisioning.pki.authority import Authority
from roost_provisioning.pki.rotation import begin
from roost_provisioning.pki.settings import AuthoritySettings
from roost_provisioning.pki.signing_requests import key_of

pytestmark = pytest.mark.broker
T = TypeVar("T")
PATIENCE_S = 60


def until(found: Callable[[], T | None], what: str, timeout_s: float) -> T:
    end = time.monotonic() + timeout_s
    while (value := found()) is None:
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.02)
    return value


def unencrypted(key: Path) -> bytes | None:
    return None


def papers(authority: Authority, folder: Path, kind: str, name: str) -> Papers:
    folder = folder / name
    folder.mkdir()
    key = keys.new_key()
    asked = keys.signing_request(keys.read_key(key))
    issued = authority.issue(identity(kind, name), key_of(asked), datetime.now(UTC), "for a test")
    made = Papers(folder / "ca.pem", folder / "own.pem", folder / "own.key")
    made.authority.write_text(issued.trust)
    made.certificate.write_text(issued.certificate)
    made.key.write_bytes(key)
    return made


class Device:
    """A broker with the certificate of a device, whose authority is `fleet`."""

    def __init__(self, folder: Path) -> None:
        settings = AuthoritySettings(fleet="henhouses")
        self.authority = begin(folder / "authority", settings, folder / "root-keys", unencrypted, datetime.now(UTC))
        own = papers(self.authority, folder, "device", "coop-1")
        self.operator = papers(self.authority, folder, "operator", "boot-test")
        self.port = free_port()
        lines = [f"listener {self.port} 127.0.0.1", "tls_version tlsv1.3", "require_certificate true", "user root"]
        lines += ["use_identity_as_username true", f"cafile {own.authority}", f"certfile {own.certificate}"]
        lines += [f"keyfile {own.key}"]
        self.configuration = folder / "mosquitto.conf"
        self.configuration.write_text("\n".join(lines) + "\n")
        self.process = PrivateProcess("The device's broker", folder / "mosquitto.log")


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    made = Device(tmp_path)
    command = [find_mosquitto(), "-c", str(made.configuration)]
    ready = lambda: "running" in made.process.log_file.read_text()  # noqa: E731  # a word, not a function
    assert made.process.start(command, ready, PATIENCE_S), made.process.last_words()
    yield made
    made.process.stop(10)
    made.authority.close()


def test_the_operator_sees_whose_certificate_it_is_and_hears_what_is_retained(device: Device) -> None:
    head = new_header(SystemClock(), "coop-1", "test")
    online = Availability(timestamp=head.timestamp, message_id=head.message_id, state="online", session=7)
    with DeviceLink(device.port, device.operator) as link:
        until(lambda: link.connected or None, "the connection", PATIENCE_S)
        who, version = link.peer()
        assert (str(who), version) == ("device:coop-1", "TLSv1.3")
        link.publish("roost/coop-1/availability", encode(online), retain=True)
    with DeviceLink(device.port, device.operator) as later:
        heard = until(lambda: later.take().nodes.get("coop-1"), "what is retained", PATIENCE_S)
    assert (heard.state, heard.session) == ("online", 7)


def test_a_question_is_answered_by_the_reply_with_its_own_transaction(device: Device) -> None:
    with DeviceLink(device.port, device.operator) as link:
        until(lambda: link.connected or None, "the connection", PATIENCE_S)

        def answering(found: Callable[[], Reply | None], what: str, timeout_s: float) -> Reply:
            """The device: it answers somebody else first."""
            asked = until(lambda: link.take().questions or None, "the question", PATIENCE_S)
            for transaction in ("another", asked[0].transaction):
                head = new_header(SystemClock(), "coop-1", "desk")
                reply = Reply(
                    timestamp=head.timestamp,
                    message_id=head.message_id,
                    verb="doctor",
                    transaction=transaction,
                    status="ok",
                    data={"for": transaction},
                )
                link.publish("roost/coop-1/response/doctor", encode(reply))
            return until(found, what, timeout_s)

        reply = link.ask("coop-1", "doctor", answering, PATIENCE_S)
    assert reply.data["for"] == reply.transaction != "another"


# paho leaves the socket of a failed handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning")
def test_a_broker_of_another_authority_is_not_believed(device: Device, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with begin(
        other / "authority", AuthoritySettings(fleet="strangers"), other / "root-keys", unencrypted, datetime.now(UTC)
    ) as strangers:
        stranger = papers(strangers, other, "operator", "boot-test")
    with DeviceLink(device.port, stranger) as link:
        until(lambda: link.trouble or None, "the refusal", PATIENCE_S)
        assert not link.connected
        with pytest.raises(PeerError, match="shown no certificate"):
            link.peer()
