"""A device's first certificate: key made here, token shown once, certificate checked before it is believed.

Every step can be cut and begun again: the key is on the disk before it is asked about, the same key with the same token
gets the same certificate again, and the token is taken from the card last.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec
from cryptography import x509
from msgspec import Struct

from roost_broker.clock import SECOND
from roost_broker.errors import Misuse, RoostError
from roost_broker.identities import Identity
from roost_broker.reconnect import ReconnectPolicy
from roost_broker.topics import check_name
from roost_edge.enrolment import keys, trust, wire
from roost_edge.enrolment.desk_client import Answer, DeskClient, Unreachable, fetch_trust
from roost_edge.enrolment.folder import IdentityFolder
from roost_edge.enrolment.seed import Seed, forget_token, read_seed

T = TypeVar("T")
_PATIENCE = ReconnectPolicy(first_ns=2 * SECOND, ceiling_ns=120 * SECOND)
_LONG_AGO = datetime(2025, 1, 1, tzinfo=UTC)
"""Before this there was no Roost, so it is not earlier."""


class Enrolled(Struct, frozen=True, kw_only=True, rename="camel"):
    """Who the device is now."""

    name: str
    until: datetime
    already: bool = False
    """It was before; nothing was asked."""
    token_left: str = ""
    """Why the token is still on the card; empty when it is not."""
    clock_off_s: int = 0
    """Seconds that this device's clock is behind the desk's, where that is worth telling; negative: ahead."""


def enrol(seed_folder: Path, folder: IdentityFolder, now: datetime) -> Enrolled:
    """Enrol once. `now`: this device's clock. Raises what `DeskClient` raises, and `Misuse` without a seed."""
    if not folder.enrolled:
        read_seed(seed_folder)  # a card that is not there leaves no trace
    with folder.alone():
        if folder.enrolled:
            folder.tidy()
            until = folder.chain()[0].not_valid_after_utc
            return Enrolled(name=read_name(folder), until=until, already=True, token_left=_forget(seed_folder))
        return _enrol(seed_folder, folder, now)


def _enrol(seed_folder: Path, folder: IdentityFolder, now: datetime) -> Enrolled:
    seed = read_seed(seed_folder)
    if not seed.token:
        raise Misuse(f"The seed in {seed_folder} has no token.", "Ask for one at the centre: roost pki token.")
    private = keys.read_key(key := folder.pending_key())
    believed = _believed(seed)
    client = DeskClient(seed.url, believed, now=now, floor=max(_LONG_AGO, seed.made or _LONG_AGO))
    request = wire.EnrolRequest(token=seed.token, csr=keys.signing_request(private, seed.name), name=seed.name)
    answer = client.post(wire.ENROL, msgspec.json.encode(request))
    issued = take(answer, keys.public_bytes(private), believed, now)
    folder.keep(folder.ca, issued.trust)
    folder.keep(folder.crl, issued.crl)
    folder.keep_home(seed.url)
    folder.settle(key, issued.certificate, issued.name)
    return Enrolled(
        name=issued.name,
        token_left=_forget(seed_folder),
        until=trust.certificates(issued.certificate)[0].not_valid_after_utc,
        clock_off_s=clock_off(answer, now),
    )


def take(
    answer: Answer, public_key: bytes, believed: Sequence[x509.Certificate], now: datetime, name: str = ""
) -> wire.Issued:
    """What the desk issued, if it is what was asked for: our key, one name, from an authority believed here.

    A believed root must vouch for every root of the bundle in it. Raises `Malformed`, `Distrusted`.
    """
    issued = wire.read(answer.body, wire.Issued)
    chain = trust.certificates(issued.certificate)
    offered = trust.certificates(issued.trust)
    trust.successor(believed, offered)
    check_name("node", issued.name)
    wanted = Identity("device", name or issued.name)
    if trust.common_name(chain[0]) != str(wanted):
        raise trust.Distrusted(f"The desk issued a certificate for another name than {wanted}.", "Ask whoever runs it.")
    if trust.key_bytes(chain[0]) != public_key:
        raise trust.Distrusted("The desk issued a certificate for another key than this device's.", "Try again.")
    trust.verify_chain(chain[0], chain[1:], believed, answer.desk_time or now)
    return issued


def clock_off(answer: Answer, now: datetime) -> int:
    """Seconds that the desk is ahead of this clock, when they are more than a few minutes."""
    from roost_edge.enrolment.clock_check import WORTH_TELLING

    if answer.desk_time is None or abs(answer.desk_time - now) < WORTH_TELLING:
        return 0
    return int((answer.desk_time - now).total_seconds())


def patiently(
    work: Callable[[], T],
    *,
    patience_s: float,
    elapsed_s: Callable[[], float],
    pause: Callable[[float], None],
    random: Callable[[], float],
    tell: Callable[[str], None],
) -> T:
    """Try until somebody answers, with growing pauses, for so long. Raises the last `Unreachable` after that."""
    attempt = 0
    while True:
        try:
            return work()
        except Unreachable as error:
            wait_s = _PATIENCE.delay_ns(attempt, random()) / SECOND
            if elapsed_s() + wait_s > patience_s:
                raise
            tell(f"{error.problem} Trying again in {wait_s:.0f} s.")
            attempt += 1
            pause(wait_s)


def read_name(folder: IdentityFolder) -> str:
    """The node name of an enrolled device. Raises `Misuse` when there is none."""
    folder.check()
    return check_name("node", folder.name.read_text(encoding="ascii").strip())


def _forget(seed_folder: Path) -> str:
    """A card that cannot be written keeps its token; that must not keep the device from being complete."""
    try:
        forget_token(seed_folder)
    except (OSError, RoostError) as error:
        return str(error)
    return ""


def _believed(seed: Seed) -> list[x509.Certificate]:
    """The roots of the seed; fetched from whoever answers there, when the seed has only the fingerprint of one."""
    if not seed.ca:
        return [trust.pinned(fetch_trust(seed.url), seed.ca_sha256)]
    given = trust.certificates(seed.ca)
    if seed.ca_sha256:
        return [trust.pinned(given, seed.ca_sha256)]
    found = trust.roots(given)
    if not found:
        raise trust.Distrusted("ca.pem in the seed holds no root.", "Put the authority's public/trust.pem there.")
    return found
