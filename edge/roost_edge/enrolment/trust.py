"""Whom the fleet believes: roots, what one root says of another (a cross certificate), and how they may change. Pure.

Rules:

1. The first root is believed by its SHA-256, or because it came with the card.
2. A later root is believed only when a root that is believed already has signed for its key. The desk hands the bundle
   out, but cannot put a root of its own into it: it has no root's key.
3. A root that the fleet's bundle no longer holds is no longer believed; but one at least stays.
4. Times are arguments: a device without a battery clock asks with another time than its clock's.
"""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import verification

from roost_broker.errors import Malformed, PeerError

MAX_CERTIFICATES = 64
_MAX_CHAIN = 16


class Distrusted(PeerError):
    """A certificate or a bundle that does not come from the authority this device believes."""


def certificates(pem: str | bytes) -> list[x509.Certificate]:
    """All certificates of a PEM text, at least one. Raises `Malformed`."""
    data = pem.encode("utf-8", errors="replace") if isinstance(pem, str) else pem
    try:
        found = x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise Malformed(f"These are no certificates: {error}.", "Give the PEM text whole.") from error
    if len(found) > MAX_CERTIFICATES:
        raise Malformed(f"{len(found)} certificates are more than any fleet has roots.", "Give the fleet's own bundle.")
    return found


def pem(found: Iterable[x509.Certificate]) -> str:
    """The certificates as one PEM text."""
    return "".join(one.public_bytes(Encoding.PEM).decode("ascii") for one in found)


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate, 64 hex digits."""
    return certificate.fingerprint(SHA256()).hex()


def roots(bundle: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """Those of a bundle that sign themselves."""
    return [one for one in bundle if one.subject == one.issuer and _signed(one, one)]


def pinned(bundle: Sequence[x509.Certificate], sha256: str) -> x509.Certificate:
    """The root with this fingerprint. Raises `Distrusted` when the bundle has none."""
    for one in roots(bundle):
        if fingerprint(one) == sha256:
            return one
    raise Distrusted(
        f"The desk's authority is not the one of the seed (SHA-256 {sha256[:16]}…).",
        "Compare ca_sha256 in the seed with `roost pki status` at the centre; somebody else may answer there.",
    )


def successor(believed: Sequence[x509.Certificate], offered: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """The roots to believe from now on, by rules 2 and 3. Raises `Distrusted` when nothing of the offer may be."""
    wanted = roots(offered)
    vouched = list(believed)
    fresh = [one for one in offered if _makes_roots(one)]
    while found := [one for one in fresh if any(_signed(one, by) for by in vouched)]:
        vouched += found
        fresh = [one for one in fresh if one not in found]
    strangers = [one for one in wanted if not any(_same(one, known) for known in vouched)]
    if strangers or not wanted:
        raise Distrusted(
            f"The trust bundle holds {len(strangers)} root(s) that no root known here has signed for."
            if strangers
            else "The trust bundle holds no root.",
            "Nothing was changed. If the root was lost and begun anew, enrol the device again with a new seed.",
        )
    return wanted


def verify_chain(
    leaf: x509.Certificate,
    between: Sequence[x509.Certificate],
    believed: Sequence[x509.Certificate],
    at: datetime,
) -> None:
    """Raise `Distrusted` unless the certificate comes from a believed root and is valid `at` this time."""
    builder = verification.PolicyBuilder().store(verification.Store(list(believed))).time(at.replace(tzinfo=None))
    try:
        builder.max_chain_depth(_MAX_CHAIN).extension_policies(
            ca_policy=verification.ExtensionPolicy.webpki_defaults_ca(),
            # The name is checked by whoever asked for one; here only: ours, and now.
            ee_policy=verification.ExtensionPolicy.permit_all(),
        ).build_client_verifier().verify(leaf, list(between))
    except verification.VerificationError as error:
        raise Distrusted(
            f"The certificate of {common_name(leaf)!r} is not from the fleet's authority, or not for now: {error}.",
            "Check the clocks of both sides, and that the device and the desk belong to the same fleet.",
        ) from error


def common_name(certificate: x509.Certificate) -> str:
    """The common name of its subject; empty when there is none, or several."""
    found = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(found[0].value) if len(found) == 1 else ""


def same_key(one: x509.Certificate, other: x509.Certificate) -> bool:
    """Whether two certificates are about the same key."""
    return key_bytes(one) == key_bytes(other)


def key_bytes(certificate: x509.Certificate) -> bytes:
    """The public key as it stands in the certificate (DER)."""
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def key_digest(certificate: x509.Certificate) -> str:
    """SHA-256 of the public key, 64 hex digits: how a ledger of certificates knows keys."""
    return hashlib.sha256(key_bytes(certificate)).hexdigest()


def _same(one: x509.Certificate, other: x509.Certificate) -> bool:
    return one.subject == other.subject and same_key(one, other)


def _makes_roots(certificate: x509.Certificate) -> bool:
    """Whether it may vouch for authorities of any depth. An issuing authority may not, and the desk has its key."""
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return constraints.ca and constraints.path_length is None


def _signed(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
