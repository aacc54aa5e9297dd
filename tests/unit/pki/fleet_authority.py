"""An authority in a temporary folder, at a time of the test's choosing, and devices that are only keys."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from roost_edge.enrolment import keys, trust
from roost_edge.enrolment.wire import EnrolRequest, Issued
from roost_provisioning.pki import rotation
from roost_provisioning.pki.authority import Authority
from roost_provisioning.pki.settings import AuthoritySettings

NOW = datetime(2030, 5, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def no_phrase(_: Path) -> bytes | None:
    return None


def begin(folder: Path, **settings: int) -> Authority:
    wanted = AuthoritySettings(fleet="coops", **settings)
    return rotation.begin(folder / "authority", wanted, folder / "stick", no_phrase, NOW)


def device() -> EllipticCurvePrivateKey:
    return keys.read_key(keys.new_key())


def token(authority: Authority, *, name: str = "", prefix: str = "", uses: int = 1, now: datetime = NOW) -> str:
    """Each call another one: what entropy is for is not tested with entropy."""
    made = len(authority.ledger.open_tokens(0)) + len(authority.ledger.events(1000))
    return authority.new_token(
        now, made.to_bytes(4, "big") * 6, name=name, prefix=prefix, uses=uses, valid=timedelta(days=7)
    )


def enrol(authority: Authority, text: str, key: EllipticCurvePrivateKey, name: str = "", now: datetime = NOW) -> Issued:
    return authority.enrol(EnrolRequest(token=text, csr=keys.signing_request(key), name=name), now)


def renew(authority: Authority, issued: Issued, key: EllipticCurvePrivateKey, now: datetime) -> Issued:
    shown = trust.certificates(issued.certificate)[0]
    return authority.renew(shown, keys.signing_request(key), now)
