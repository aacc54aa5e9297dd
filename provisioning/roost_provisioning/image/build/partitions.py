"""Where the partitions of an image lie. Pure.

4 MiB   firmware, FAT32, 256 MiB: two kernels with all they need
        root, ext4: what is in it, and a little
        free:   the least data partition; the device makes it, and grows the root, at its first boot
"""

from dataclasses import dataclass
from typing import Final

from roost_broker.errors import Misuse

MIB: Final = 1024**2
BOOT_START: Final = 4
BOOT_SIZE: Final = 256
ROOT_START: Final = BOOT_START + BOOT_SIZE
DATA_ROOM: Final = 128
_SPARE: Final = 160
"""MiB free in a fresh root: what the first boot writes before the root has grown."""


@dataclass(frozen=True, slots=True)
class Layout:
    """All in MiB."""

    root_size: int

    @property
    def image_size(self) -> int:
        """The whole file."""
        return ROOT_START + self.root_size + DATA_ROOM

    def script(self, disk_id: str) -> str:
        """What sfdisk is told. `disk_id`: eight hexadecimal digits."""
        return (
            f"label: dos\nlabel-id: 0x{disk_id}\n"
            f"start={BOOT_START}MiB, size={BOOT_SIZE}MiB, type=c, bootable\n"
            f"start={ROOT_START}MiB, size={self.root_size}MiB, type=83\n"
        )


def layout(content: int, files: int, wanted_mib: int = 0) -> Layout:
    """For a root with so many bytes in so many files; `wanted_mib`: size of the whole image, 0: as small as may be.

    Raises Misuse when the wanted size is too small.
    """
    # 4 KiB blocks, 256-byte inodes, a journal of at most 64 MiB and 1.6 % for the tables.
    need = int((content + files * 256) * 1.02 / MIB) + 64 + _SPARE
    need = -(-need // 4) * 4
    least = Layout(need)
    if not wanted_mib:
        return least
    if wanted_mib < least.image_size:
        raise Misuse(
            f"An image of {wanted_mib} MiB is too small.",
            f"It takes {least.image_size} MiB; leave --size out for that.",
        )
    return Layout((wanted_mib - ROOT_START - DATA_ROOM) // 4 * 4)
