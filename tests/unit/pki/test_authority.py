"""What the authority signs and what it does not, by its rules; all times are arguments."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID as Use
from fleet_authority import DAY, NOW, begin, device, enrol, renew, token

from roost_broker.errors import Malformed, Misuse
from roost_broker.identities import identity
from roost_edge.enrolment import keys, renewing, trust
from roost_provisioning.pki.authority import Authority
from roost_provisioning.pki.status import status_of
from roost_provisioning.pki.tokens import NameTaken, NotIssued


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[Authority]:
    with begin(tmp_path) as made:
        yield made


def leaf(pem: str) -> x509.Certificate:
    return trust.certificates(pem)[0]


def is_listed(authority: Authority, certificate: x509.Certificate, now=NOW) -> bool:
    lists = renewing.lists(authority.crl(now))
    return any(one.get_revoked_certificate_by_serial_number(certificate.serial_number) for one in lists)


def test_a_device_enrols_with_a_token_and_its_certificate_serves_both_ways(authority: Authority) -> None:
    key = device()
    issued = enrol(authority, token(authority, name="nest-a"), key)
    certificate, *between = trust.certificates(issued.certificate)
    assert issued.name == "nest-a"
    assert trust.common_name(certificate) == "device:nest-a"
    assert trust.key_bytes(certificate) == keys.public_bytes(key)
    uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(uses) == {Use.CLIENT_AUTH, Use.SERVER_AUTH}
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["nest-a", "nest-a.local"]
    trust.verify_chain(certificate, between, trust.roots(trust.certificates(issued.trust)), NOW)
    assert certificate.not_valid_after_utc == NOW + 30 * DAY


def test_a_certificate_is_checked_at_the_time_asked_for(authority: Authority) -> None:
    issued = enrol(authority, token(authority), device())
    certificate, *between = trust.certificates(issued.certificate)
    roots = trust.roots(trust.certificates(issued.trust))
    trust.verify_chain(certificate, between, roots, NOW + 29 * DAY)
    for wrong in (NOW + 31 * DAY, NOW - DAY):
        with pytest.raises(trust.Distrusted):
            trust.verify_chain(certificate, between, roots, wrong)


def test_a_token_enrols_one_device_and_no_second(authority: Authority) -> None:
    text = token(authority, prefix="coop")
    enrol(authority, text, device())
    with pytest.raises(NotIssued, match="used up"):
        enrol(authority, text, device())


def test_the_same_device_asking_again_gets_the_same_certificate_even_when_the_token_is_over(
    authority: Authority,
) -> None:
    text, key = token(authority, prefix="coop"), device()
    first = enrol(authority, text, key)
    assert enrol(authority, text, key).certificate == first.certificate
    assert enrol(authority, text, key, now=NOW + 10 * DAY).name == first.name
    assert len(authority.ledger.living(0)) == 1


def test_a_token_that_is_over_enrols_nobody(authority: Authority) -> None:
    text = token(authority)
    with pytest.raises(NotIssued, match="over"):
        enrol(authority, text, device(), now=NOW + 7 * DAY)


def test_a_token_that_was_ended_enrols_nobody(authority: Authority) -> None:
    text = token(authority)
    authority.end_token(text.partition("-")[0], NOW)
    with pytest.raises(NotIssued):
        enrol(authority, text, device())
    with pytest.raises(Misuse):
        authority.end_token("00000000", NOW)


def test_a_token_that_nobody_made_enrols_nobody(authority: Authority) -> None:
    with pytest.raises(NotIssued, match="not known"):
        enrol(authority, "12345678-abcdefghijklmnopqrstuvwxyz234567", device())


def test_no_token_is_in_the_ledger_as_it_was_given_out(authority: Authority) -> None:
    text = token(authority)
    enrol(authority, text, device())
    secret = text.partition("-")[2].encode()
    for path in authority.files.folder.rglob("*"):
        assert not path.is_file() or secret not in path.read_bytes(), path


def test_clones_of_one_card_get_different_names(authority: Authority) -> None:
    text = token(authority, prefix="coop", uses=30)
    names = {enrol(authority, text, device()).name for _ in range(30)}
    assert len(names) == 30
    assert all(name.startswith("coop-") for name in names)


def test_a_clone_that_wishes_for_the_name_of_another_does_not_get_it(authority: Authority) -> None:
    text = token(authority, prefix="coop", uses=2)
    enrol(authority, text, device(), "coop-1")
    with pytest.raises(NameTaken):
        enrol(authority, text, device(), "coop-1")
    assert authority.ledger.open_tokens(0)[0].used == 1, "a refusal uses no token"


def test_a_dead_device_is_replaced_by_revoking_it_and_a_new_token(authority: Authority) -> None:
    old = enrol(authority, token(authority, name="nest-a"), device())
    text = token(authority, name="nest-a")
    with pytest.raises(NameTaken):
        enrol(authority, text, device())
    authority.revoke("device:nest-a", NOW)
    assert is_listed(authority, leaf(old.certificate))
    assert enrol(authority, text, device()).name == "nest-a"


def test_a_key_that_has_a_name_gets_no_second_one(authority: Authority) -> None:
    key = device()
    enrol(authority, token(authority, name="nest-a"), key)
    with pytest.raises(NameTaken):
        enrol(authority, token(authority, name="nest-b"), key)


def test_a_device_renews_with_the_same_key_and_with_a_new_one(authority: Authority) -> None:
    key, other = device(), device()
    first = enrol(authority, token(authority, name="nest-a"), key)
    second = renew(authority, first, key, NOW + 20 * DAY)
    assert leaf(second.certificate).not_valid_after_utc == NOW + 50 * DAY
    third = renew(authority, second, other, NOW + 40 * DAY)
    assert third.name == "nest-a"
    assert trust.key_bytes(leaf(third.certificate)) == keys.public_bytes(other)


def test_a_revoked_device_neither_renews_nor_enrols_again(authority: Authority) -> None:
    key = device()
    text = token(authority, prefix="coop", uses=5)
    issued = enrol(authority, text, key)
    later = renew(authority, issued, key, NOW)
    authority.revoke(f"{leaf(issued.certificate).serial_number:x}", NOW, "stolen")
    for what in (issued, later):
        for new in (key, device()):
            with pytest.raises(NotIssued, match="revoked"):
                renew(authority, what, new, NOW)
    with pytest.raises(NotIssued, match="revoked"):
        enrol(authority, text, key)


def test_a_device_that_slept_longer_than_its_certificate_may_still_renew_for_a_while(authority: Authority) -> None:
    key = device()
    issued = enrol(authority, token(authority, name="nest-a"), key)
    assert renew(authority, issued, key, NOW + 59 * DAY).name == "nest-a"


def test_after_the_grace_its_name_is_free(authority: Authority) -> None:
    key = device()
    issued = enrol(authority, token(authority, name="nest-a"), key)
    later = NOW + 61 * DAY
    with pytest.raises(NotIssued, match="ended"):
        renew(authority, issued, key, later)
    assert enrol(authority, token(authority, name="nest-a", now=later), device(), now=later).name == "nest-a"


def test_a_certificate_of_another_authority_renews_nothing(authority: Authority, tmp_path: Path) -> None:
    with begin(tmp_path / "other") as other:
        key = device()
        issued = enrol(other, token(other, name="nest-a"), key)
    with pytest.raises(NotIssued, match="not issued here"):
        renew(authority, issued, key, NOW)


def test_a_certificate_issued_after_the_backup_that_was_restored_still_renews(
    authority: Authority, tmp_path: Path
) -> None:
    key = device()
    issued = enrol(authority, token(authority, name="nest-a"), key)
    with authority.ledger.changing():
        authority.ledger._db.execute("DELETE FROM certificates")
    assert renew(authority, issued, key, NOW).name == "nest-a"


def test_the_revocation_lists_are_signed_anew_at_half_their_time_and_when_somebody_is_revoked(
    authority: Authority,
) -> None:
    issued = enrol(authority, token(authority, name="nest-a"), device())
    first = authority.crl(NOW)
    assert authority.crl(NOW + 14 * DAY) == first
    second = authority.crl(NOW + 16 * DAY)
    assert second != first
    authority.revoke("device:nest-a", NOW + 16 * DAY)
    third = authority.crl(NOW + 16 * DAY)
    numbers = [renewing.number(renewing.lists(text)[0]) for text in (first, second, third)]
    assert numbers == sorted(set(numbers))
    assert is_listed(authority, leaf(issued.certificate), NOW + 16 * DAY)
    assert renewing.lists(third)[0].next_update_utc == NOW + 46 * DAY


def test_a_list_whose_signing_was_cut_off_is_signed_by_the_next_caller(authority: Authority) -> None:
    issued = enrol(authority, token(authority, name="nest-a"), device())
    certificate = leaf(issued.certificate)
    with authority.ledger.changing():  # as far as `revoke` gets when the power goes before the list is signed
        authority.ledger.revoke(f"{certificate.serial_number:x}", int(NOW.timestamp()), "")
        authority.ledger.set_fact("crl_stale", 1)
    assert is_listed(authority, certificate)


def test_servers_and_people_get_what_is_theirs(authority: Authority) -> None:
    key = keys.read_key(keys.new_key()).public_key()
    server = authority.issue(identity("server", "centre.example"), key, NOW, "by me", hosts=("10.0.0.7", "centre"))
    names = leaf(server.certificate).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["centre.example", "centre"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.7"]
    person = leaf(
        authority.issue(identity("operator", "anna"), device().public_key(), NOW, "by me", lifetime=DAY).certificate
    )
    assert list(person.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [Use.CLIENT_AUTH]
    assert person.not_valid_after_utc == NOW + DAY
    for host in ("centre\n", "a/b", "", "x" * 300, "né"):
        with pytest.raises(Misuse):
            authority.issue(identity("server", "c"), device().public_key(), NOW, "", hosts=(host,))
    with pytest.raises(Misuse):
        authority.issue(identity("operator", "bert"), device().public_key(), NOW, "", hosts=("x",))


def test_nothing_outlives_the_issuing_authority(tmp_path: Path) -> None:
    with begin(tmp_path, issuing_days=40) as authority:
        late = NOW + 35 * DAY
        issued = enrol(authority, token(authority, now=late), device(), now=late)
        assert leaf(issued.certificate).not_valid_after_utc == NOW + 40 * DAY
        with pytest.raises(Misuse, match="rotate"):
            authority.issue(identity("operator", "anna"), device().public_key(), NOW + 41 * DAY, "")


def test_tokens_are_bounded(tmp_path: Path) -> None:
    with begin(tmp_path, max_tokens=2, max_uses=5) as authority:
        for wrong in ({"uses": 0}, {"uses": 6}, {"valid": timedelta(0)}, {"valid": timedelta(days=91)}):
            with pytest.raises(Misuse):
                authority.new_token(NOW, bytes(24), **{"valid": DAY, **wrong})
        token(authority)
        token(authority)
        with pytest.raises(Misuse, match="Too many"):
            token(authority)


def test_what_nobody_has_cannot_be_revoked(authority: Authority) -> None:
    for what in ("device:nobody", "abcdef", "nobody:nobody", ""):
        with pytest.raises(Misuse):
            authority.revoke(what, NOW)


def test_status_says_who_is_late_and_what_to_do(authority: Authority) -> None:
    enrol(authority, token(authority, name="nest-a"), device())
    authority.issue(identity("operator", "anna"), device().public_key(), NOW, "by me")
    assert not status_of(authority, NOW, soon=7 * DAY).problems
    late = status_of(authority, NOW + 25 * DAY, soon=3 * DAY)
    assert {one.identity: one.state for one in late.members} == {"device:nest-a": "late", "operator:anna": "good"}
    assert late.problems == ["device:nest-a should have renewed; it ends on 2030-05-31."]
    assert status_of(authority, NOW + 31 * DAY, soon=7 * DAY).members[0].state == "ended"
    assert any("roost pki rotate" in one for one in status_of(authority, NOW + 720 * DAY, soon=7 * DAY).problems)


def test_a_folder_that_is_no_authority_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="roost pki init"):
        Authority(tmp_path)
    with begin(tmp_path), pytest.raises(Misuse, match="already"):
        begin(tmp_path)


def test_damaged_files_are_named(authority: Authority, tmp_path: Path) -> None:
    authority.files.settings.write_text("{")
    with pytest.raises(Malformed, match=r"authority\.json"):
        Authority(authority.files.folder)
