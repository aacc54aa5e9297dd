"""A card's image as a file: its boot partition, and the health and content of its Linux partitions.

Nothing is mounted and nothing needs root.
"""

import errno
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final

from roost_broker.errors import PeerError
from roost_provisioning.image.card_tools import output_of
from roost_provisioning.image.ext4 import Ext4
from roost_provisioning.image.fat import Fat
from roost_provisioning.image.partition_table import FAT_KINDS, Partition, UnreadableImage, read_table

MAX_BOOT_FILE: Final = 256 << 20
_LINUX: Final = "83"
_PIECE: Final = 1 << 22
_MENDED: Final = 1
"""e2fsck: it replayed the journal or mended what needs nobody's judgement."""


class CardImage:
    """One image. The partitions are read when it is made; raises `UnreadableImage` when they are not a device's."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        with self.path.open("rb") as file:

            def read(start: int, length: int) -> bytes:
                file.seek(start)
                return file.read(length)

            partitions = read_table(read, self.path.stat().st_size).partitions
        boot = next((one for one in partitions if one.kind in FAT_KINDS), None)
        self.linux = tuple(one for one in partitions if one.kind == _LINUX)
        """Root first, then (where there is one) data."""
        if boot is None or not self.linux:
            raise UnreadableImage(
                f"{self.path} has no FAT partition to boot from, or no Linux partition",
                "Give an image that `roost image build` wrote.",
            )
        self.boot = Fat(self.path, boot)

    @property
    def data(self) -> Partition:
        """The partition of `/var/lib/roost`: the last one."""
        return self.linux[-1]

    def read(self, name: str) -> bytes:
        """A file of the boot partition. Raises `PeerError` when it is not there."""
        content = self.boot.read(name, MAX_BOOT_FILE)
        if content is None:
            raise PeerError(f"The boot partition has no {name}.", "Build the image again.")
        return content

    def check(self, partition: Partition) -> str:
        """What is wrong with a file system, in e2fsck's words; empty when it is clean. Nothing is changed."""
        return _e2fsck("-fn", self._device(partition), good=(0,))

    def add_file(self, partition: Partition, path: str, content: bytes) -> None:
        """Write a file of root's that everybody may read; its folder must be there. Raises `PeerError`."""
        folder, _, name = path.rpartition("/")
        with tempfile.NamedTemporaryFile(prefix="roost-") as file:
            file.write(content)
            file.flush()
            orders = [f"cd {folder}", f"rm {name}", f"write {file.name} {name}"]
            orders += [f"set_inode_field {name} {field}" for field in ("mode 0100644", "uid 0", "gid 0")]
            given = "".join(f"{order}\n" for order in orders).encode()
            output_of(["debugfs", "-w", "-f", "-", self._device(partition)], given=given)
        if Ext4(self.path, partition).read(path) != content:
            raise PeerError(f"{path} could not be written into {self.path}.", "Has the image been built by Roost?")

    def copy_folder(self, partition: Partition, folder: str, to: Path) -> Path:
        """See the function of this name."""
        return copy_folder(self._device(partition), folder, to)

    def taken_out(self, partition: Partition, to: Path) -> Path:
        """A partition as a file of its own, which takes no room for what was never written."""
        with self.path.open("rb") as source, to.open("wb") as target:
            target.truncate(partition.size)
            end = at = partition.start
            while (at := _next(source.fileno(), max(at, end), os.SEEK_DATA)) < partition.start + partition.size:
                end = min(_next(source.fileno(), at, os.SEEK_HOLE), partition.start + partition.size)
                target.seek(at - partition.start)
                source.seek(at)
                _copy(source, target, end - at)
        return to

    def _device(self, partition: Partition) -> str:
        return f"{self.path}?offset={partition.start}"


def recover(file_system: Path) -> str:
    """Do what a boot does after a power cut: replay the journal. What is wrong then; empty when nothing is.

    Of a file system in a file of its own: after the journal e2fsck opens it again, and forgets an offset.
    """
    return _e2fsck("-p", str(file_system), good=(0, _MENDED)) or _e2fsck("-fn", str(file_system), good=(0,))


def copy_folder(device: str, folder: str, to: Path) -> Path:
    """Copy a folder of an ext4 file system into `to` (made); returns where it lies. `/` copies everything."""
    to.mkdir(parents=True, exist_ok=True)
    # debugfs complains where it may not give files their owners, and ends with 0.
    output_of(["debugfs", "-R", f'rdump {folder} "{to}"', device])
    return to / Path(folder).name


def _e2fsck(how: str, device: str, *, good: Sequence[int]) -> str:
    status, said, complaint = output_of(["e2fsck", how, device])
    text = (said.decode("utf-8", errors="replace").strip() + "\n" + complaint).strip()
    return "" if status in good else f"e2fsck ended with {status}: {text[-1_000:]}"


def _next(file: int, at: int, whence: int) -> int:
    """Where the next data or hole begins; past everything when there is none."""
    try:
        return os.lseek(file, at, whence)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return sys.maxsize


def _copy(source: BinaryIO, target: BinaryIO, length: int) -> None:
    while length > 0 and (piece := source.read(min(length, _PIECE))):
        target.write(piece)
        length -= len(piece)


def copy_sparse(image: Path, to: Path, size: int = 0) -> Path:
    """A copy that takes no room for what is zero, at least `size` bytes large: a card is larger than its image.

    Raises `PeerError` when the disk is full.
    """
    status, _, complaint = output_of(["cp", "--sparse=always", "--reflink=auto", str(image), str(to)])
    if status:
        raise PeerError(f"{image} could not be copied: {complaint[-300:]}", "Is the disk full?")
    if to.stat().st_size < size:
        os.truncate(to, size)
    return to


def power_of_two(size: int) -> int:
    """The next size that the emulated Pi takes for an SD card."""
    return 1 << (size - 1).bit_length()
