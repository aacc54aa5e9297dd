"""The revocation lists: one of each issuing authority, in one file, for brokers and for whoever asks.

The file is written while the ledger is locked, and noted as current afterwards: a cut between the two only makes the
next caller sign the same lists again.
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding

from roost_broker.durable import write_durably
from roost_provisioning.pki import profile

if TYPE_CHECKING:
    from roost_provisioning.pki.authority import Authority

STALE, NUMBER, SIGNED_AT = "crl_stale", "crl_number", "crl_at"


def publish(authority: "Authority", now: datetime) -> str:
    """The lists (PEM): as they are, or signed anew where something was revoked or they are past half of their time."""
    if not _due(authority, now):
        return authority.files.crl.read_text(encoding="ascii")
    ledger, at = authority.ledger, int(now.timestamp())
    with ledger.changing():
        number = max(ledger.fact(NUMBER) + 1, at)  # grows even if the ledger was restored from a backup
        text = ""
        for issuer in authority.files.issuers():
            revoked = [
                profile.Revoked(int(row.serial, 16), datetime.fromtimestamp(row.revoked_at or at, UTC))
                for row in ledger.revoked(issuer, at)
            ]
            signer = authority.files.issuer(issuer)
            signed = profile.revocation_list(revoked, signer, number, now, authority.settings.crl_days)
            text += signed.public_bytes(Encoding.PEM).decode("ascii")
        write_durably(authority.files.crl, text.encode("ascii"), mode=0o644)
        ledger.set_fact(NUMBER, number)
        ledger.set_fact(SIGNED_AT, at)
        ledger.set_fact(STALE, 0)
    return text


def _due(authority: "Authority", now: datetime) -> bool:
    ledger = authority.ledger
    if ledger.fact(STALE) or not authority.files.crl.is_file():
        return True
    age = now - datetime.fromtimestamp(ledger.fact(SIGNED_AT), UTC)
    return not timedelta(0) <= age < timedelta(days=authority.settings.crl_days) / 2
