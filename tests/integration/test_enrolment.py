"""Enrolment and renewal over real TLS: who gets in, who does not, and what a device is left with."""

import shutil
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from enrolment_world import DAY, World, desk, no_phrase, now, world

from roost_broker.clock import SECOND, VirtualClock
from roost_broker.errors import Misuse
from roost_broker.identities import Identity
from roost_edge.enrolment import enrolling, keys, renewing, trust
from roost_edge.enrolment.clock_check import ClockWrong
from roost_edge.enrolment.desk_client import Refused, Unreachable
from roost_edge.enrolment.folder import IdentityFolder
from roost_edge.enrolment.seed import read_seed
from roost_edge.enrolment.status import status_of
from roost_edge.enrolment.wire import EnrolRequest
from roost_provisioning.pki import rotation


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One desk for the tests that only enrol; each has tokens and names of its own."""
    with world(tmp_path_factory.mktemp("fleet")) as made:
        yield made


def serial(folder: IdentityFolder) -> int:
    return folder.chain()[0].serial_number


def test_a_device_comes_from_a_seed_to_an_identity_and_the_token_leaves_the_card(
    shared: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = shared.token(prefix="coop")
    card, folder = shared.seed(tmp_path / "card", text), IdentityFolder(tmp_path / "identity")
    with caplog.at_level("DEBUG"):
        done = enrolling.enrol(card, folder, now())
    assert done.name in caplog.text, "the desk tells whom it let in"
    assert text.partition("-")[2] not in caplog.text, "and no secret"
    assert done.name.startswith("coop-")
    assert (folder.name.read_text().strip(), done.already, done.clock_off_s) == (done.name, False, 0)
    assert folder.key.stat().st_mode & 0o007 == 0
    assert read_seed(card).token == ""
    assert all(text.partition("-")[2] not in path.read_text() for path in card.iterdir())
    assert not folder.pending.exists()
    context = ssl.create_default_context(cafile=folder.ca)
    context.load_cert_chain(folder.certificate, folder.key)
    status = status_of(folder, now(), soon=5 * DAY)
    assert (status.name, status.problems, status.roots) == (done.name, [], [shared.pin()])


def test_an_enrolled_device_is_left_alone_even_without_a_desk(shared: World, tmp_path: Path) -> None:
    folder = shared.device("left-alone", shared.token(name="left-alone"))
    before = serial(folder)
    done = enrolling.enrol(tmp_path / "no card", folder, now())
    assert (done.already, done.name, serial(folder)) == (True, "left-alone", before)


def test_clones_of_one_card_become_two_devices(shared: World, tmp_path: Path) -> None:
    card = shared.seed(tmp_path / "card", shared.token(prefix="clone", uses=2))
    shutil.copytree(card, tmp_path / "clone")
    names = {
        enrolling.enrol(tmp_path / one, IdentityFolder(tmp_path / f"{one}-identity"), now()).name
        for one in ("card", "clone")
    }
    assert len(names) == 2


def test_the_second_of_two_clones_with_a_token_for_one_is_refused(shared: World, tmp_path: Path) -> None:
    card = shared.seed(tmp_path / "card", shared.token(name="only-one"))
    shutil.copytree(card, tmp_path / "clone")
    enrolling.enrol(card, IdentityFolder(tmp_path / "first"), now())
    with pytest.raises(Refused, match="used up"):
        enrolling.enrol(tmp_path / "clone", IdentityFolder(tmp_path / "second"), now())
    assert read_seed(tmp_path / "clone").token, "a refusal leaves the card as it was"


def test_a_stolen_token_is_worth_nothing_once_its_device_has_enrolled(shared: World, tmp_path: Path) -> None:
    text = shared.token(prefix="robbed")
    stolen = shared.seed(tmp_path / "thief", text)
    shared.device("robbed", text)
    with pytest.raises(Refused, match="used up"):
        enrolling.enrol(stolen, IdentityFolder(tmp_path / "thief-identity"), now())


@pytest.mark.parametrize("ended", [True, False])
def test_a_token_that_was_ended_or_never_made_enrols_nobody(shared: World, tmp_path: Path, ended: bool) -> None:
    text = shared.token() if ended else "00000000-abcdefghijklmnopqrstuvwxyz234567"
    if ended:
        with shared.open() as authority:
            authority.end_token(text.partition("-")[0], now())
    with pytest.raises(Refused, match="over" if ended else "not known"):
        enrolling.enrol(shared.seed(tmp_path / "card", text), IdentityFolder(tmp_path / "identity"), now())


def test_a_desk_of_another_fleet_is_not_told_the_token(shared: World, tmp_path: Path) -> None:
    with world(tmp_path / "other") as other:
        text = other.token(name="nest-a")
        for pin in ({"ca_sha256": shared.pin()}, {"ca_sha256": "", "ca": shared.bundle()}):
            card = other.seed(tmp_path / "card", text, **pin)
            with pytest.raises(trust.Distrusted):
                enrolling.enrol(card, IdentityFolder(tmp_path / "identity"), now())
        with other.open() as authority:
            assert [one.used for one in authority.ledger.open_tokens(0)] == [0]
            assert not [event for event in authority.ledger.events(100) if "issued device" in event.what]


def test_the_authority_may_come_with_the_card_instead_of_its_fingerprint(shared: World) -> None:
    folder = shared.device("by-file", shared.token(name="by-file"), ca=shared.bundle(), ca_sha256="")
    assert enrolling.read_name(folder) == "by-file"


def test_a_desk_under_a_name_it_was_not_started_with_is_not_believed(shared: World, tmp_path: Path) -> None:
    card = shared.seed(tmp_path / "card", shared.token(), url=f"https://127.0.0.2:{shared.port}")
    with pytest.raises((trust.Distrusted, Unreachable)):
        enrolling.enrol(card, IdentityFolder(tmp_path / "identity"), now())


def test_where_nobody_answers_the_error_says_so(shared: World, tmp_path: Path) -> None:
    card = shared.seed(tmp_path / "card", shared.token(), url="https://127.0.0.1:9")
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:9"):
        enrolling.enrol(card, IdentityFolder(tmp_path / "identity"), now())


@contextmanager
def desk_at(folder: Path, ahead: timedelta) -> Iterator[World]:
    """A desk whose clock is so far ahead of this machine's: for a device with this machine's clock, it is behind."""
    clock = VirtualClock(wall_ns=int((now() + ahead).timestamp()) * SECOND)
    with world(folder, began=400 * DAY, clock=clock) as made:
        yield made


def test_a_device_whose_clock_is_behind_by_months_enrols_and_says_so(tmp_path: Path) -> None:
    with desk_at(tmp_path, 90 * DAY) as fleet:
        card = fleet.seed(tmp_path / "card", fleet.token(name="behind", at=now() + 90 * DAY))
        folder = IdentityFolder(tmp_path / "identity")
        done = enrolling.enrol(card, folder, now())
        assert done.name == "behind"
        assert 89 * 86_400 < done.clock_off_s < 91 * 86_400
        assert "clock" in status_of(folder, now(), soon=5 * DAY).problems[0]
        assert renewing.renew(folder, now(), force=True).changed[0] == "certificate"


def test_a_seed_that_is_newer_than_the_desks_time_is_not_shown_to_it(tmp_path: Path) -> None:
    """The desk's key of that time may have been stolen since."""
    with desk_at(tmp_path, 90 * DAY) as fleet:
        text = fleet.token(at=now() + 90 * DAY)
        card = fleet.seed(tmp_path / "card", text, made=now() + 100 * DAY)
        with pytest.raises(ClockWrong, match="at least"):
            enrolling.enrol(card, IdentityFolder(tmp_path / "identity"), now())
        with fleet.open() as authority:
            assert authority.ledger.open_tokens(0)[0].used == 0


def test_a_device_whose_clock_is_ahead_is_told_so_and_keeps_its_token(tmp_path: Path) -> None:
    with desk_at(tmp_path, -90 * DAY) as fleet:
        card = fleet.seed(tmp_path / "card", fleet.token(at=now() - 90 * DAY))
        with pytest.raises(ClockWrong, match="this device's clock says"):
            enrolling.enrol(card, IdentityFolder(tmp_path / "identity"), now())
        assert read_seed(card).token


def test_a_device_that_slept_longer_than_its_certificate_renews(tmp_path: Path) -> None:
    with desk_at(tmp_path / "fleet", -50 * DAY) as fleet:
        # Nobody whose clock is right would believe this desk, so its device asks with the desk's time as its own.
        key = keys.new_key()
        text = fleet.token(name="sleeper", at=now() - 50 * DAY)
        with fleet.open() as authority:
            csr = keys.signing_request(keys.read_key(key))
            issued = authority.enrol(EnrolRequest(token=text, csr=csr), now() - 50 * DAY)
    folder = IdentityFolder(tmp_path / "identity")
    folder.keep(folder.ca, issued.trust)
    folder.keep(folder.crl, issued.crl)
    folder.settle(key, issued.certificate, issued.name)
    assert folder.chain()[0].not_valid_after_utc < now()
    with desk(tmp_path / "fleet" / "authority") as port:
        folder.keep_home(f"https://localhost:{port}")
        assert renewing.renew(folder, now()).changed[0] == "certificate"
    assert folder.chain()[0].not_valid_after_utc > now()


def test_a_device_renews_when_it_is_due_and_not_before(shared: World) -> None:
    folder = shared.device("renewing", shared.token(name="renewing"))
    before, key = serial(folder), folder.key.read_bytes()
    early = renewing.renew(folder, now())
    assert (early.changed, serial(folder)) == ([], before)
    late = renewing.renew(folder, now(), force=True)
    assert late.changed[0] == "certificate"
    assert serial(folder) != before
    assert folder.key.read_bytes() == key
    assert folder.to_tell.exists(), "whoever has read the old one must be told"


def test_a_device_renews_with_a_new_key(shared: World) -> None:
    folder = shared.device("rekeyed", shared.token(name="rekeyed"))
    key = folder.key.read_bytes()
    assert renewing.renew(folder, now(), new_key=True).changed[:2] == ["certificate", "key"]
    assert folder.key.read_bytes() != key
    assert keys.public_bytes(keys.read_key(folder.key.read_bytes())) == trust.key_bytes(folder.chain()[0])
    assert enrolling.read_name(folder) == "rekeyed"
    renewing.renew(folder, now(), force=True)


def test_a_revoked_device_renews_no_more_and_others_hear_of_it(shared: World) -> None:
    gone, other = (shared.device(one, shared.token(name=one)) for one in ("gone", "other"))
    with shared.open() as authority:
        authority.revoke("device:gone", now(), "stolen")
    with pytest.raises(Refused, match="revoked"):
        renewing.renew(gone, now(), force=True)
    assert "crl" in renewing.renew(other, now()).changed
    lists = renewing.lists(other.crl.read_bytes())
    assert any(one.get_revoked_certificate_by_serial_number(serial(gone)) for one in lists)


def test_a_dead_device_is_replaced_under_its_name(shared: World, tmp_path: Path) -> None:
    shared.device("barn", shared.token(name="barn"))
    with shared.open() as authority:
        authority.revoke("device:barn", now(), "dead")
    again = IdentityFolder(tmp_path / "identity")
    done = enrolling.enrol(shared.seed(tmp_path / "card", shared.token(name="barn")), again, now())
    assert done.name == "barn"


def test_a_device_that_enrols_again_forgets_its_key(shared: World, tmp_path: Path) -> None:
    folder = shared.device("again", shared.token(name="again"))
    key = folder.key.read_bytes()
    folder.forget()
    assert not folder.enrolled
    with pytest.raises(Misuse):
        renewing.renew(folder, now())
    with shared.open() as authority:
        authority.revoke("device:again", now())
    enrolling.enrol(shared.seed(tmp_path / "card", shared.token(name="again")), folder, now())
    assert folder.key.read_bytes() != key


def test_an_old_device_renews_across_a_rotation_of_the_root(tmp_path: Path) -> None:
    with world(tmp_path) as fleet:
        folder = fleet.device("old", fleet.token(name="old"))
        with fleet.open() as authority:
            rotation.new_root(authority, fleet.stick, no_phrase, now(), at_once=True)
        done = renewing.renew(folder, now())
        assert done.changed[:2] == ["trust", "certificate"], "it does not wait for two thirds of its time"
        assert len(folder.believed()) == 2
        newest = fleet.pin(2)
        with fleet.open() as authority:
            assert rotation.retire(authority, now(), force=True).roots == [1]
        assert "trust" in renewing.renew(folder, now()).changed
        assert [trust.fingerprint(one) for one in folder.believed()] == [newest]
        assert not status_of(folder, now(), soon=5 * DAY).problems


def test_a_device_that_slept_through_the_rotation_and_the_retirement_finds_its_way(tmp_path: Path) -> None:
    with world(tmp_path) as fleet:
        folder = fleet.device("sleeper", fleet.token(name="sleeper"))
        with fleet.open() as authority:
            rotation.new_root(authority, fleet.stick, no_phrase, now(), at_once=True)
            assert rotation.retire(authority, now()).needed == {1: 2}, "the sleeper, and the desk itself"
        # The desk is started anew: from now on its own certificate comes from the new root.
        with desk(fleet.folder / "authority") as port:
            folder.keep_home(f"https://localhost:{port}")
            assert renewing.renew(folder, now()).changed[:2] == ["trust", "certificate"]
            assert folder.chain()[1].issuer.rfc4514_string() == "CN=coops root 2"


def test_a_clone_of_the_desk_with_a_root_of_its_own_changes_nobodys_trust(tmp_path: Path) -> None:
    """Who has stolen the authority's folder, but no root's key, puts a root of his own into the bundle."""
    with world(tmp_path / "fleet") as fleet, world(tmp_path / "thief") as thief:
        folder = fleet.device("steady", fleet.token(name="steady"))
        with fleet.open() as authority, thief.open() as other:
            authority.files.add_root(2, other.files.roots()[1], {})
        with pytest.raises(trust.Distrusted):
            renewing.renew(folder, now(), force=True)
        assert len(folder.believed()) == 1


def test_a_list_that_is_older_than_the_one_here_is_not_taken(shared: World) -> None:
    folder = shared.device("rollback", shared.token(name="rollback"))
    before = folder.crl.read_text()
    with shared.open() as authority:
        authority.issue(Identity("operator", "rolled"), keys.read_key(keys.new_key()).public_key(), now(), "test")
        authority.revoke("operator:rolled", now())
    renewing.renew(folder, now())
    newest = folder.crl.read_text()
    assert newest != before
    with shared.open() as authority:
        authority.files.crl.write_text(before)
    try:
        assert renewing.renew(folder, now()).changed == []
        assert folder.crl.read_text() == newest
    finally:
        with shared.open() as authority:
            authority.files.crl.write_text(newest)


def test_the_desk_issues_what_it_wrote_down(shared: World) -> None:
    folder = shared.device("journal", shared.token(name="journal"))
    with shared.open() as authority:
        row = authority.ledger.certificate(f"{serial(folder):x}")
    assert row is not None
    assert (row.kind, row.name) == ("device", "journal")
    assert x509.load_pem_x509_certificate(row.pem.encode()) == folder.chain()[0]
