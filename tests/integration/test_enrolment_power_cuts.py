"""The power fails right behind the last word: what was said to be done is on the disk (ext4, its journal lost)."""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from enrolment_world import no_phrase, now, world
from power_cut import CutDisk, why_not

from roost_edge.enrolment import enrolling, keys, renewing, trust
from roost_edge.enrolment.folder import IdentityFolder
from roost_edge.enrolment.seed import read_seed
from roost_edge.enrolment.wire import EnrolRequest
from roost_provisioning.pki import rotation
from roost_provisioning.pki.authority import Authority
from roost_provisioning.pki.settings import AuthoritySettings

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[CutDisk]:
    made = CutDisk(tmp_path / "disk.img", tmp_path / "disk")
    try:
        yield made
    finally:
        made.unmount()


def test_a_device_that_says_it_has_enrolled_has(disk: CutDisk, tmp_path: Path) -> None:
    folder = IdentityFolder(disk.at / "identity")
    with world(tmp_path / "fleet") as fleet:
        card = fleet.seed(disk.at / "card", fleet.token(name="nest-a"))
        enrolling.enrol(card, folder, now())
        disk.cut()
        assert read_seed(card).token == ""
        for new_key in (False, True):
            key = keys.read_key(folder.key.read_bytes())
            chain = folder.chain()
            assert trust.key_bytes(chain[0]) == keys.public_bytes(key)
            assert enrolling.read_name(folder) == "nest-a"
            assert len(folder.believed()) == 1
            renewing.renew(folder, now(), force=True, new_key=new_key)
            serial = folder.chain()[0].serial_number
            disk.cut()
            assert folder.chain()[0].serial_number == serial


def test_what_the_authority_has_handed_out_it_still_knows(disk: CutDisk) -> None:
    folder = disk.at / "authority"
    rotation.begin(folder, AuthoritySettings(fleet="coops"), disk.at / "stick", no_phrase, now()).close()
    disk.cut()
    with Authority(folder) as authority:
        token = authority.new_token(now(), os.urandom(24), name="nest-a", valid=timedelta(days=1))
    disk.cut()
    request = EnrolRequest(token=token, csr=keys.signing_request(keys.read_key(keys.new_key())))
    with Authority(folder) as authority:
        issued = authority.enrol(request, now())
    disk.cut()
    serial = trust.certificates(issued.certificate)[0].serial_number
    with Authority(folder) as authority:
        assert authority.ledger.certificate(f"{serial:x}") is not None
        assert authority.enrol(request, now()).certificate == issued.certificate
        authority.revoke("device:nest-a", now())
    disk.cut()
    with Authority(folder) as authority:
        listed = renewing.lists(authority.files.crl.read_bytes())[0]
        assert listed.get_revoked_certificate_by_serial_number(serial) is not None
        rotation.new_root(authority, disk.at / "stick", no_phrase, now(), at_once=True)
    disk.cut()
    with Authority(folder) as authority:
        assert (list(authority.files.roots()), authority.signing(now())) == ([1, 2], 2)
        rotation.new_issuer(authority, disk.at / "stick", no_phrase, now())
