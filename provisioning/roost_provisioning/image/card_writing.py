"""Writes an image onto a card in a reader, and reads it back.

Rules:

1. Only a whole disk that nothing uses, that can be taken out (or hangs on USB, or is a card reader's), and that is no
   larger than cards are. `anything` lifts the last two, never the first.
2. All bytes are written, zeros too: what a file system left out because it "is zero" must be zero on the card.
3. The first sector comes last: a card that was pulled out halfway has no partition table and starts nothing.
4. What was written is read back from the card, not from memory, and compared.
"""

import hashlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path

import msgspec

from roost_broker.errors import Misuse, PeerError
from roost_provisioning.image.card_files import Progress

MAX_CARD = 256_000_000_000
_CHUNK = 4 << 20
_HEAD = 4096


class Disk(msgspec.Struct, frozen=True):
    """What the kernel says of a block device. `used` names what uses it: mount points, swap, mappings."""

    name: str
    size: int
    whole: bool
    removable: bool
    read_only: bool
    used: tuple[str, ...] = ()
    model: str = ""


def refusal(disk: Disk, size: int, *, anything: bool = False) -> Misuse | None:
    """Why an image of `size` bytes is not written there; None where it may be. Pure."""
    here = f"/dev/{disk.name} ({disk.model or 'no name'}, {disk.size / 1e9:.1f} GB)"
    if not disk.whole:
        return Misuse(f"{here} is a partition", "Name the whole card, without the number at its end.")
    if disk.used:
        return Misuse(f"{here} is in use: {', '.join(disk.used)[:200]}", "Unmount it; is it the card at all?")
    if disk.read_only:
        return Misuse(f"{here} is read-only", "Look at the switch on the card or on its adapter.")
    if size > disk.size:
        return Misuse(f"{here} is too small: the image has {size / 1e9:.1f} GB", "Take a larger card.")
    if not anything and not disk.removable:
        return Misuse(f"{here} cannot be taken out: it may be this machine's own disk", "--any-device if you are sure.")
    if not anything and disk.size > MAX_CARD:
        return Misuse(f"{here} is larger than cards are", "--any-device if you are sure.")
    return None


def disk_of(device: Path, sys: Path = Path("/sys/class/block"), proc: Path = Path("/proc")) -> Disk:
    """Ask the kernel of a block device. Raises `Misuse` for what is none."""
    if not device.exists() or not stat.S_ISBLK(device.stat().st_mode):
        raise Misuse(f"{device} is no card", "Name the device of the reader: lsblk lists them.")
    name = device.resolve().name
    here = sys / name
    parts = [one.name for one in here.iterdir() if (one / "partition").exists()] if here.is_dir() else []
    bus = str(here.resolve())
    return Disk(
        name=name,
        size=int(_text(here / "size") or 0) * 512,
        whole=not (here / "partition").exists(),
        removable=_text(here / "removable") == "1" or "/usb" in bus or "/mmc" in bus,
        read_only=_text(here / "ro") == "1",
        used=tuple(_used(sys, proc, [name, *parts])),
        model=_text(here / "device" / "model"),
    )


def write_card(image: Path, device: Path, progress: Progress) -> str:
    """Write the image and compare; returns its SHA-256. The caller has asked `refusal`. Raises `PeerError`, OSError."""
    size = image.stat().st_size
    digest = hashlib.sha256()
    # O_EXCL: the kernel itself refuses a disk that is mounted.
    with image.open("rb") as source, os.fdopen(os.open(device, os.O_RDWR | os.O_EXCL), "r+b", buffering=0) as card:
        head = source.read(_HEAD)
        digest.update(head)
        _put(card.fileno(), bytes(len(head)), 0)
        done = len(head)
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            _put(card.fileno(), chunk, done)
            done += len(chunk)
            progress.progress(done, 2 * size)
        os.fsync(card.fileno())
        _put(card.fileno(), head, 0)
        os.fsync(card.fileno())
        # Forgotten by this machine, so that what is read comes from the card.
        os.posix_fadvise(card.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        found = hashlib.sha256()
        card.seek(0)
        while done < 2 * size and (chunk := card.read(min(_CHUNK, 2 * size - done))):
            found.update(chunk)
            done += len(chunk)
            progress.progress(done, 2 * size)
    if found.digest() != digest.digest():
        raise PeerError(f"{device} does not hold what was written", "The card is worn out or false: use another one.")
    return digest.hexdigest()


def _put(handle: int, data: bytes, at: int) -> None:
    while data:
        done = os.pwrite(handle, data, at)
        data, at = data[done:], at + done


def _used(sys: Path, proc: Path, names: Sequence[str]) -> list[str]:
    numbers = {_text(sys / name / "dev"): name for name in names}
    found = []
    for line in _text(proc / "self" / "mountinfo").splitlines():
        words = line.split()
        if len(words) > 4 and words[2] in numbers:
            found.append(words[4])
    swaps = {line.split()[0] for line in _text(proc / "swaps").splitlines()[1:] if line.split()}
    for name in names:
        found += [f"swap on {name}"] if f"/dev/{name}" in swaps else []
        holders = sys / name / "holders"
        found += [one.name for one in holders.iterdir()] if holders.is_dir() else []
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
