"""The identities at a real Mosquitto: who is let in, as whom; what renewal, revocation and rotation change."""

import os
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from enrolment_world import World, no_phrase, now, world

from roost_broker.identities import identity
from roost_broker.mosquitto import find_mosquitto
from roost_broker.private_process import PrivateProcess, free_port, listens_on
from roost_edge.enrolment import keys, renewing
from roost_edge.enrolment.folder import IdentityFolder
from roost_provisioning.pki import rotation
from roost_provisioning.pki.authority import signs_from
from roost_provisioning.pki.signing_requests import key_of

pytestmark = pytest.mark.broker
_CONNECT = b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02ab"
_CONNACK = b"\x20\x02\x00\x00"


class Broker:
    """A Mosquitto with the listener of a device, its files those of the device's identity."""

    def __init__(self, folder: Path, device: IdentityFolder) -> None:
        self.port = free_port()
        folder.mkdir()
        self.log = folder / "mosquitto.log"
        conf = folder / "mosquitto.conf"
        conf.write_text(
            f"listener {self.port} 127.0.0.1\n"
            f"cafile {device.ca}\ncertfile {device.certificate}\nkeyfile {device.key}\ncrlfile {device.crl}\n"
            "tls_version tlsv1.3\nrequire_certificate true\nuse_identity_as_username true\n"
            "user root\nlog_dest stderr\nlog_type all\n"
        )
        self._process = PrivateProcess("The broker", self.log)
        assert self._process.start([find_mosquitto(), "-c", str(conf)], self._listens, 60), self.log.read_text()

    def _listens(self) -> bool:
        return listens_on(self._process.pid, self.port)

    def reload(self) -> None:
        """SIGHUP, and wait until it has been obeyed: the next connection finds the new files."""
        before = self.log.read_text().count("Reloading config")
        os.kill(self._process.pid, signal.SIGHUP)
        while self.log.read_text().count("Reloading config") == before:
            assert self._process.running

    def stop(self) -> None:
        self._process.stop(10)

    def let_in(self, person: Path, ca: Path, name: str) -> bool:
        """Whether this person's certificate opens a session, at the device called `name`."""
        context = ssl.create_default_context(cafile=ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(person.with_suffix(".pem"), person.with_suffix(".key"))
        try:
            with (
                socket.create_connection(("127.0.0.1", self.port), timeout=60) as plain,
                context.wrap_socket(plain, server_hostname=name) as connection,
            ):
                connection.sendall(_CONNECT)
                return connection.recv(4) == _CONNACK
        except ssl.SSLCertVerificationError:
            raise
        except (ssl.SSLError, ConnectionError):
            return False


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path / "fleet") as made:
        yield made


@pytest.fixture
def device(fleet: World) -> IdentityFolder:
    return fleet.device("nest-a", fleet.token(name="nest-a"))


@pytest.fixture
def broker(tmp_path: Path, device: IdentityFolder) -> Iterator[Broker]:
    made = Broker(tmp_path / "broker", device)
    try:
        yield made
    finally:
        made.stop()


def person(fleet: World, folder: Path, kind: str, name: str) -> Path:
    """Key and certificate of somebody, as `roost pki issue` writes them."""
    folder.mkdir(exist_ok=True)
    key = keys.new_key()
    with fleet.open() as authority:
        issued = authority.issue(identity(kind, name), key_of(keys.signing_request(keys.read_key(key))), now(), "test")
    (folder / f"{name}.key").write_bytes(key)
    (folder / f"{name}.pem").write_text(issued.certificate)
    (folder / "ca.pem").write_text(issued.trust)
    return folder / name


def test_a_person_is_let_in_under_the_name_of_the_certificate_and_knows_the_device_by_its_name(
    fleet: World, broker: Broker, tmp_path: Path
) -> None:
    anna = person(fleet, tmp_path / "people", "operator", "anna")
    for name in ("nest-a", "nest-a.local"):
        assert broker.let_in(anna, tmp_path / "people" / "ca.pem", name)
    with pytest.raises(ssl.SSLCertVerificationError):
        broker.let_in(anna, tmp_path / "people" / "ca.pem", "nest-b")
    assert "u'operator:anna'" in broker.log.read_text()


def test_a_revoked_person_is_refused_once_the_device_has_the_list_and_the_broker_was_told(
    fleet: World, device: IdentityFolder, broker: Broker, tmp_path: Path
) -> None:
    anna, bert = (person(fleet, tmp_path / "people", "operator", one) for one in ("anna", "bert"))
    ca = tmp_path / "people" / "ca.pem"
    with fleet.open() as authority:
        authority.revoke("operator:bert", now(), "left")
    assert renewing.renew(device, now()).changed == ["crl"]
    assert broker.let_in(bert, ca, "nest-a"), "the broker has read its files when it was told last"
    broker.reload()
    assert not broker.let_in(bert, ca, "nest-a")
    assert broker.let_in(anna, ca, "nest-a")


def test_a_renewed_certificate_is_shown_after_a_reload(
    fleet: World, device: IdentityFolder, broker: Broker, tmp_path: Path
) -> None:
    anna = person(fleet, tmp_path / "people", "operator", "anna")
    assert renewing.renew(device, now(), new_key=True).changed[:2] == ["certificate", "key"]
    broker.reload()
    assert broker.let_in(anna, tmp_path / "people" / "ca.pem", "nest-a")
    shown = ssl.create_default_context(cafile=device.ca)
    with (
        socket.create_connection(("127.0.0.1", broker.port), timeout=60) as plain,
        shown.wrap_socket(plain, server_hostname="nest-a") as connection,
    ):
        assert connection.getpeercert(True) == _der(device)


def test_over_a_rotation_of_the_root_old_and_new_find_each_other(
    fleet: World, device: IdentityFolder, broker: Broker, tmp_path: Path
) -> None:
    """Anna has an old certificate and knows the old root alone; bert has a new one and knows both."""
    anna = person(fleet, tmp_path / "old", "operator", "anna")
    with fleet.open() as authority:
        rotation.new_root(authority, fleet.stick, no_phrase, now())
    assert renewing.renew(device, now()).changed == ["trust", "crl"], "on one of the two days before it signs"
    broker.reload()
    with fleet.open() as authority, authority.ledger.changing():
        authority.ledger.set_fact(signs_from(2), 0)  # the two days are over
    bert = person(fleet, tmp_path / "new", "operator", "bert")
    both = {anna: tmp_path / "old" / "ca.pem", bert: tmp_path / "new" / "ca.pem"}
    for who, ca in both.items():
        assert broker.let_in(who, ca, "nest-a"), "the device still has its old certificate"
    assert "certificate" in renewing.renew(device, now()).changed
    broker.reload()
    for who, ca in both.items():
        assert broker.let_in(who, ca, "nest-a"), "and now a new one"


def test_who_comes_from_an_issuing_authority_whose_list_the_broker_has_not_is_refused(
    fleet: World, device: IdentityFolder, broker: Broker, tmp_path: Path
) -> None:
    """Why a new issuing authority waits before it signs."""
    with fleet.open() as authority:
        rotation.new_issuer(authority, fleet.stick, no_phrase, now(), at_once=True)
    bert = person(fleet, tmp_path / "new", "operator", "bert")
    assert not broker.let_in(bert, tmp_path / "new" / "ca.pem", "nest-a")
    assert renewing.renew(device, now()).changed == ["crl"]
    broker.reload()
    assert broker.let_in(bert, tmp_path / "new" / "ca.pem", "nest-a")


def _der(device: IdentityFolder) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return device.chain()[0].public_bytes(Encoding.DER)
