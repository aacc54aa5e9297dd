"""A device's identity, with certificates made here: each way in which it can be wrong."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from patients import helps, patient

from roost_broker.clock import SECOND, VirtualClock
from roost_edge.doctor.findings import Verdict
from roost_edge.doctor.identity import identity

NOW = datetime(2027, 1, 15, 8, tzinfo=UTC)
DAY = timedelta(days=1)


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


@dataclass
class Authority:
    """A root that signs for devices itself."""

    name: str = "fleet"

    def __post_init__(self) -> None:
        self.key = generate_private_key(SECP256R1())
        self.root = self.sign(self.name, self.key, NOW - 100 * DAY, NOW + 1000 * DAY, ca=True)

    def sign(
        self, name: str, key: EllipticCurvePrivateKey, begin: datetime, end: datetime, *, ca: bool = False
    ) -> x509.Certificate:
        usage = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only",
             "decipher_only"), False
        )  # fmt: skip
        return (
            x509.CertificateBuilder()
            .subject_name(named(name))
            .issuer_name(named(self.name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(
                x509.KeyUsage(digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, **usage), critical=True
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("coop-1")]), critical=False)
            .sign(self.key, SHA256())
        )

    def revoke(self, *serials: int, due: datetime = NOW + 7 * DAY) -> bytes:
        builder = x509.CertificateRevocationListBuilder().issuer_name(named(self.name))
        builder = builder.last_update(NOW - DAY if due > NOW else due - DAY).next_update(due)
        for serial in serials:
            one = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW - DAY).build()
            builder = builder.add_revoked_certificate(one)
        return builder.sign(self.key, SHA256()).public_bytes(Encoding.PEM)


class Card:
    """The folder `identity` of a device that has enrolled with `authority`, valid from `begin` to `end`."""

    def __init__(self, folder: Path, *, begin: datetime = NOW - 10 * DAY, end: datetime = NOW + 80 * DAY) -> None:
        self.folder = folder / "data" / "identity"
        self.folder.mkdir(parents=True)
        self.authority, self.key = Authority(), generate_private_key(SECP256R1())
        self.certificate = self.authority.sign("device:coop-1", self.key, begin, end)
        self.write("device.key", self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), mode=0o600)
        self.write("device.pem", self.certificate.public_bytes(Encoding.PEM))
        self.write("ca.pem", self.authority.root.public_bytes(Encoding.PEM))
        self.write("crl.pem", self.authority.revoke())
        self._home = folder

    def write(self, name: str, data: bytes, *, mode: int = 0o644) -> None:
        (self.folder / name).write_bytes(data)
        (self.folder / name).chmod(mode)

    def examined(self) -> Verdict:
        clock = VirtualClock(wall_ns=int(NOW.timestamp()) * SECOND)
        return identity(patient(self._home, clock=clock))


def test_a_device_outside_a_fleet_has_no_identity_to_examine(tmp_path: Path) -> None:
    assert helps(identity(patient(tmp_path)), "skipped", "not enrolled", "roost enrol")


def test_a_good_certificate_tells_its_name_and_days(tmp_path: Path) -> None:
    verdict = Card(tmp_path).examined()
    assert helps(verdict, "ok", "device:coop-1 until 2027-04-05, 80 days from now", "")
    assert (verdict.facts["name"], verdict.facts["daysLeft"]) == ("device:coop-1", 80.0)


@pytest.mark.parametrize(("begin", "end", "status", "found", "remedy"), [
    (NOW - 90 * DAY, NOW - DAY, "fail", "ended on 2027-01-14", "roost enrol renew"),
    (NOW + DAY, NOW + 90 * DAY, "fail", "begins on 2027-01-16, and it is 2027-01-15", "clock"),
    (NOW - 85 * DAY, NOW + 5 * DAY, "warn", "ends in 5 days and was not renewed", "roost enrol renew"),
])  # fmt: skip
def test_a_certificate_is_good_between_its_dates_and_is_renewed_in_time(
    tmp_path: Path, begin: datetime, end: datetime, status: str, found: str, remedy: str
) -> None:
    assert helps(Card(tmp_path, begin=begin, end=end).examined(), status, found, remedy)


def test_a_certificate_of_another_fleet_is_found(tmp_path: Path) -> None:
    card = Card(tmp_path)
    stranger = Authority("other").sign("device:coop-1", card.key, NOW - DAY, NOW + 90 * DAY)
    card.write("device.pem", stranger.public_bytes(Encoding.PEM))
    assert helps(card.examined(), "fail", "the fleet's authority", "roost pki token")


def test_a_certificate_for_another_key_is_found(tmp_path: Path) -> None:
    card = Card(tmp_path)
    other = generate_private_key(SECP256R1())
    card.write("device.key", other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), mode=0o600)
    assert helps(card.examined(), "fail", "for another key than the device's", "new seed")


def test_a_revoked_certificate_is_found(tmp_path: Path) -> None:
    card = Card(tmp_path)
    card.write("crl.pem", Authority("other").revoke() + card.authority.revoke(card.certificate.serial_number))
    assert helps(card.examined(), "fail", "has been revoked", "new seed")


def test_a_revocation_list_must_be_there_and_fresh(tmp_path: Path) -> None:
    card = Card(tmp_path)
    card.write("crl.pem", card.authority.revoke(due=NOW - 2 * DAY))
    assert helps(card.examined(), "fail", "renewed on 2027-01-13", "roost enrol renew")
    card.write("crl.pem", b"rubbish")
    assert helps(card.examined(), "fail", "holds no revocation list", "roost enrol renew")
    card.write("crl.pem", b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n")
    assert helps(card.examined(), "fail", "is damaged", "roost enrol renew")
    (card.folder / "crl.pem").unlink()
    assert helps(card.examined(), "warn", "no revocation list", "roost enrol renew")


def test_a_key_that_everybody_can_read_is_found(tmp_path: Path) -> None:
    card = Card(tmp_path)
    (card.folder / "device.key").chmod(0o640)  # its group may: the broker's listener is in it
    assert card.examined().status == "ok"
    (card.folder / "device.key").chmod(0o644)
    assert helps(card.examined(), "fail", "can be read by more than its owner and group (mode 644)", "chmod 0640")


@pytest.mark.parametrize("name", ["device.key", "device.pem", "ca.pem"])
def test_a_file_that_is_missing_or_damaged_is_named(tmp_path: Path, name: str) -> None:
    card = Card(tmp_path)
    card.write(name, b"rubbish", mode=0o600)
    assert helps(card.examined(), "fail", "is damaged", "new seed")
    (card.folder / name).unlink()
    assert helps(card.examined(), "fail", f"has no {name}", "new seed")
