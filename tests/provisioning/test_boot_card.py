"""Reading and writing an image's partitions without mounting anything."""

from pathlib import Path

import pytest
from cards import MB, small_card

from roost_broker.errors import PeerError
from roost_provisioning.boot_test.card_image import CardImage, copy_folder, copy_sparse, power_of_two, recover
from roost_provisioning.image.ext4 import Ext4


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return small_card(tmp_path, {})


def test_what_is_written_to_the_boot_partition_is_listed_and_read_back(image: Path) -> None:
    card = CardImage(image)
    card.boot.write({"config.txt": b"kernel=vmlinuz\n", "roost/ca.pem": b"first"})
    card.boot.write({"roost/ca.pem": b"second"})
    fresh = CardImage(image)
    assert {"config.txt", "roost/ca.pem"} <= set(fresh.boot.names())
    assert fresh.read("config.txt") == b"kernel=vmlinuz\n"
    assert fresh.read("roost/ca.pem") == b"second"


def test_a_file_that_is_not_there_is_an_error_and_not_an_empty_file(image: Path) -> None:
    with pytest.raises(PeerError, match="has no kernel8"):
        CardImage(image).read("kernel8.img")


def test_folders_of_the_data_partition_come_out_and_it_is_the_last_one(image: Path) -> None:
    card = CardImage(image)
    assert card.data.start == 33 * MB
    found = card.copy_folder(card.data, "/roost", image.with_name("out"))
    assert (found / "journal.db").read_bytes() == b"written"


def test_a_file_is_added_to_a_file_system_for_everybody_to_read_and_replaced(image: Path) -> None:
    card = CardImage(image)
    card.add_file(card.data, "/roost/10-new.conf", b"first")
    card.add_file(card.data, "/roost/10-new.conf", b"second")
    entry = Ext4(image, card.data).entry("/roost/10-new.conf")
    assert entry is not None
    assert (entry.mode, entry.uid, entry.gid, entry.size) == (0o100644, 0, 0, 6)
    assert card.check(card.data) == ""
    with pytest.raises(PeerError, match="could not be written"):
        card.add_file(card.data, "/nowhere/10-new.conf", b"third")


def test_a_partition_that_was_taken_out_holds_the_same(image: Path) -> None:
    card = CardImage(image)
    taken = card.taken_out(card.data, image.with_name("data"))
    with image.open("rb") as file:
        file.seek(card.data.start)
        assert taken.read_bytes() == file.read(card.data.size)
    assert (copy_folder(str(taken), "/roost", image.with_name("out")) / "journal.db").read_bytes() == b"written"


def test_a_sound_file_system_is_clean_and_a_damaged_one_is_not(image: Path) -> None:
    card = CardImage(image)
    assert card.check(card.data) == ""
    assert recover(card.taken_out(card.data, image.with_name("data"))) == ""
    with image.open("r+b") as file:
        file.seek(card.data.start + 80 * 1024)
        file.write(b"\xff" * 200 * 1024)
    assert "e2fsck ended with" in card.check(card.data)
    assert "e2fsck ended with" in recover(card.taken_out(card.data, image.with_name("data")))
    assert card.check(card.linux[0]) == ""


def test_a_copy_is_a_larger_card_and_takes_no_more_room(image: Path) -> None:
    copy = copy_sparse(image, image.with_name("copy.img"), power_of_two(65 * MB))
    assert copy.stat().st_size == 128 * MB
    assert copy.stat().st_blocks * 512 < 32 * MB
    assert CardImage(copy).check(CardImage(copy).data) == ""


def test_a_file_that_is_no_card_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.img"
    path.write_bytes(b"not an image" * 1000)
    with pytest.raises(PeerError):
        CardImage(path)
