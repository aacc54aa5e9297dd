"""Enrolment and renewal cut off before every operation on the disk: the next run makes one whole identity of it.

The device is a process that ends at a given operation (`cutting`), against a real desk in another process.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from enrolment_world import World, no_phrase, now

from cutting import cuts
from roost_edge.enrolment import enrolling, keys, renewing, trust
from roost_edge.enrolment.folder import IdentityFolder
from roost_edge.enrolment.seed import Seed, read_seed, write_seed
from roost_provisioning.pki import rotation
from roost_provisioning.pki.settings import AuthoritySettings

pytestmark = pytest.mark.processes
_DESK = "from roost_provisioning.cli import main; raise SystemExit(main())"


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[World]:
    """The desk is a process of its own: a fork of one with threads is no device."""
    wanted = AuthoritySettings(fleet="coops")
    rotation.begin(tmp_path / "authority", wanted, tmp_path / "stick", no_phrase, now()).close()
    words = ["pki", "serve", "--authority", str(tmp_path / "authority"), "--port", "0", "--per-minute", "100000"]
    desk = subprocess.Popen([sys.executable, "-c", _DESK, *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert desk.stdout is not None
    try:
        yield World(tmp_path, int(desk.stdout.readline().rsplit(b":", 1)[1]))
    finally:
        desk.terminate()
        desk.communicate()


def is_whole(folder: IdentityFolder) -> None:
    """Key, certificate and name belong together, and to the fleet."""
    chain = folder.chain()
    assert trust.key_bytes(chain[0]) == keys.public_bytes(keys.read_key(folder.key.read_bytes()))
    assert trust.common_name(chain[0]) == f"device:{enrolling.read_name(folder)}"
    trust.verify_chain(chain[0], chain[1:], folder.believed(), now())
    renewing.lists(folder.crl.read_bytes())


def test_an_enrolment_that_is_cut_off_anywhere_is_finished_by_the_next_run(fleet: World, tmp_path: Path) -> None:
    root = tmp_path / "device"
    card, folder, bundle = root / "card", IdentityFolder(root / "identity"), fleet.bundle()

    def fresh() -> None:
        shutil.rmtree(root, ignore_errors=True)
        write_seed(card, Seed(url=fleet.url, token=fleet.token(prefix="coop"), ca=bundle))

    half = 0
    for _ in cuts(root, lambda: enrolling.enrol(card, folder, now()), least=20, fresh=fresh, fsyncs=True):
        if folder.enrolled:
            is_whole(folder)
            half += read_seed(card).token != ""
        else:
            assert read_seed(card).token, "the token leaves the card last"
        done = enrolling.enrol(card, folder, now())  # with a token for one device: never refused, or it were lost
        is_whole(folder)
        assert read_seed(card).token == ""
        assert not folder.pending.exists()
        with fleet.open() as authority:
            held = [row for row in authority.ledger.living(0) if row.name == done.name]
            assert len(held) == 1, "an answer that was cut off is repeated, not issued again"
    assert half, "no cut came between identity and token"


def test_a_renewal_with_a_new_key_that_is_cut_off_anywhere_leaves_the_old_identity_or_the_new(
    fleet: World, tmp_path: Path
) -> None:
    first = fleet.device("first", fleet.token(name="nest-a"))
    root = tmp_path / "device"
    folder = IdentityFolder(root / "identity")
    old = first.key.read_bytes()

    def fresh() -> None:
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(first.root, folder.root, symlinks=True)
        folder.to_tell.unlink(missing_ok=True)

    seen = set()
    for _ in cuts(root, lambda: renewing.renew(folder, now(), new_key=True), least=20, fresh=fresh, fsyncs=True):
        is_whole(folder)
        seen.add(folder.key.read_bytes() == old)
        if folder.key.read_bytes() != old:
            assert folder.to_tell.exists(), "the broker must be told, whoever was cut off"
        renewing.renew(folder, now(), force=True)
        is_whole(folder)
    assert seen == {True, False}
