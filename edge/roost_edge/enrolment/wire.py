"""What a device and the enrolment desk say to each other: JSON over HTTPS, both sides read this module.

    POST /v1/enrol   EnrolRequest                    -> Issued
    POST /v1/renew   RenewRequest, over a connection with the device's certificate -> Issued
    GET  /v1/trust   the trust bundle (PEM)
    GET  /v1/crl     the revocation lists (PEM)

Anything else than 200 is a `Refusal`. What is no such JSON is `Malformed`.
"""

from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

from roost_broker.errors import Malformed
from roost_broker.printable import printable

ENROL, RENEW, TRUST, CRL = "/v1/enrol", "/v1/renew", "/v1/trust", "/v1/crl"
MAX_REQUEST = 16_000
"""Bytes of a request's body. A CSR with a P-256 key has 500."""
MAX_ANSWER = 4_000_000
"""Bytes of an answer's body; the revocation lists are most of it (40 bytes for each revoked certificate)."""

S = TypeVar("S", bound=Struct)


class EnrolRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token for a certificate."""

    token: Annotated[str, Meta(max_length=200)]
    csr: Annotated[str, Meta(max_length=10_000)]
    """PEM. Only its key counts; what it asks for beside is not looked at."""
    name: Annotated[str, Meta(max_length=64)] = ""
    """Wished for."""


class RenewRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new certificate for the same name, of the same key or of a new one."""

    csr: Annotated[str, Meta(max_length=10_000)]


class Issued(Struct, frozen=True, kw_only=True):
    """What a device takes home."""

    name: str
    """Its node name."""
    certificate: str
    """PEM: the device's own first, then those between it and the root."""
    trust: str
    """PEM: the roots, and what one root says of another."""
    crl: str
    """PEM: one list of each issuing authority."""


class Refusal(Struct, frozen=True, kw_only=True):
    """Why not, and what to do."""

    problem: str
    remedy: str = ""


def read(data: bytes, kind: type[S]) -> S:
    """Decode a message. Raises `Malformed`."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"This is no {kind.__name__}: {printable(str(error))[:200]}.") from error
