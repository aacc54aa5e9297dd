"""What stands in each kind of certificate. Pure: keys and times are arguments, only serial numbers are random.

    root      signs issuing authorities, and the next root (a cross certificate)
    issuing   signs everything that is used, and revocation lists
    leaf      one identity: `roost_broker.identities`

Serial numbers are random (159 bits), so that two issuers at once need not agree on the next one.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID as Use
from cryptography.x509.oid import NameOID

from roost_broker.errors import Misuse
from roost_broker.identities import Identity

BACKDATED = timedelta(hours=1)
"""Certificates begin so much earlier: the clocks of two machines are never the same."""
_USES = {
    "operator": (Use.CLIENT_AUTH,),
    "watcher": (Use.CLIENT_AUTH,),
    "gateway": (Use.CLIENT_AUTH,),
    "device": (Use.CLIENT_AUTH, Use.SERVER_AUTH),
    # A server of the streams is a client of its neighbours.
    "server": (Use.SERVER_AUTH, Use.CLIENT_AUTH),
}
PublicKey: TypeAlias = EllipticCurvePublicKey


class Signer(NamedTuple):
    """Somebody who may sign: a root, or an issuing authority."""

    certificate: x509.Certificate
    key: EllipticCurvePrivateKey


class Revoked(NamedTuple):
    """One line of a revocation list."""

    serial: int
    at: datetime


def root(fleet: str, number: int, key: EllipticCurvePrivateKey, now: datetime, days: int) -> x509.Certificate:
    """A root, signed by itself."""
    subject = _name(f"{fleet} root {number}")
    builder = _authority(subject, subject, key.public_key(), now, now + timedelta(days=days), depth=None)
    return builder.sign(key, SHA256())


def cross(new: x509.Certificate, by: Signer) -> x509.Certificate:
    """The old root says: this new root's key is right. Whoever knows the old one alone believes the new one by it."""
    key = new.public_key()
    assert isinstance(key, EllipticCurvePublicKey)  # noqa: S101 — `root` made it
    until = min(new.not_valid_after_utc, by.certificate.not_valid_after_utc)
    builder = _authority(new.subject, by.certificate.subject, key, _begin(new), until, depth=None, by=by)
    return builder.sign(by.key, SHA256())


def issuing(fleet: str, number: int, key: PublicKey, by: Signer, now: datetime, days: int) -> x509.Certificate:
    """An issuing authority below a root; it cannot make further authorities. Raises `Misuse` when the root is over."""
    subject = _name(f"{fleet} issuing {number}")
    until = min(now + timedelta(days=days), by.certificate.not_valid_after_utc)
    if until <= now:
        raise Misuse("The root is no longer valid.", "Begin a new one: roost pki rotate --root.")
    return _authority(subject, by.certificate.subject, key, now, until, depth=0, by=by).sign(by.key, SHA256())


def leaf(
    who: Identity, key: PublicKey, by: Signer, now: datetime, lifetime: timedelta, hosts: Sequence[str] = ()
) -> x509.Certificate:
    """A certificate for use. `hosts`: names and addresses that a server answers at, beside its own name's.

    Raises `Misuse` when the issuing authority is no longer valid, or a host is none.
    """
    until = min(now + lifetime, by.certificate.not_valid_after_utc)
    if until <= now:
        raise Misuse("The issuing authority is no longer valid.", "Make a new one: roost pki rotate.")
    constraints = x509.BasicConstraints(ca=False, path_length=None)
    builder = _builder(_name(str(who)), by.certificate.subject, key, now - BACKDATED, until, by)
    builder = builder.add_extension(constraints, critical=True)
    builder = builder.add_extension(_key_usage(signs=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage(_USES[who.kind]), critical=False)
    if names := alternative_names(who, hosts):
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(by.key, SHA256())


def alternative_names(who: Identity, hosts: Sequence[str] = ()) -> list[x509.GeneralName]:
    """Under which names a server with this identity is found; none for who serves nothing. Raises `Misuse`."""
    if who.kind == "device":
        hosts = (who.name, f"{who.name}.local", *hosts)
    elif who.kind == "server":
        hosts = (who.name, *hosts)
    elif hosts:
        raise Misuse(f"A {who.kind} serves nothing, so it has no hosts.", "Leave --host out.")
    return [_general(host) for host in dict.fromkeys(hosts)]


def hosts(certificate: x509.Certificate) -> list[str]:
    """The names and addresses that a certificate was issued for; what a renewed one is issued for again."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    addresses = [str(one) for one in names.get_values_for_type(x509.IPAddress)]
    return [*names.get_values_for_type(x509.DNSName), *addresses]


def revocation_list(
    revoked: Iterable[Revoked], by: Signer, number: int, now: datetime, days: int
) -> x509.CertificateRevocationList:
    """What an issuing authority takes back. `number` grows from list to list."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(by.certificate.subject)
        .last_update(now - BACKDATED)
        .next_update(now + timedelta(days=days))
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(_issuer_of(by), critical=False)
    )
    for one in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(one.serial).revocation_date(one.at).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(by.key, SHA256())


def _authority(
    subject: x509.Name,
    issuer: x509.Name,
    key: PublicKey,
    now: datetime,
    until: datetime,
    *,
    depth: int | None,
    by: Signer | None = None,
) -> x509.CertificateBuilder:
    builder = _builder(subject, issuer, key, now - BACKDATED, until, by)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=depth), critical=True)
    return builder.add_extension(_key_usage(signs=True), critical=True)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PublicKey, begin: datetime, until: datetime, by: Signer | None
) -> x509.CertificateBuilder:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin.replace(microsecond=0))
        .not_valid_after(until.replace(microsecond=0))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )
    own = x509.AuthorityKeyIdentifier.from_issuer_public_key(key)
    return builder.add_extension(own if by is None else _issuer_of(by), critical=False)


def _issuer_of(by: Signer) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key())


def _begin(certificate: x509.Certificate) -> datetime:
    return certificate.not_valid_before_utc + BACKDATED


def _key_usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    plain = host.replace("-", "").replace(".", "").replace("_", "").removeprefix("*")
    if not plain.isascii() or not plain.isalnum() or len(host) > 253:
        raise Misuse(f"{host[:80]!r} is no host name and no address.", "For example centre.example or 10.0.0.7.")
    return x509.DNSName(host)
