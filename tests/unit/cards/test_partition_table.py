"""Partition tables from bytes: what official and hostile images say."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_provisioning.image.partition_table import MAX_PARTITIONS, UnreadableImage, read_table

MB = 1 << 20
SIZE = 600 * MB


def mbr(*entries: tuple[int, int, int]) -> bytes:
    """A boot record with (type, first sector, sectors)."""
    table = b"".join(struct.pack("<4xB3xII", *entry) for entry in entries).ljust(64, b"\0")
    return bytes(440) + struct.pack("<IH", 0x4E639091, 0) + table + b"\x55\xaa"


def reader(pieces: dict[int, bytes], size: int = SIZE):
    """Reads of a disk that is zero but for these pieces."""

    def read(offset: int, length: int) -> bytes:
        data = bytearray(max(0, min(length, size - offset)))
        for at, piece in pieces.items():
            for index, byte in enumerate(piece):
                if 0 <= at + index - offset < len(data):
                    data[at + index - offset] = byte
        return bytes(data)

    return read


def gpt(*partitions: tuple[int, int, str], count: int = 128, damage: str = "") -> dict[int, bytes]:
    """The pieces of a GPT with (first, last sector, label)."""
    entries = b""
    for first, last, label in partitions:
        entries += (
            bytes(range(16))
            + bytes(16)
            + struct.pack("<QQQ", first, last, 0)
            + label.encode("utf-16-le").ljust(72, b"\0")
        )
    entries = entries.ljust(min(count, MAX_PARTITIONS) * 128, b"\0")
    header = struct.pack(
        "<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, 0, 0, 1, SIZE // 512 - 1, 34, SIZE // 512 - 34,
        bytes(range(16)), 2, count, 128, zlib.crc32(entries),
    )  # fmt: skip
    header = header[:16] + struct.pack("<I", zlib.crc32(header)) + header[20:]
    if damage == "header":
        header = header[:40] + b"\x07" + header[41:]
    if damage == "entries":
        entries = b"\x07" + entries[1:]
    return {0: mbr((0xEE, 1, SIZE // 512 - 1)), 512: header, 1024: entries}


def test_the_layout_of_an_official_image_is_read() -> None:
    table = read_table(reader({0: mbr((0x0C, 16384, 1048576), (0x83, 1064960, 100000))}), SIZE)
    assert (table.scheme, table.disk) == ("mbr", "4e639091")
    assert [(one.number, one.start, one.size, one.kind) for one in table.partitions] == [
        (1, 8 * MB, 512 * MB, "0c"),
        (2, 520 * MB, 51200000, "83"),
    ]


def test_logical_partitions_are_numbered_from_five_and_start_where_their_own_table_says() -> None:
    pieces = {
        0: mbr((0x0C, 2048, 2048), (0x05, 8192, 65536)),
        8192 * 512: mbr((0x83, 64, 1000), (0x05, 4096, 2000)),
        (8192 + 4096) * 512: mbr((0x82, 32, 500)),
    }
    found = read_table(reader(pieces), SIZE).partitions
    assert [(one.number, one.start // 512) for one in found] == [(1, 2048), (2, 8192), (5, 8256), (6, 12320)]


def test_logical_partitions_that_run_in_a_circle_are_refused() -> None:
    pieces = {0: mbr((0x05, 8192, 65536)), 8192 * 512: mbr((0x83, 64, 10), (0x05, 0, 2000))}
    with pytest.raises(UnreadableImage, match="circle"):
        read_table(reader(pieces), SIZE)


def test_a_gpt_is_read_with_its_labels() -> None:
    table = read_table(reader(gpt((2048, 4095, "bootfs"), (4096, 8191, "rootfs"))), SIZE)
    assert table.scheme == "gpt"
    assert table.disk == "03020100-0504-0706-0809-0a0b0c0d0e0f"
    assert [(one.label, one.start, one.size) for one in table.partitions] == [
        ("bootfs", MB, MB),
        ("rootfs", 2 * MB, 2 * MB),
    ]


@pytest.mark.parametrize("damage", ["header", "entries"])
def test_a_gpt_with_a_wrong_checksum_is_refused(damage: str) -> None:
    with pytest.raises(UnreadableImage, match=f"GPT's {damage}"):
        read_table(reader(gpt((2048, 4095, "bootfs"), damage=damage)), SIZE)


def test_a_gpt_that_claims_thousands_of_partitions_is_refused_before_they_are_read() -> None:
    with pytest.raises(UnreadableImage, match="more than 128"):
        read_table(reader(gpt((2048, 4095, "x"), count=100_000)), SIZE)


@pytest.mark.parametrize(
    ("pieces", "size", "words"),
    [
        ({}, SIZE, "not a disk image"),
        ({0: mbr()}, SIZE, "empty"),
        ({0: mbr((0x0C, 2048, 2048))}, 100, "ends early"),
        ({0: mbr((0x0C, 2048, 2048), (0x83, 4096, 4_000_000_000))}, SIZE, "partition 2 would lie"),
        ({0: mbr((0x0C, 0, 2048))}, SIZE, "partition 1 would lie"),
        ({0: mbr((0xEE, 1, 100))}, SIZE, "says GPT and there is none"),
    ],
    ids=["zeros", "no partition", "cut to 100 bytes", "beyond the end", "over its own table", "GPT without a header"],
)
def test_what_is_no_whole_image_is_refused_with_a_next_step(pieces: dict[int, bytes], size: int, words: str) -> None:
    with pytest.raises(UnreadableImage, match=words) as refused:
        read_table(reader(pieces, size), size)
    assert refused.value.remedy


def test_a_single_partition_is_told_from_a_card() -> None:
    sector = bytearray(mbr((0x0C, 2048, 2048)))
    sector[3:11], sector[82:87] = b"mkfs.fat", b"FAT32"
    with pytest.raises(UnreadableImage, match="single FAT partition"):
        read_table(reader({0: bytes(sector)}), SIZE)


@given(st.binary(min_size=72, max_size=72), st.integers(0, 4 * MB), st.booleans())
def test_no_table_leads_outside_the_image(noise: bytes, size: int, protective: bool) -> None:
    first = bytearray(bytes(438) + noise + b"\x55\xaa")
    if protective:
        first[450] = 0xEE
    data = bytes(first) + b"EFI PART" + noise

    def read(offset: int, length: int) -> bytes:
        assert 0 <= offset <= offset + length <= size
        return data[offset : offset + length].ljust(length, b"\0")

    try:
        table = read_table(read, size)
    except UnreadableImage:
        return
    assert all(512 <= one.start < one.start + one.size <= size for one in table.partitions)
