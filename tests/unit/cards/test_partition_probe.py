"""File systems by their first kilobytes. Real ones are read in tests/provisioning; here damaged ones are."""

import struct

import pytest

from roost_provisioning.image.partition_probe import probe
from roost_provisioning.image.partition_table import Partition, UnreadableImage

MB = 1 << 20
HERE = Partition(1, MB, 64 * MB, "0c")


def fat32(sectors: int = 131072, per_cluster: int = 1, sector: int = 512, table: int = 1024) -> bytes:
    """A FAT32 boot sector."""
    head = struct.pack(
        "<3s8sHBHBHHBHHHIIIHHIHH12xBBBI11s8s", b"\xeb\x58\x90", b"mkfs.fat", sector, per_cluster, 32, 2, 0, 0, 0xF8, 0,
        32, 8, 0, sectors, table, 0, 0, 2, 1, 6, 0x80, 0, 0x29, 0x12345678, b"bootfs     ", b"FAT32   ",
    )  # fmt: skip
    return head.ljust(510, b"\0") + b"\x55\xaa"


def ext4(blocks: int = 6144, free: int = 5000, shift: int = 2, magic: int = 0xEF53) -> bytes:
    """An ext4 superblock."""
    block = bytearray(1024)
    struct.pack_into("<IIIIIII", block, 0, 100, blocks, 0, free, 0, 0, shift)
    struct.pack_into("<HH", block, 56, magic, 1)
    block[104:120] = bytes(range(16))
    block[120:126] = b"rootfs"
    return bytes(block)


def disk(at: int, piece: bytes):
    """Reads of a disk that is zero but for one piece."""

    def read(offset: int, length: int) -> bytes:
        data = bytearray(length)
        start = max(offset, at)
        end = min(offset + length, at + len(piece))
        if start < end:
            data[start - offset : end - offset] = piece[start - at : end - at]
        return bytes(data)

    return read


def test_a_fat_tells_label_serial_and_what_is_used() -> None:
    table = struct.pack("<6I", 0x0FFFFFF8, 0x0FFFFFFF, 0x0FFFFFF8, 3, 0x0FFFFFFF, 0)
    found = probe(disk(MB, fat32() + bytes(31 * 512) + table), HERE)
    assert (found.kind, found.label, found.uuid, found.size) == ("fat", "bootfs", "1234-5678", 64 * MB)
    assert found.used == 3 * 512


def test_an_ext4_tells_label_uuid_and_what_is_used() -> None:
    found = probe(disk(MB + 1024, ext4()), HERE)
    assert (found.kind, found.label, found.size) == ("ext", "rootfs", 24 * MB)
    assert found.uuid == "00010203-0405-0607-0809-0a0b0c0d0e0f"
    assert found.used == (6144 - 5000) * 4096


@pytest.mark.parametrize(
    "piece",
    [(0, fat32(sectors=200_000)), (0, fat32(per_cluster=3)), (0, fat32(sector=100)), (0, fat32(sectors=10)),
     (0, fat32(table=1 << 28)), (1024, ext4(blocks=1 << 30)), (1024, ext4(free=7000)), (1024, ext4(shift=40))],
    ids=["FAT beyond its partition", "clusters of 3", "sectors of 100", "no cluster", "a huge table",
         "ext4 beyond its partition", "more free than there is", "impossible blocks"],
)  # fmt: skip
def test_a_file_system_that_says_what_cannot_be_is_refused(piece: tuple[int, bytes]) -> None:
    with pytest.raises(UnreadableImage, match="partition 1"):
        probe(disk(MB + piece[0], piece[1]), HERE)


def test_what_is_neither_is_named_unknown() -> None:
    assert probe(disk(MB, b"LUKS\xba\xbe"), HERE).kind == ""
    assert probe(disk(MB + 1024, ext4(magic=0)), HERE).kind == ""
