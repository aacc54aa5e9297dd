"""Where the partitions of an image lie: an MBR or a GPT, read from bytes.

Pure: bytes come through a function, nothing is opened here. An image is a file from elsewhere, so each number in it is
held against the size of the file before anybody uses it as an offset.
"""

import struct
import zlib
from collections.abc import Callable

import msgspec

from roost_broker.errors import PeerError

SECTOR = 512
MAX_PARTITIONS = 128  # what a GPT reserves room for; more is damage, not a disk
FAT_KINDS = frozenset({"01", "04", "06", "0b", "0c", "0e", "ef"})
EXTENDED_KINDS = frozenset({"05", "0f", "85"})
_PROTECTIVE = "ee"
_ENTRY_BYTES = range(128, 4097)

Read = Callable[[int, int], bytes]


class UnreadableImage(PeerError):
    """A file that is not the disk image it should be: cut short, of another kind, or at odds with itself."""


class Partition(msgspec.Struct, frozen=True):
    """One partition. `start` and `size` in bytes; `kind` is the MBR type in hex or the GPT type's UUID."""

    number: int
    start: int
    size: int
    kind: str
    label: str = ""


class Table(msgspec.Struct, frozen=True):
    """A partition table. `scheme` is `mbr` or `gpt`; `disk` is the disk's id, as PARTUUID= is made from it."""

    scheme: str
    disk: str
    partitions: tuple[Partition, ...]


def read_table(read: Read, size: int) -> Table:
    """The table of an image of `size` bytes; `read(offset, length)` gives its bytes. Raises `UnreadableImage`."""
    head = _exactly(read, 0, SECTOR, size)
    if head[510:512] != b"\x55\xaa":
        raise UnreadableImage(
            "this is not a disk image: its first sector has no partition table",
            "Give the image of a whole card (.img, .img.xz, .img.zst), not of a single partition, nor an archive.",
        )
    primary = _mbr_entries(head, 0)
    if any(entry.kind == _PROTECTIVE for entry in primary):
        return _gpt(read, size)
    if head[3:11] in {b"mkfs.fat", b"MSDOS5.0", b"MTOO4043"} and head[82:87] == b"FAT32":
        raise UnreadableImage(
            "this is a single FAT partition, not a whole card", "Give the image that is written to the card."
        )
    disk = f"{struct.unpack_from('<I', head, 440)[0]:08x}"
    partitions = []
    for entry in primary:
        partitions.append(_inside(entry, size))
        if entry.kind in EXTENDED_KINDS:
            partitions.extend(_logical(read, entry, size))
    if not partitions:
        raise UnreadableImage("its partition table is empty", "The image was not finished, or the download is damaged.")
    return Table("mbr", disk, tuple(partitions))


def _exactly(read: Read, offset: int, length: int, size: int) -> bytes:
    data = read(offset, length) if offset >= 0 and offset + length <= size else b""
    if len(data) != length:
        raise UnreadableImage(
            f"the image ends early: {length} bytes at {offset} are needed and it has {size}",
            "It was cut short. Download or copy it again, and compare its SHA-256.",
        )
    return data


def _mbr_entries(sector: bytes, base: int) -> list[Partition]:
    """The used ones of a sector's four entries. `base`, in sectors, is added to where they start."""
    found = []
    for index in range(4):
        kind, start, length = struct.unpack_from("<4xB3xII", sector, 446 + 16 * index)
        if kind and length:
            found.append(Partition(index + 1, (base + start) * SECTOR, length * SECTOR, f"{kind:02x}"))
    return found


def _logical(read: Read, extended: Partition, size: int) -> list[Partition]:
    """The partitions within an extended one: a chain of tables, followed forwards only and not for ever."""
    found: list[Partition] = []
    base = extended.start // SECTOR
    at = extended.start
    while len(found) < MAX_PARTITIONS:
        sector = _exactly(read, at, SECTOR, size)
        if sector[510:512] != b"\x55\xaa":
            raise UnreadableImage("an extended partition's table is damaged", "Download or copy the image again.")
        own = [entry for entry in _mbr_entries(sector, at // SECTOR) if entry.kind not in EXTENDED_KINDS]
        found.extend(_inside(msgspec.structs.replace(entry, number=5 + len(found)), size) for entry in own[:1])
        further = [entry for entry in _mbr_entries(sector, base) if entry.kind in EXTENDED_KINDS]
        if not further:
            return found
        if further[0].start <= at:
            raise UnreadableImage("an extended partition's tables run in a circle", "Download or copy the image again.")
        at = further[0].start
    raise UnreadableImage(f"more than {MAX_PARTITIONS} partitions", "This is not the image of a card.")


def _gpt(read: Read, size: int) -> Table:
    header = _exactly(read, SECTOR, SECTOR, size)
    if header[:8] != b"EFI PART":
        raise UnreadableImage(
            "its partition table says GPT and there is none", "The image is damaged: download or copy it again."
        )
    length, stated = struct.unpack_from("<II", header, 12)
    checked = header[:16] + b"\x00" * 4 + header[20 : max(20, min(length, SECTOR))]
    first, count, each, entries_sum = struct.unpack_from("<QIII", header, 72)
    if not 92 <= length <= SECTOR or zlib.crc32(checked) != stated or each not in _ENTRY_BYTES:
        raise UnreadableImage("the GPT's header is damaged", "Download or copy the image again.")
    if count > MAX_PARTITIONS:
        raise UnreadableImage(f"more than {MAX_PARTITIONS} partitions", "This is not the image of a card.")
    entries = _exactly(read, first * SECTOR, count * each, size)
    if zlib.crc32(entries) != entries_sum:
        raise UnreadableImage("the GPT's entries are damaged", "Download or copy the image again.")
    partitions = []
    for index in range(count):
        entry = entries[index * each : (index + 1) * each]
        if not any(entry[:16]):
            continue
        start, end = struct.unpack_from("<QQ", entry, 32)
        label = entry[56:128].decode("utf-16-le", "replace").split("\x00")[0]
        here = Partition(index + 1, start * SECTOR, (end - start + 1) * SECTOR, _guid(entry[:16]), label)
        partitions.append(_inside(here, size))
    return Table("gpt", _guid(header[56:72]), tuple(partitions))


def _guid(data: bytes) -> str:
    """A GUID as text; its first three fields are little-endian."""
    a, b, c = struct.unpack_from("<IHH", data)
    return f"{a:08x}-{b:04x}-{c:04x}-{data[8:10].hex()}-{data[10:16].hex()}"


def _inside(partition: Partition, size: int) -> Partition:
    if partition.size <= 0 or partition.start < SECTOR or partition.start + partition.size > size:
        raise UnreadableImage(
            f"partition {partition.number} would lie from byte {partition.start} to "
            f"{partition.start + partition.size}, and the image has {size}",
            "The image was cut short, or was not finished. Download or copy it again, and compare its SHA-256.",
        )
    return partition
