"""The authority is cut off at every write: old or new, and the next one goes on."""

import shutil
from pathlib import Path

from fleet_authority import NOW, begin, device, enrol, no_phrase, token

from cutting import cuts
from roost_broker.errors import Misuse
from roost_edge.enrolment import renewing, trust
from roost_provisioning.pki import rotation
from roost_provisioning.pki.authority import Authority


def test_setting_up_is_cut_and_done_again(tmp_path: Path) -> None:
    folders = iter(tmp_path / f"try-{number}" for number in range(200))
    now = [next(folders)]
    for _ in cuts(tmp_path, lambda: begin(now[0]), least=4):
        try:
            made = begin(now[0])
        except Misuse:  # it was cut after the last step that counts
            made = Authority(now[0] / "authority")
        with made as authority:
            issued = enrol(authority, token(authority), device())
            trust.successor(trust.roots(trust.certificates(issued.trust)), trust.certificates(authority.trust(NOW)))
            assert list(authority.files.roots()) == list(authority.files.issuers()) == [1]
        now[0] = next(folders)


def test_a_rotation_of_the_root_is_cut_and_no_device_is_lost(tmp_path: Path) -> None:
    with begin(tmp_path / "before") as authority:
        known = trust.roots(trust.certificates(authority.trust(NOW)))
    folders = Copies(tmp_path)

    def rotate() -> None:
        with Authority(folders.now / "authority") as opened:
            rotation.new_root(opened, folders.now / "stick", no_phrase, NOW, at_once=True)

    for _ in cuts(tmp_path, rotate, least=4):
        with Authority(folders.now / "authority") as opened:
            assert trust.successor(known, trust.certificates(opened.trust(NOW)))
            issued = enrol(opened, token(opened), device())
            chain = trust.certificates(issued.certificate)
            trust.verify_chain(chain[0], chain[1:], known, NOW)
            assert len(renewing.lists(opened.crl(NOW))) == len(opened.files.issuers())
            rotation.new_root(
                opened, folders.now / "stick", no_phrase, NOW, at_once=True
            )  # the stick is as good as before
        folders.next()


def test_a_revocation_is_cut_and_then_holds_or_was_not_made(tmp_path: Path) -> None:
    with begin(tmp_path / "before") as authority:
        issued = enrol(authority, token(authority, name="nest-a"), device())
        serial = trust.certificates(issued.certificate)[0].serial_number
    folders = Copies(tmp_path)

    def revoke() -> None:
        with Authority(folders.now / "authority") as opened:
            opened.revoke("device:nest-a", NOW)

    held = []
    for _ in cuts(tmp_path, revoke, least=2):
        with Authority(folders.now / "authority") as opened:
            row = opened.ledger.certificate(f"{serial:x}")
            assert row is not None
            held.append(row.revoked_at is not None)
            listed = renewing.lists(opened.crl(NOW))[0].get_revoked_certificate_by_serial_number(serial)
            assert (listed is not None) == held[-1]
        folders.next()
    assert held[-1]


class Copies:
    """A fresh copy of the folder `before` for each cut."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self.now = folder
        self.next()

    def next(self) -> None:
        self._count += 1
        self.now = self._folder / f"copy-{self._count}"
        shutil.copytree(self._folder / "before", self.now)
