"""Keys replaced while everything goes on: devices of before are good after, and find their way to the new roots."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from fleet_authority import DAY, NOW, begin, device, enrol, no_phrase, renew, token

from roost_broker.errors import Misuse
from roost_edge.enrolment import renewing, trust
from roost_edge.enrolment.wire import Issued
from roost_provisioning.pki import profile, rotation
from roost_provisioning.pki.authority import Authority
from roost_provisioning.pki.tokens import NotIssued


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[Authority]:
    with begin(tmp_path) as made:
        yield made


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    return tmp_path / "stick"


def believes(roots: str, issued: Issued, at=NOW) -> bool:
    certificate, *between = trust.certificates(issued.certificate)
    try:
        trust.verify_chain(certificate, between, trust.roots(trust.certificates(roots)), at)
    except trust.Distrusted:
        return False
    return True


def test_with_a_new_issuing_authority_old_certificates_stay_good_and_are_renewed_below_it(
    authority: Authority, stick: Path
) -> None:
    key = device()
    old = enrol(authority, token(authority, name="nest-a"), key)
    assert rotation.new_issuer(authority, stick, no_phrase, NOW, at_once=True) == 2
    assert believes(authority.trust(NOW), old)
    new = renew(authority, old, key, NOW)
    assert believes(old.trust, new)
    assert authority.ledger.living(0)[0].issuer == 2


def test_a_new_issuing_authority_signs_when_everybody_has_had_time_to_hear_of_it(
    authority: Authority, stick: Path
) -> None:
    rotation.new_root(authority, stick, no_phrase, NOW)
    known = trust.roots(trust.certificates(authority.trust(NOW)))
    assert len(known) == 2, "the new root is known at once"
    assert len(renewing.lists(authority.crl(NOW))) == 2, "and so is the new issuing authority's list"
    for days, issuer, first in ((0, 1, 1), (1, 1, 1), (2, 2, 2), (30, 2, 2)):
        at = NOW + days * DAY
        assert authority.signing(at) == issuer
        enrol(authority, token(authority, now=at), device(), now=at)
        assert authority.ledger.living(0)[0].issuer == issuer
        assert trust.certificates(authority.trust(at))[0] == authority.files.roots()[first]


def test_both_issuing_authorities_have_their_revocation_list(authority: Authority, stick: Path) -> None:
    old = enrol(authority, token(authority, name="nest-a"), device())
    rotation.new_issuer(authority, stick, no_phrase, NOW, at_once=True)
    new = enrol(authority, token(authority, name="nest-b"), device())
    authority.revoke("device:nest-a", NOW)
    authority.revoke("device:nest-b", NOW)
    lists = renewing.lists(authority.crl(NOW))
    issuers = authority.files.issuers()
    assert [one.issuer for one in lists] == [issuer.subject for issuer in issuers.values()]
    for one, issuer, issued in zip(lists, issuers.values(), (old, new), strict=True):
        assert one.is_signature_valid(issuer.public_key())
        serial = trust.certificates(issued.certificate)[0].serial_number
        assert one.get_revoked_certificate_by_serial_number(serial) is not None


def test_a_device_that_knows_only_the_old_root_believes_what_the_new_one_signs(
    authority: Authority, stick: Path
) -> None:
    before = authority.trust(NOW)
    assert rotation.new_root(authority, stick, no_phrase, NOW, at_once=True) == 2
    issued = enrol(authority, token(authority), device())
    assert believes(before, issued)
    assert believes(authority.trust(NOW), issued)
    new_only = trust.pem([authority.files.roots()[2]])
    assert believes(new_only, issued), "and so does who knows only the new one"


def test_a_device_takes_a_root_that_an_old_one_vouches_for_also_over_two_rotations(
    authority: Authority, stick: Path
) -> None:
    known = trust.roots(trust.certificates(authority.trust(NOW)))
    rotation.new_root(authority, stick, no_phrase, NOW, at_once=True)
    rotation.new_root(authority, stick, no_phrase, NOW, at_once=True)
    assert rotation.retire(authority, NOW).roots == [1, 2]
    after = trust.successor(known, trust.certificates(authority.trust(NOW)))
    assert [trust.fingerprint(one) for one in after] == [trust.fingerprint(authority.files.roots()[3])]
    assert believes(trust.pem(known), enrol(authority, token(authority), device())), "who slept through both"


def test_a_root_that_nobody_vouches_for_is_not_believed(authority: Authority, tmp_path: Path) -> None:
    known = trust.roots(trust.certificates(authority.trust(NOW)))
    with begin(tmp_path / "other") as other:
        for offer in (other.trust(NOW), authority.trust(NOW) + other.trust(NOW)):
            with pytest.raises(trust.Distrusted, match="no root known here"):
                trust.successor(known, trust.certificates(offer))


def test_whoever_has_stolen_the_desk_cannot_make_its_issuing_key_a_root(authority: Authority) -> None:
    known = trust.roots(trust.certificates(authority.trust(NOW)))
    stolen = authority.files.issuer(1)
    false = profile.root("coops", 9, stolen.key, NOW, 3650)
    name = stolen.certificate.subject
    own = (
        x509.CertificateBuilder(name, name, stolen.key.public_key(), 7, NOW, NOW + DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(stolen.key, SHA256())
    )
    cross = profile.cross(false, stolen)
    for offer in ([own, stolen.certificate], [false, cross, stolen.certificate], [*known, own, stolen.certificate]):
        assert own in trust.roots(offer) or false in trust.roots(offer)
        with pytest.raises(trust.Distrusted, match="no root known here"):
            trust.successor(known, offer)


def test_a_bundle_without_a_root_leaves_no_device_without_one(authority: Authority) -> None:
    known = trust.roots(trust.certificates(authority.trust(NOW)))
    with pytest.raises(trust.Distrusted, match="holds no root"):
        trust.successor(known, list(authority.files.issuers().values()))


def test_a_certificate_below_an_older_root_is_outdated_and_one_below_the_newest_is_not(
    authority: Authority, stick: Path
) -> None:
    key = device()
    old = enrol(authority, token(authority), key)
    assert not renewing.outdated(trust.certificates(old.certificate), trust.certificates(authority.trust(NOW)))
    rotation.new_root(authority, stick, no_phrase, NOW, at_once=True)
    bundle = trust.certificates(authority.trust(NOW))
    assert renewing.outdated(trust.certificates(old.certificate), bundle)
    assert not renewing.outdated(trust.certificates(renew(authority, old, key, NOW).certificate), bundle)


def test_what_living_certificates_need_is_not_retired(authority: Authority, stick: Path) -> None:
    key = device()
    old = enrol(authority, token(authority, name="nest-a"), key)
    rotation.new_root(authority, stick, no_phrase, NOW, at_once=True)
    kept = rotation.retire(authority, NOW)
    assert (kept.roots, kept.issuers, kept.needed) == ([], [], {1: 1})
    renew(authority, old, key, NOW)
    later = NOW + 61 * DAY  # nor could the old one be renewed any more
    gone = rotation.retire(authority, later)
    assert (gone.roots, gone.issuers, gone.needed) == ([1], [1], {})
    assert list(authority.files.roots()) == [2]
    assert len(renewing.lists(authority.crl(later))) == 1


def test_a_stolen_issuing_key_is_retired_by_force_and_what_it_signed_is_refused(
    authority: Authority, stick: Path
) -> None:
    key = device()
    old = enrol(authority, token(authority, name="nest-a"), key)
    rotation.new_root(authority, stick, no_phrase, NOW, at_once=True)
    assert rotation.retire(authority, NOW, force=True).roots == [1]
    assert not believes(authority.trust(NOW), old)
    with pytest.raises(NotIssued):
        renew(authority, old, key, NOW)


def test_without_the_roots_key_nothing_is_rotated(authority: Authority, tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="stick"):
        rotation.new_issuer(authority, tmp_path / "nowhere", no_phrase, NOW)
    with begin(tmp_path / "other"), pytest.raises(Misuse, match="another root"):
        rotation.new_root(authority, tmp_path / "other" / "stick", no_phrase, NOW, at_once=True)
    assert list(authority.files.issuers()) == [1]
    assert list(authority.files.roots()) == [1]


def test_a_roots_key_with_a_passphrase_is_of_no_use_without(tmp_path: Path) -> None:
    from roost_provisioning.pki.settings import AuthoritySettings

    stick = tmp_path / "stick"
    with rotation.begin(
        tmp_path / "authority", AuthoritySettings(fleet="coops"), stick, lambda _: b"secret words", NOW
    ) as authority:
        assert b"ENCRYPTED" in (stick / "root-1.key").read_bytes()
        for phrase in (None, b"other words"):
            with pytest.raises(Misuse, match="passphrase"):
                rotation.new_issuer(authority, stick, lambda _, phrase=phrase: phrase, NOW)
        assert rotation.new_issuer(authority, stick, lambda _: b"secret words", NOW) == 2


def test_no_private_key_of_a_root_is_in_the_authoritys_folder_and_no_key_is_for_others(
    authority: Authority, stick: Path
) -> None:
    rotation.new_root(authority, stick, no_phrase, NOW, at_once=True)
    private = [path for path in authority.files.folder.rglob("*") if path.is_file() and b"PRIVATE" in path.read_bytes()]
    assert sorted(path.name for path in private) == ["1.key", "2.key"]
    assert all(path.parent.name == "issuing" for path in private)
    for path in (*private, *stick.iterdir(), authority.files.ledger):
        assert path.stat().st_mode & 0o077 == 0, path
    assert authority.files.folder.stat().st_mode & 0o077 == 0
