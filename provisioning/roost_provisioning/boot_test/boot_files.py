"""What the Pi's firmware would load, read from config.txt and cmdline.txt. Pure.

The firmware itself cannot run in an emulator. So its part is done here: the same lines decide which kernel, which
initial ramdisk, which device tree and which command line are started, and a card whose config.txt names a file that
is not there fails before anything boots. https://www.raspberrypi.com/documentation/computers/config_txt.html

Understood: `kernel`, `initramfs`, `auto_initramfs`, `cmdline`, `os_prefix`, `device_tree`, `upstream_kernel`,
`dtoverlay`, and the filters `[all]`, `[none]` and those for boards. A filter for anything else (serial numbers, GPIO,
displays) counts as not met. Not understood, and refused rather than passed over: `include`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from roost_broker.errors import Malformed

_LINE_LIMIT: Final = 98
"""What follows is ignored by the firmware."""


@dataclass(frozen=True, slots=True)
class Board:
    """A Pi: which filters of config.txt it meets, the names of its device tree, and what its boot ROM loads first."""

    name: str
    filters: frozenset[str]
    upstream_tree: str
    vendor_tree: str
    firmware: tuple[str, ...]
    kernel: str = "kernel8.img"
    """Taken where config.txt names none (64-bit)."""


_UNTIL_PI_3 = ("bootcode.bin", "start.elf", "fixup.dat")
_PI_4 = ("start4.elf", "fixup4.dat")

PI_3B: Final = Board("pi3b", frozenset({"pi3"}), "bcm2837-rpi-3-b.dtb", "bcm2710-rpi-3-b.dtb", _UNTIL_PI_3)
PI_3BP: Final = Board(
    "pi3b+", frozenset({"pi3", "pi3+"}), "bcm2837-rpi-3-b-plus.dtb", "bcm2710-rpi-3-b-plus.dtb", _UNTIL_PI_3
)
PI_ZERO_2W: Final = Board(
    "zero2w",
    frozenset({"pi0", "pi0w", "pi02"}),
    "bcm2837-rpi-zero-2-w.dtb",
    "bcm2710-rpi-zero-2-w.dtb",
    _UNTIL_PI_3,
)
PI_4B: Final = Board("pi4b", frozenset({"pi4"}), "bcm2711-rpi-4-b.dtb", "bcm2711-rpi-4-b.dtb", _PI_4)
BOARDS: Final = (PI_3B, PI_3BP, PI_ZERO_2W, PI_4B)
"""Boards an image is for. A Pi 5 needs the vendor's kernel."""


@dataclass(frozen=True, slots=True)
class BootFiles:
    """What one board loads from the boot partition. Empty: it loads none."""

    board: str
    kernel: str
    initramfs: str
    device_tree: str
    cmdline: str
    firmware: tuple[str, ...]
    overlays: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """Every file that must be there."""
        named = (*self.firmware, self.kernel, self.initramfs, self.device_tree, self.cmdline, *self.overlays)
        return tuple(name for name in named if name)

    def missing(self, present: Collection[str]) -> tuple[str, ...]:
        """Those that are not; the partition is FAT, so letters' case does not count."""
        there = {name.lower() for name in present}
        return tuple(name for name in self.all if name.lower() not in there)


def boot_files(config: str, board: Board) -> BootFiles:
    """What `board` loads by this config.txt. Raises `Malformed` for what cannot be followed."""
    said: dict[str, str] = {}
    overlays: list[str] = []
    for key, value in _met(config, board):
        if key == "dtoverlay":
            if name := value.partition(",")[0].strip():  # an empty one ends the parameters of the one before
                overlays.append(f"overlays/{name}.dtbo")
        elif key == "include":
            raise Malformed(f"config.txt includes {value!r}.", "Write everything into config.txt itself.")
        else:
            said[key] = value
    if said.get("arm_64bit", "1") == "0":
        raise Malformed("config.txt says arm_64bit=0.", "Roost is for 64-bit systems; leave the line out.")
    prefix = said.get("os_prefix", "")
    kernel = said.get("kernel", board.kernel)
    tree = said.get("device_tree", board.upstream_tree if said.get("upstream_kernel") == "1" else board.vendor_tree)
    return BootFiles(
        board=board.name,
        kernel=prefix + kernel,
        initramfs=_ramdisk(said, prefix, kernel),
        device_tree=prefix + tree if tree else "",
        cmdline=prefix + said.get("cmdline", "cmdline.txt"),
        firmware=board.firmware,
        overlays=tuple(prefix + name for name in overlays),
    )


def command_line(text: str) -> tuple[str, ...]:
    """The words of cmdline.txt. Raises `Malformed` when the kernel would get less than is written."""
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) != 1:
        raise Malformed(f"cmdline.txt has {len(lines)} lines; the firmware reads one.", "Write everything on one line.")
    return tuple(lines[0].split())


def _met(config: str, board: Board) -> list[tuple[str, str]]:
    """Keys and values of the lines that count for this board."""
    found: list[tuple[str, str]] = []
    counts = True
    for number, raw in enumerate(config.splitlines(), 1):
        line = raw.partition("#")[0].strip()
        if len(line) > _LINE_LIMIT:
            raise Malformed(f"Line {number} of config.txt is longer than {_LINE_LIMIT} letters.", "Shorten it.")
        if line.startswith("[") and line.endswith("]"):
            counts = line[1:-1].strip().lower() in {"all", *board.filters}
        elif counts and line.startswith("initramfs "):
            found.append(("initramfs", line.split(None, 1)[1]))
        elif counts and "=" in line:
            key, _, value = line.partition("=")
            found.append((key.strip(), value.strip()))
    return found


def _ramdisk(said: dict[str, str], prefix: str, kernel: str) -> str:
    if "initramfs" in said:  # `initramfs NAME followkernel`, or `NAME ADDRESS`
        return prefix + said["initramfs"].split()[0]
    if said.get("auto_initramfs") == "1":  # kernel8.img -> initramfs8, and so on
        stem = kernel.removesuffix(".img")
        return prefix + stem.replace("kernel", "initramfs", 1) if stem.startswith("kernel") else ""
    return ""
