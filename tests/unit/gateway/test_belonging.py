"""An outbox that came with a copied card: whose it is, and where it goes."""

from pathlib import Path

from roost_broker.gateway.belonging import make_room, owner_of
from roost_broker.gateway.outbox import Outbox


def begun(path: Path, node: str) -> str:
    """Open a device's outbox as its gateway does; its name."""
    box = Outbox(path, boot="boot", node=node, max_bytes=10**6)
    box.close()
    return box.name


def test_a_file_of_another_device_is_put_aside_and_taken_up_again_when_that_device_is_back(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    assert make_room(path, "coop-1") is None
    first = begun(path, "coop-1")
    assert make_room(path, "coop-1") is None
    aside = make_room(path, "coop-2")
    assert aside == tmp_path / "gateway.db.of-coop-1"
    second = begun(path, "coop-2")
    assert second != first
    assert make_room(path, "coop-1") == tmp_path / "gateway.db.of-coop-2"
    assert begun(path, "coop-1") == first
    assert owner_of(path) == "coop-1"
    assert not aside.exists()


def test_a_file_that_does_not_say_whose_it_is_or_cannot_be_read_stays(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    path.write_bytes(b"no database" * 100)
    assert make_room(path, "coop-2") is None
    assert path.exists()
    path.unlink()
    name = begun(path, "")
    assert make_room(path, "coop-2") is None
    assert begun(path, "coop-2") == name
