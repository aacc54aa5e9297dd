"""What a file system says of itself in its first kilobytes: kind, label, size, how much is used. Pure, over bytes."""

import struct
import uuid
from array import array

import msgspec

from roost_provisioning.image.partition_table import Partition, Read, UnreadableImage

_EXT_MAGIC = 0xEF53
_FAT_CHUNK = 1 << 20
_MAX_FAT_BYTES = 64 << 20  # the table of a 2 TB file system with clusters of 128 KiB


class FileSystem(msgspec.Struct, frozen=True):
    """`kind` is `fat`, `ext` or empty (unknown). `size` and `used` in bytes; `uuid` as `blkid` prints it."""

    kind: str
    label: str = ""
    uuid: str = ""
    size: int = 0
    used: int = 0
    clean: bool = True


def probe(read: Read, partition: Partition) -> FileSystem:
    """The file system in a partition. Raises `UnreadableImage` when it says what cannot be."""
    boot = read(partition.start, 512)
    if len(boot) == 512 and boot[510:512] == b"\x55\xaa" and (boot[54:57] == b"FAT" or boot[82:87] == b"FAT32"):
        return _fat(read, boot, partition)
    superblock = read(partition.start + 1024, 1024) if partition.size >= 2048 else b""
    if len(superblock) == 1024 and struct.unpack_from("<H", superblock, 56)[0] == _EXT_MAGIC:
        return _ext(superblock, partition)
    return FileSystem("")


def _fat(read: Read, boot: bytes, partition: Partition) -> FileSystem:
    sector, per_cluster, reserved, tables, roots, small = struct.unpack_from("<HBHBHH", boot, 11)
    table_16, large, table_32 = struct.unpack_from("<H8xII", boot, 22)
    sectors, table = small or large, table_16 or table_32
    if sector not in (512, 1024, 2048, 4096) or per_cluster not in (1, 2, 4, 8, 16, 32, 64, 128):
        raise UnreadableImage(f"the FAT of partition {partition.number} has impossible sizes", _AGAIN)
    if sectors * sector > partition.size:
        raise UnreadableImage(f"the FAT of partition {partition.number} is larger than its partition", _AGAIN)
    clusters = (sectors - reserved - tables * table - -(-roots * 32 // sector)) // per_cluster
    if clusters < 1 or table * sector > _MAX_FAT_BYTES or tables < 1:
        raise UnreadableImage(f"the FAT of partition {partition.number} has impossible sizes", _AGAIN)
    is_32 = not table_16
    label, serial = (boot[71:82], boot[67:71]) if is_32 else (boot[43:54], boot[39:43])
    number = f"{struct.unpack('<I', serial)[0]:08X}"
    used = None
    if clusters >= 4085:  # below that it is FAT12, whose entries are a byte and a half; nobody's boot partition
        width = 4 if is_32 else 2
        used = _used_clusters(read, partition.start + reserved * sector, (clusters + 2) * width, width)
    return FileSystem(
        "fat",
        "" if (text := label.decode("ascii", "replace").strip()) == "NO NAME" else text,
        f"{number[:4]}-{number[4:]}",
        sectors * sector,
        (used or 0) * per_cluster * sector,
    )


def _used_clusters(read: Read, start: int, length: int, width: int) -> int:
    """How many clusters the table gives away; the first two entries are not clusters."""
    used, mask = -2, 0x0FFFFFFF if width == 4 else 0xFFFF
    for at in range(0, length, _FAT_CHUNK):
        wanted = min(_FAT_CHUNK, length - at)
        data = read(start + at, wanted)
        if len(data) != wanted:
            raise UnreadableImage("the FAT ends outside the image", _AGAIN)
        entries = array("I" if width == 4 else "H", data)
        used += sum(1 for entry in entries if entry & mask)
    return max(used, 0)


def _ext(superblock: bytes, partition: Partition) -> FileSystem:
    _, blocks, _, free = struct.unpack_from("<IIII", superblock, 0)
    shift = struct.unpack_from("<I", superblock, 24)[0]
    state = struct.unpack_from("<H", superblock, 58)[0]
    wide = struct.unpack_from("<I", superblock, 96)[0] & 0x80  # the feature 64bit: the counts have upper halves
    if wide:
        blocks |= struct.unpack_from("<I", superblock, 0x150)[0] << 32
        free |= struct.unpack_from("<I", superblock, 0x158)[0] << 32
    if shift > 6 or free > blocks:
        raise UnreadableImage(f"the ext4 of partition {partition.number} has impossible sizes", _AGAIN)
    size = blocks * (1024 << shift)
    if size > partition.size:
        raise UnreadableImage(f"the ext4 of partition {partition.number} is larger than its partition", _AGAIN)
    return FileSystem(
        "ext",
        superblock[120:136].split(b"\x00")[0].decode("utf-8", "replace"),
        str(uuid.UUID(bytes=superblock[104:120])),
        size,
        size - free * (1024 << shift),
        bool(state & 1),
    )


_AGAIN = "The image is damaged: download or copy it again, and compare its SHA-256."
