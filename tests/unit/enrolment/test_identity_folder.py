"""The identity's files: cut off at every operation they are the old identity or the new, key and certificate of one."""

import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from roost_broker.errors import Malformed, Misuse, PeerError
from roost_edge.enrolment import keys, renewing, trust
from roost_edge.enrolment.enrolling import read_name
from roost_edge.enrolment.folder import IdentityFolder
from roost_edge.enrolment.status import status_of

NOW = datetime(2030, 5, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def certificate(key: bytes, *, serial: int = 1, days: int = 30) -> str:
    """Signed by itself: who signed is not the folder's business."""
    private = keys.read_key(key)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "device:nest-a")])
    made = x509.CertificateBuilder(name, name, private.public_key(), serial, NOW, NOW + days * DAY)
    return trust.pem([made.sign(private, SHA256())])


@pytest.fixture
def folder(tmp_path: Path) -> IdentityFolder:
    return IdentityFolder(tmp_path / "identity")


def settle(folder: IdentityFolder, key: bytes, *, serial: int = 1) -> None:
    folder.settle(key, certificate(key, serial=serial), "nest-a")


def test_a_new_folder_is_nobodys(folder: IdentityFolder) -> None:
    assert not folder.enrolled
    with pytest.raises(Misuse, match="roost enrol"):
        folder.chain()
    assert not status_of(folder, NOW, soon=DAY).enrolled


def test_the_pending_key_stays_until_it_is_settled(folder: IdentityFolder) -> None:
    key = folder.pending_key()
    assert folder.pending_key() == key
    settle(folder, key)
    assert not folder.pending.exists()
    assert folder.key.read_bytes() == key
    assert read_name(folder) == "nest-a"


def test_a_pending_key_that_a_cut_left_empty_is_made_anew(folder: IdentityFolder) -> None:
    folder.root.mkdir()
    folder.pending.write_bytes(b"")
    keys.read_key(folder.pending_key())


def test_a_second_identity_replaces_the_first_whole(folder: IdentityFolder) -> None:
    first, second = keys.new_key(), keys.new_key()
    settle(folder, first)
    settle(folder, second, serial=2)
    assert folder.key.read_bytes() == second
    assert folder.chain()[0].serial_number == 2
    assert len(list((folder.root / "sets").iterdir())) == 1


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
def test_only_the_key_is_secret_whatever_the_umask(folder: IdentityFolder, umask: int) -> None:
    before = os.umask(umask)
    try:
        settle(folder, folder.pending_key())
        folder.keep(folder.ca, "ca\n")
    finally:
        os.umask(before)
    for path in folder.root.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        if path.name == "device.key":
            assert mode & 0o007 == 0, path
        elif path.is_dir():
            assert mode == 0o755, path
        elif path != folder.to_tell:
            assert mode == 0o644, path


def test_two_at_once_do_not_change_it(folder: IdentityFolder) -> None:
    with folder.alone(), pytest.raises(PeerError, match="Another"), folder.alone():
        pytest.fail("both are at work")
    with folder.alone():
        settle(folder, folder.pending_key())


def test_what_is_kept_unchanged_tells_nobody(folder: IdentityFolder) -> None:
    assert folder.keep(folder.ca, "one\n")
    assert folder.to_tell.exists()
    folder.to_tell.unlink()
    assert not folder.keep(folder.ca, "one\n")
    assert not folder.to_tell.exists()
    assert folder.keep(folder.ca, "two\n")


def test_a_forgotten_identity_takes_its_key_along(folder: IdentityFolder) -> None:
    settle(folder, folder.pending_key())
    folder.forget()
    assert not folder.enrolled
    assert not [path for path in folder.root.rglob("*") if path.is_file() and b"PRIVATE" in path.read_bytes()]
    folder.forget()


@pytest.mark.parametrize("damage", [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_damaged_certificate_is_a_problem_and_no_crash(folder: IdentityFolder, damage: bytes) -> None:
    settle(folder, folder.pending_key())
    folder.certificate.write_bytes(damage)
    with pytest.raises(Malformed, match="roost enrol"):
        folder.chain()
    assert status_of(folder, NOW, soon=DAY).problems


def test_a_certificate_is_due_between_two_thirds_and_three_quarters_of_its_time() -> None:
    key = keys.new_key()
    moments = []
    for serial in (0x10000, 0x18000, 0x1FFFF):
        found = trust.certificates(certificate(key, serial=serial))[0]
        moments.append((renewing.due(found) - NOW) / (30 * DAY))
    assert moments[0] == pytest.approx(2 / 3)
    assert moments[1] == pytest.approx(2 / 3 + 1 / 24)
    assert moments[2] == pytest.approx(3 / 4, abs=0.001)
