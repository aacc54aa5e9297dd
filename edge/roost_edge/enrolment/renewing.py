"""Staying a member: the certificate renewed in time, trust bundle and revocation lists as they are at the desk.

Due is a certificate after two thirds of its time (a little later for some, so that a fleet that was enrolled on one day
does not come back on one day), and one that comes from an older root than the newest that is believed.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec
from cryptography import x509
from msgspec import Struct

from roost_broker.errors import Malformed
from roost_edge.enrolment import keys, trust, wire
from roost_edge.enrolment.desk_client import DeskClient
from roost_edge.enrolment.enrolling import clock_off, read_name, take
from roost_edge.enrolment.folder import IdentityFolder

Changed: TypeAlias = Literal["certificate", "key", "trust", "crl"]
_SPREAD = 12
"""A twelfth of its time after two thirds of it, the last one renews."""


class Renewed(Struct, frozen=True, kw_only=True, rename="camel"):
    """What is new on this device, and when it comes back."""

    name: str
    changed: list[Changed]
    until: datetime
    next: datetime
    clock_off_s: int = 0


def due(certificate: x509.Certificate) -> datetime:
    """When to renew it. Which device is early and which is late comes from the serial number, which is random."""
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    share = (certificate.serial_number & 0xFFFF) / 0x10000
    return begins + (ends - begins) * 2 / 3 + (ends - begins) / _SPREAD * share


def outdated(chain: Sequence[x509.Certificate], bundle: Sequence[x509.Certificate]) -> bool:
    """Whether a certificate's issuing authority is below another root than the newest, which a bundle begins with."""
    newest = trust.roots(bundle)[0]
    return len(chain) < 2 or chain[1].issuer != newest.subject


def renew(folder: IdentityFolder, now: datetime, *, force: bool = False, new_key: bool = False) -> Renewed:
    """Do what is due. Raises what `DeskClient` raises, and `Misuse` on a device that has not enrolled."""
    folder.check()
    with folder.alone():
        folder.tidy()
        return _renew(folder, now, force=force, new_key=new_key)


def _renew(folder: IdentityFolder, now: datetime, *, force: bool, new_key: bool) -> Renewed:
    chain, believed = folder.chain(), folder.believed()
    floor = chain[0].not_valid_before_utc
    client = DeskClient(folder.url(), believed, now=now, floor=floor, own=(folder.certificate, folder.key))
    changed: list[Changed] = []
    answer = client.get(wire.TRUST)
    bundle = answer.body.decode("ascii", errors="replace")
    offered = trust.certificates(bundle)
    believed = trust.successor(believed, offered)
    if folder.keep(folder.ca, bundle):
        changed.append("trust")
    time = answer.desk_time or now
    if force or new_key or time >= due(chain[0]) or outdated(chain, offered):
        key = folder.pending_key() if new_key else folder.key.read_bytes()
        private = keys.read_key(key)
        request = wire.RenewRequest(csr=keys.signing_request(private))
        answer = client.post(wire.RENEW, msgspec.json.encode(request))
        name = read_name(folder)
        issued = take(answer, keys.public_bytes(private), believed, now, name)
        crl = issued.crl
        folder.settle(key, issued.certificate, name)
        changed += ["certificate", "key"] if new_key else ["certificate"]
        chain = folder.chain()
    else:
        crl = client.get(wire.CRL).body.decode("ascii", errors="replace")
    if _newer(crl, folder.crl) and folder.keep(folder.crl, crl):
        changed.append("crl")
    return Renewed(
        name=read_name(folder),
        changed=changed,
        until=chain[0].not_valid_after_utc,
        next=due(chain[0]),
        clock_off_s=clock_off(answer, now),
    )


def lists(pem: str | bytes) -> list[x509.CertificateRevocationList]:
    """The revocation lists of a PEM text, at least one. Raises `Malformed`."""
    data = pem.encode("utf-8", errors="replace") if isinstance(pem, str) else pem
    end = b"-----END X509 CRL-----"
    try:
        found = [x509.load_pem_x509_crl(part + end) for part in data.split(end)[:-1]]
    except ValueError as error:
        raise Malformed(f"These are no revocation lists: {error}.", "Ask the desk again.") from error
    if not found:
        raise Malformed("There is no revocation list.", "Ask the desk again.")
    return found


def number(crl: x509.CertificateRevocationList) -> int:
    """Of one list; it grows from list to list."""
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def ends(path: Path) -> datetime | None:
    """When the first of the lists in a file ends; None when there is none that can be read."""
    try:
        return min((one.next_update_utc for one in lists(path.read_bytes()) if one.next_update_utc), default=None)
    except (OSError, Malformed):
        return None


def soon(moment: datetime, now: datetime, within: timedelta) -> bool:
    """Whether something ends within so long."""
    return moment - now < within


def _newer(offered: str, kept: Path) -> bool:
    """A list that is older than the one here is not taken: it would bring back who was revoked. Raises `Malformed`."""
    newest = max(number(one) for one in lists(offered))
    try:
        return newest >= max(number(one) for one in lists(kept.read_bytes()))
    except (OSError, Malformed):
        return True
