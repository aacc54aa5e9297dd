"""The authority at work: it checks, signs, writes down, and only then hands out.

Rules:

1. A name belongs to one key, and a key to one name, as long as a certificate of it could still be used or renewed.
2. The same key with the same token gets the same certificate again: an answer that a power cut swallowed is repeated.
3. A key that was revoked gets nothing, whatever token it brings.
4. A certificate may be renewed for `grace_days` after its end, unless it was revoked. Later its name is free.
5. What is revoked is on the list that the next caller gets.

Times are arguments. Any number of processes may have one folder open.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from roost_broker.errors import Misuse
from roost_broker.identities import Identity, identity, parse
from roost_edge.enrolment import trust
from roost_edge.enrolment.wire import EnrolRequest, Issued
from roost_provisioning.pki import profile, settings
from roost_provisioning.pki.files import AuthorityFolder
from roost_provisioning.pki.ledger import Ledger, Row
from roost_provisioning.pki.revocation import publish
from roost_provisioning.pki.signing_requests import key_id, key_of
from roost_provisioning.pki.tokens import (
    ENTROPY,
    NameTaken,
    NotIssued,
    Token,
    check_names,
    hash_of,
    names_for,
    new_text,
)

_DEAD = "It was revoked. Replace the device as docs/pki.md says: a new key and a new token."


def signs_from(issuer: int) -> str:
    """Name of the fact in the ledger: since when an issuing authority signs."""
    return f"issuer_{issuer}_signs_from"


class Authority:
    """Raises `Misuse` when there is none in `folder`. Use it as a context manager, or `close` it."""

    def __init__(self, folder: Path) -> None:
        self.files = AuthorityFolder(folder)
        self.files.check()
        self.settings = settings.load(self.files.settings)
        self.ledger = Ledger(self.files.ledger)

    def close(self) -> None:
        """Let go of the ledger."""
        self.ledger.close()

    def __enter__(self) -> "Authority":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def new_token(
        self, now: datetime, entropy: bytes, *, name: str = "", prefix: str = "", uses: int = 1, valid: timedelta
    ) -> str:
        """A token, which is shown once and never again. `entropy`: 24 random bytes. Raises `Misuse`."""
        check_names(name, prefix, uses)
        if not 1 <= uses <= self.settings.max_uses:
            raise Misuse(f"{uses} uses are not possible.", f"Use 1 to {self.settings.max_uses} (authority.json).")
        most = self.settings.max_token_days
        if not timedelta(0) < valid <= timedelta(days=most):
            raise Misuse("A token is not valid for so long.", f"At most {most}d (authority.json).")
        text = new_text(entropy[:ENTROPY])
        until = int((now + valid).timestamp())
        token = Token(text.partition("-")[0], hash_of(text), name, prefix, uses, 0, until)
        at = int(now.timestamp())
        with self.ledger.changing():
            if len(self.ledger.open_tokens(at)) >= self.settings.max_tokens:
                raise Misuse("Too many tokens are open.", "End some: roost pki revoke token:ID.")
            self.ledger.add_token(token)
            self.ledger.tell(at, f"token {token.id} for {name or prefix + '-…' if name or prefix else 'any name'}")
        return text

    def enrol(self, request: EnrolRequest, now: datetime) -> Issued:
        """A device's first certificate. Raises `NotIssued`, `NameTaken`, `Malformed`."""
        key = key_of(request.csr)
        at = int(now.timestamp())
        with self.ledger.changing():
            token = self.ledger.token(hash_of(request.token))
            if token is None:
                raise NotIssued("This token is not known here.", "Ask for one: roost pki token.")
            own = key_id(key)
            self._check_not_revoked(own)
            row = self._again(own, token, at)
            if row is None:
                if token.until <= at:
                    raise NotIssued("This token is over.", "Ask for another: roost pki token.")
                if token.used >= token.uses:
                    raise NotIssued("This token is used up.", "Ask for another: roost pki token.")
                who = self._free_name(names_for(token, request.name, own), own, at)
                self._check_key(who, own, at)
                row = self._sign(who, key, now, f"token {token.id}")
                self.ledger.use_token(token.id)
        return self._issued(row, now)

    def renew(self, certificate: x509.Certificate, csr: str, now: datetime) -> Issued:
        """The next certificate of whoever has shown this one, and that its key is there. Raises as `enrol`."""
        key = key_of(csr)
        at = int(now.timestamp())
        who = parse(trust.common_name(certificate))
        self._check_issued_here(certificate)
        serial = f"{certificate.serial_number:x}"
        with self.ledger.changing():
            # A ledger restored from a backup knows less than was issued: what our key has signed is taken as issued.
            before = self.ledger.certificate(serial)
            if before is not None and before.revoked_at is not None:
                raise NotIssued(f"The certificate of {who} was revoked.", _DEAD)
            if certificate.not_valid_after_utc + self.settings.grace <= now:
                raise NotIssued(
                    f"The certificate of {who} ended more than {self.settings.grace_days} days ago.",
                    "Enrol the device again, with a new token: roost pki token --name NAME.",
                )
            self._check_not_revoked(trust.key_digest(certificate))
            self._check_key(who, key_id(key), at)
            row = self._sign(who, key, now, "renewed", hosts=profile.hosts(certificate))
        return self._issued(row, now)

    def issue(
        self,
        who: Identity,
        key: EllipticCurvePublicKey,
        now: datetime,
        how: str,
        *,
        hosts: Sequence[str] = (),
        lifetime: timedelta | None = None,
    ) -> Issued:
        """A certificate by hand: for a person, a gateway, a server. Raises `NameTaken`, `Misuse`."""
        with self.ledger.changing():
            at = int(now.timestamp())
            if who.kind in ("device", "gateway"):
                self._check_name(who, key_id(key), at)
            self._check_key(who, key_id(key), at)
            row = self._sign(who, key, now, how, hosts=hosts, lifetime=lifetime)
        return self._issued(row, now)

    def revoke(self, what: str, now: datetime, reason: str = "") -> list[Row]:
        """Take back all certificates of `kind:name`, or the one with this serial number; those that it was.

        Raises `Misuse` when there are none.
        """
        at = int(now.timestamp())
        with self.ledger.changing():
            if ":" in what:
                who = identity(*what.split(":", 1))
                rows = self.ledger.of_name(who.kind, who.name, at - int(self.settings.grace.total_seconds()))
            else:
                row = self.ledger.certificate(what.lower().replace(":", "").lstrip("0"))
                rows = [row] if row is not None and row.revoked_at is None else []
            if not rows:
                raise Misuse(
                    f"{what[:80]!r} has no certificate that could be revoked.",
                    "`roost pki status` lists names and serial numbers: roost pki revoke device:NAME.",
                )
            for row in rows:
                self.ledger.revoke(row.serial, at, reason)
                self.ledger.tell(at, f"revoked {row.kind}:{row.name} {row.serial} {reason}".strip())
            self.ledger.set_fact("crl_stale", 1)
        publish(self, now)
        return rows

    def end_token(self, token_id: str, now: datetime) -> None:
        """Nobody can use it any more. Raises `Misuse` when there is no open one with this id."""
        at = int(now.timestamp())
        with self.ledger.changing():
            if not self.ledger.end_token(token_id, at):
                raise Misuse(f"There is no open token {token_id[:40]!r}.", "`roost pki status` lists them.")
            self.ledger.tell(at, f"token {token_id} ended")

    def signing(self, now: datetime) -> int:
        """The issuing authority that signs now: the last one that has been known for long enough. Raises `Misuse`."""
        at = int(now.timestamp())
        ready = [number for number in self.files.issuers() if self.ledger.fact(signs_from(number)) <= at]
        if not ready:
            raise Misuse("No issuing authority signs yet.", "Is this machine's clock right? Else: roost pki rotate.")
        return max(ready)

    def trust(self, now: datetime) -> str:
        """The trust bundle (PEM)."""
        return self.files.bundle(self.files.issuers()[self.signing(now)])

    def crl(self, now: datetime) -> str:
        """The revocation lists (PEM), signed anew when they are half as old as they may become."""
        return publish(self, now)

    def _again(self, key: str, token: Token, at: int) -> Row | None:
        """Rule 2."""
        how = f"token {token.id}"
        return next((row for row in self.ledger.of_key(key) if row.how == how and row.not_after > at), None)

    def _free_name(self, names: Sequence[str], key: str, at: int) -> Identity:
        taken: NameTaken | None = None
        for name in names:
            who = identity("device", name)
            try:
                self._check_name(who, key, at)
            except NameTaken as error:
                taken = error
            else:
                return who
        raise taken or NotIssued("This token gives no name.", "Ask for another: roost pki token.")

    def _usable_until(self, at: int) -> int:
        return at - int(self.settings.grace.total_seconds())

    def _check_name(self, who: Identity, key: str, at: int) -> None:
        """Rule 1, the name."""
        held = self.ledger.of_name(who.kind, who.name, self._usable_until(at))
        if held and all(row.key != key for row in held):
            raise NameTaken(
                f"Another key has the name {who.name}.",
                f"If that device is dead: roost pki revoke {who}. Otherwise choose another name.",
            )

    def _check_key(self, who: Identity, key: str, at: int) -> None:
        """Rules 1 and 3, the key."""
        self._check_not_revoked(key)
        for row in self.ledger.of_key(key):
            if (row.kind, row.name) != who and row.not_after > self._usable_until(at):
                raise NameTaken(
                    f"This key belongs to {row.kind}:{row.name} already.", "Make a new key for another name."
                )

    def _check_not_revoked(self, key: str) -> None:
        for row in self.ledger.of_key(key):
            if row.revoked_at is not None:
                raise NotIssued(f"The key of {row.kind}:{row.name} was revoked.", _DEAD)

    def _sign(
        self,
        who: Identity,
        key: EllipticCurvePublicKey,
        now: datetime,
        how: str,
        *,
        hosts: Sequence[str] = (),
        lifetime: timedelta | None = None,
    ) -> Row:
        number = self.signing(now)
        signer = self.files.issuer(number)
        signed = profile.leaf(who, key, signer, now, lifetime or self.settings.lifetime(who.kind), hosts)
        at = int(now.timestamp())
        row = Row(
            serial=f"{signed.serial_number:x}",
            kind=who.kind,
            name=who.name,
            key=key_id(key),
            issuer=number,
            how=how,
            issued_at=at,
            not_after=int(signed.not_valid_after_utc.timestamp()),
            pem=trust.pem([signed]),
        )
        self.ledger.add(row)
        self.ledger.tell(at, f"issued {who} {row.serial} {how}")
        self.ledger.forget_old(at)
        return row

    def _issued(self, row: Row, now: datetime) -> Issued:
        issuer = self.files.issuers()[row.issuer]
        chain = row.pem + trust.pem(self.files.chain(issuer))
        return Issued(name=row.name, certificate=chain, trust=self.trust(now), crl=self.crl(now))

    def _check_issued_here(self, certificate: x509.Certificate) -> None:
        for issuer in self.files.issuers().values():
            try:
                certificate.verify_directly_issued_by(issuer)
            except (ValueError, TypeError, InvalidSignature):
                continue
            return
        raise NotIssued("This certificate was not issued here.", "Enrol the device with a token of this authority.")
