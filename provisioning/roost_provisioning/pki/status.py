"""What a look at the authority tells: who has what until when, what ends soon, which tokens are open."""

from datetime import UTC, datetime, timedelta

from msgspec import Struct

from roost_edge.enrolment import renewing, trust
from roost_provisioning.pki.authority import Authority
from roost_provisioning.pki.ledger import Event
from roost_provisioning.pki.revocation import STALE


class Member(Struct, frozen=True, kw_only=True, rename="camel"):
    """One identity, by its newest certificate that is not revoked."""

    identity: str
    serial: str
    ends: datetime
    issuer: int
    how: str
    state: str
    """`good`; `late` (a device that should have renewed by now); `ended`."""


class OpenToken(Struct, frozen=True, kw_only=True, rename="camel"):
    """A token that may still be used; the token itself is known to nobody here."""

    id: str
    names: str
    left: int
    until: datetime


class AuthorityStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """`problems` is empty when all is well."""

    fleet: str
    roots: dict[int, str]
    """SHA-256 of each root that is believed, by number; the newest is what new seeds name."""
    root_ends: dict[int, datetime]
    issuers: dict[int, datetime]
    """When each issuing authority ends."""
    signing: int
    """The one that signs now."""
    members: list[Member]
    tokens: list[OpenToken]
    crl_ends: datetime | None
    acts: list[Event]
    problems: list[str]


def status_of(authority: Authority, now: datetime, *, soon: timedelta, acts: int = 10) -> AuthorityStatus:
    """Look; nothing is changed."""
    files, ledger, at = authority.files, authority.ledger, int(now.timestamp())
    roots, issuers = files.roots(), files.issuers()
    newest: dict[str, Member] = {}
    for row in ledger.living(at - int(authority.settings.grace.total_seconds())):
        who = f"{row.kind}:{row.name}"
        if who not in newest:  # the newest comes first
            ends = datetime.fromtimestamp(row.not_after, UTC)
            state = "ended" if ends <= now else "good"
            if state == "good" and row.kind == "device" and now > _overdue(row.issued_at, ends):
                state = "late"
            newest[who] = Member(
                identity=who, serial=row.serial, ends=ends, issuer=row.issuer, how=row.how, state=state
            )
    members = sorted(newest.values(), key=lambda member: member.identity)
    crl_ends = renewing.ends(files.crl)
    problems = [
        f"{one.identity} {'ended' if one.state == 'ended' else 'should have renewed; it ends'} on {one.ends:%Y-%m-%d}."
        for one in members
        if one.state != "good"
    ]
    current = issuers[max(issuers)]
    if current.not_valid_after_utc - now < 3 * soon:
        problems.append(f"The issuing authority ends on {current.not_valid_after_utc:%Y-%m-%d}: roost pki rotate.")
    newest_root = roots[max(roots)]
    if newest_root.not_valid_after_utc - now < timedelta(days=365):
        problems.append(f"The root ends on {newest_root.not_valid_after_utc:%Y-%m-%d}: roost pki rotate --root.")
    if ledger.fact(STALE) or crl_ends is None or crl_ends - now < soon:
        problems.append("The revocation lists are not up to date: roost pki crl (or start the desk) signs them anew.")
    return AuthorityStatus(
        fleet=authority.settings.fleet,
        roots={number: trust.fingerprint(root) for number, root in roots.items()},
        root_ends={number: root.not_valid_after_utc for number, root in roots.items()},
        signing=authority.signing(now),
        issuers={number: issuer.not_valid_after_utc for number, issuer in issuers.items()},
        members=members,
        tokens=[
            OpenToken(
                id=one.id,
                names=one.name or (f"{one.prefix}-…" if one.prefix else "any"),
                left=one.uses - one.used,
                until=datetime.fromtimestamp(one.until, UTC),
            )
            for one in ledger.open_tokens(at)
        ],
        crl_ends=crl_ends,
        acts=ledger.events(acts),
        problems=problems,
    )


def _overdue(issued_at: int, ends: datetime) -> datetime:
    """Devices renew at two thirds of their time, the last at three quarters; a day of timers on top."""
    begins = datetime.fromtimestamp(issued_at, UTC)
    return begins + (ends - begins) * 3 / 4 + timedelta(days=1)
