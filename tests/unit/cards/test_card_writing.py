"""Which disks are never written to, by what the kernel says of them."""

from pathlib import Path

import msgspec
import pytest

from roost_broker.errors import Misuse
from roost_provisioning.image.card_writing import Disk, disk_of, refusal, write_card

CARD = Disk("sdx", 32_000_000_000, whole=True, removable=True, read_only=False, model="Reader")


def test_a_card_in_a_reader_is_written_to() -> None:
    assert refusal(CARD, 1_700_000_000) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"whole": False}, "is a partition"),
        ({"used": ("/",)}, "in use: /"),
        ({"read_only": True}, "read-only"),
        ({"size": 1_000_000_000}, "too small"),
        ({"removable": False}, "cannot be taken out"),
        ({"size": 1_000_000_000_000}, "larger than cards are"),
    ],
)
def test_what_may_be_somebodys_disk_is_refused_with_its_name_and_size(change: dict[str, object], words: str) -> None:
    why = refusal(msgspec.structs.replace(CARD, **change), 1_700_000_000)
    assert why is not None
    assert words in why.problem
    assert "/dev/sdx (Reader, " in why.problem
    assert why.remedy


def test_being_sure_lifts_what_is_unusual_and_never_what_is_in_use() -> None:
    odd = msgspec.structs.replace(CARD, removable=False, size=1_000_000_000_000)
    assert refusal(odd, 1, anything=True) is None
    for change in ({"used": ("/home",)}, {"whole": False}, {"read_only": True}):
        assert refusal(msgspec.structs.replace(odd, **change), 1, anything=True) is not None


def kernel(folder: Path, *, mounted: str = "", swap: str = "", holder: bool = False) -> tuple[Path, Path]:
    """What a kernel says of a disk `null` with one partition, below a folder."""
    disk, part = folder / "sys" / "null", folder / "sys" / "null" / "null1"
    for path, text in {disk / "dev": "8:0", disk / "size": "62500000", disk / "removable": "1", disk / "ro": "0",
                       part / "dev": "8:1", part / "partition": "1"}.items():  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    (folder / "sys" / "null1").symlink_to(part)
    (part / "holders").mkdir()
    if holder:
        (part / "holders" / "dm-0").touch()
    (folder / "proc" / "self").mkdir(parents=True)
    (folder / "proc" / "self" / "mountinfo").write_text(f"22 1 {mounted or '8:9'} / /media/x rw - ext4 /dev/null1 rw\n")
    (folder / "proc" / "swaps").write_text(f"Filename Type Size Used Priority\n{swap}\n")
    return folder / "sys", folder / "proc"


def test_a_partition_that_is_mounted_swapped_to_or_mapped_makes_its_disk_used(tmp_path: Path) -> None:
    from roost_provisioning.image.card_writing import _used

    def used(name: str, **words: object) -> list[str]:
        return _used(*kernel(tmp_path / name, **words), ["null", "null1"])

    assert used("a") == []
    assert used("b", mounted="8:1") == ["/media/x"]
    assert used("c", swap="/dev/null1 partition 1 0 -2") == ["swap on null1"]
    assert used("d", holder=True) == ["dm-0"]


def test_a_file_is_no_card(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "none", tmp_path):
        with pytest.raises(Misuse, match="no card"):
            disk_of(path)


def test_an_image_is_written_with_its_first_sector_last_and_compared(tmp_path: Path) -> None:
    image, card = tmp_path / "image", tmp_path / "card"
    image.write_bytes(b"table" + bytes(range(256)) * 40_000 + bytes(5000))
    card.write_bytes(b"\xff" * 12_000_000)

    class Watch:
        def __init__(self) -> None:
            self.before: set[bytes] = set()
            self.end: tuple[int, int | None] = (0, 0)

        def progress(self, done: int, total: int | None) -> None:
            self.end = (done, total)
            if total is not None and done < total // 2:
                self.before.add(card.read_bytes()[:5])

    watch = Watch()
    write_card(image, card, watch)
    size = image.stat().st_size
    assert watch.before == {bytes(5)}
    assert watch.end == (2 * size, 2 * size)
    assert card.read_bytes() == image.read_bytes() + b"\xff" * (12_000_000 - size)
