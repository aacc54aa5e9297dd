"""The emulator's command line, from what the boot partition says. Pure.

Two machines:

    virt      a board that exists only in the emulator, with network. Everything but the drivers is the image's own.
    raspi3b   the emulator's Raspberry Pi 3 B, with the device tree of the card: kernel, SD card and serial line of a
              Pi. It has no network here and no clock that survives switching off.

The kernel gets cmdline.txt as it is written, but for what the machine has not: its serial line, and on `virt` the SD
card's name. What was changed is told, never hidden.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from roost_broker.errors import Misuse

Kind: TypeAlias = Literal["virt", "raspi3b"]
KINDS: Final[tuple[Kind, ...]] = ("virt", "raspi3b")
PROGRAM: Final = "qemu-system-aarch64"
GATEWAY: Final = "10.0.2.2"
"""How a guest on `virt` reaches this machine's loopback."""

_SD_CARD = "/dev/mmcblk0p"
_CONSOLES: Final[dict[Kind, tuple[str, ...]]] = {
    "virt": ("console=ttyAMA0,115200",),
    # Which of the two lines is first differs between kernels; the emulator writes both down.
    "raspi3b": ("console=ttyS1,115200", "console=ttyAMA0,115200"),
}
_QUIET = ("quiet", "splash")
_PATIENT: Final = ("systemd.service_watchdogs=0", "systemd.watchdog_sec=0")
"""An emulated device is slower by ten times and more: its watchdogs would take that for hanging."""
_TELLING: Final = ("systemd.journald.forward_to_console=1", "systemd.journald.max_level_console=info")
"""What services say comes out on the serial line, too: a device that does not come up can be asked nothing else."""


@dataclass(frozen=True, slots=True)
class Card:
    """Files that were copied out of the boot partition, and the image itself."""

    image: Path
    kernel: Path
    initramfs: Path | None
    device_tree: Path | None


@dataclass(frozen=True, slots=True)
class Machine:
    """What to emulate."""

    kind: Kind = "virt"
    memory_mb: int = 1024
    processors: int = 2
    forwards: tuple[tuple[int, int], ...] = ()
    """Ports of this machine's loopback, and the guest's port behind each."""

    def __post_init__(self) -> None:
        if not 256 <= self.memory_mb <= 16_384:
            raise Misuse(f"{self.memory_mb} MB of memory cannot be emulated.", "Give 256 to 16384.")
        if not 1 <= self.processors <= 8:
            raise Misuse(f"{self.processors} processors cannot be emulated.", "Give 1 to 8.")
        if self.kind == "raspi3b" and self.forwards:
            raise Misuse("The emulated Pi 3 has no network.", "Use the machine virt.")


@dataclass(frozen=True, slots=True)
class KernelWords:
    """The kernel's command line, and what of cmdline.txt it does not say as it was written."""

    words: tuple[str, ...]
    changes: tuple[str, ...]

    def __str__(self) -> str:
        """As it is given to the kernel."""
        return " ".join(self.words)


def kernel_words(written: tuple[str, ...], kind: Kind) -> KernelWords:
    """cmdline.txt for this machine. Raises `Misuse` when it names no root file system."""
    if not any(word.startswith("root=") for word in written):
        raise Misuse("cmdline.txt names no root file system.", "It needs root=LABEL=… or root=PARTUUID=….")
    words: list[str] = []
    changes: list[str] = []
    for word in written:
        if word.startswith("console=") or word in _QUIET:
            changes.append(f"without {word}")
        elif kind == "virt" and word.startswith(f"root={_SD_CARD}"):
            words.append(word.replace(_SD_CARD, "/dev/vda"))
            changes.append(f"{words[-1]} for {word}")
        else:
            words.append(word)
    added = [*(("earlycon=pl011,0x3f201000",) if kind == "raspi3b" else ()), *_CONSOLES[kind], *_PATIENT, *_TELLING]
    changes += [f"with {word}" for word in added]
    return KernelWords((*words, *added), tuple(changes))


def arguments(machine: Machine, card: Card, words: KernelWords, consoles: tuple[Path, Path], orders: Path) -> list[str]:
    """The whole command. `consoles` are written by the guest, `orders` is a socket to be switched off by.

    The image is opened past this machine's cache (cache=none), so that what the guest has not been promised as
    written is lost when the emulator is killed: as with a card when the plug is pulled.
    """
    command = [PROGRAM, *("-m", str(machine.memory_mb)), *("-kernel", str(card.kernel)), *("-append", str(words))]
    command += ["-initrd", str(card.initramfs)] if card.initramfs else []
    drive = f"file={_escaped(card.image)},format=raw,cache=none"
    if machine.kind == "virt":
        forwards = "".join(f",hostfwd=tcp:127.0.0.1:{here}-:{there}" for here, there in machine.forwards)
        command += ["-M", "virt", "-cpu", "cortex-a53", "-smp", str(machine.processors)]
        command += ["-drive", f"{drive},if=virtio", "-netdev", f"user,id=n{forwards}"]
        # Nobody boots from the network card, so its ROM is not needed.
        command += ["-device", "virtio-net-pci,netdev=n,romfile=", "-device", "virtio-rng-pci"]
    else:
        if card.device_tree is None:
            raise Misuse("The emulated Pi 3 needs its device tree.", "The card's config.txt names none.")
        command += ["-M", "raspi3b", "-dtb", str(card.device_tree), "-drive", f"{drive},if=sd"]
    command += ["-serial", f"file:{consoles[0]}", "-serial", f"file:{consoles[1]}"]
    command += ["-display", "none", "-monitor", "none", "-qmp", f"unix:{orders},server=on,wait=off", "-no-reboot"]
    return command


def _escaped(path: Path) -> str:
    """A comma in a file's name is doubled, or the rest of it is taken for an option."""
    return str(path).replace(",", ",,")
