"""An image as its parts: which partition is the boot partition, which the root, and how to read both."""

from pathlib import Path
from typing import IO

import msgspec

from roost_broker.errors import Misuse
from roost_provisioning.image.card_files import size_of
from roost_provisioning.image.ext4 import Ext4
from roost_provisioning.image.fat import Fat
from roost_provisioning.image.partition_probe import FileSystem, probe
from roost_provisioning.image.partition_table import Partition, Table, UnreadableImage, read_table

_MARKS_OF_BOOT = ("config.txt", "cmdline.txt")


class Part(msgspec.Struct, frozen=True):
    """A partition and the file system in it."""

    partition: Partition
    holds: FileSystem


class Card(msgspec.Struct, frozen=True):
    """An image that was looked at. `boot` and `root` are what the firmware and the kernel would take."""

    image: Path
    size: int
    table: Table
    parts: tuple[Part, ...]
    boot: Part | None
    root: Part | None

    def fat(self) -> Fat:
        """The boot partition. Raises `UnreadableImage` where there is none."""
        if self.boot is None:
            raise UnreadableImage(
                "no boot partition: no FAT with config.txt on it", "Give the image of a card for a Raspberry Pi."
            )
        return Fat(self.image, self.boot.partition)

    def ext(self) -> Ext4:
        """The root file system. Raises `UnreadableImage` where there is none."""
        if self.root is None:
            raise UnreadableImage(
                "no root file system: no ext4 with an os-release on it", "Give the image of a card for a Raspberry Pi."
            )
        return Ext4(self.image, self.root.partition)


def read_card(image: Path) -> Card:
    """Look at an unpacked image or a card in a reader. Raises `UnreadableImage` on what cannot be one."""
    try:
        with image.open("rb", buffering=0) as file:
            size = size_of(image)

            def read(offset: int, length: int) -> bytes:
                return _read_at(file, offset, length)

            table = read_table(read, size)
            parts = tuple(Part(partition, probe(read, partition)) for partition in table.partitions)
    except PermissionError as error:
        raise Misuse(
            f"{image} may not be read by you", "Use sudo for a card in a reader, or become its owner."
        ) from error
    boot = next((part for part in parts if part.holds.kind == "fat" and _is_boot(Fat(image, part.partition))), None)
    root = next((part for part in parts if part.holds.kind == "ext" and _is_root(Ext4(image, part.partition))), None)
    return Card(image, size, table, parts, boot, root)


def _read_at(file: IO[bytes], offset: int, length: int) -> bytes:
    file.seek(offset)
    data = b""
    while len(data) < length and (more := file.read(length - len(data))):
        data += more
    return data


def _is_boot(fat: Fat) -> bool:
    return any(fat.has(name) for name in _MARKS_OF_BOOT)


def _is_root(ext: Ext4) -> bool:
    return ext.entry("/usr/lib/os-release") is not None or ext.entry("/etc/os-release") is not None
