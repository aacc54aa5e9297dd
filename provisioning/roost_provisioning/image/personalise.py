"""Writes onto a card what makes it one device's: name, seed, login, Wi-Fi, settings. The image is not mounted.

Everything goes onto the boot partition, which any computer can read: so an identity can also be a folder of files
(an overlay) that is copied there after the card was written. N cards of one image then take N small folders.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from roost_broker.durable import make_folder, write_durably
from roost_broker.errors import Misuse
from roost_edge.enrolment.seed import CA, SEED, write_seed
from roost_provisioning.image.card_identity import CardIdentity
from roost_provisioning.image.card_reading import Card, read_card
from roost_provisioning.image.cloud_init import META_DATA, cloud_files, instance_of
from roost_provisioning.image.first_run import (
    BOOT,
    INSTALL,
    SCRIPT,
    cmdline_with_instance,
    cmdline_with_script,
    script,
)
from roost_provisioning.image.inspecting import SEED_FOLDER, SystemFacts, system_of
from roost_provisioning.image.partition_table import UnreadableImage

CMDLINE = "cmdline.txt"
MAX_CARDS = 1000
_ROOM_LEFT = 1 << 20  # bytes of the boot partition that are never filled: the firmware's own files are changed there


class Means(msgspec.Struct, frozen=True):
    """How an image takes an identity. `first_boot` as in `SystemFacts`; `cmdline` as it is on the boot partition."""

    first_boot: str
    official: bool
    installs: bool
    cmdline: str


def means_of(card: Card, system: SystemFacts | None = None) -> Means:
    """How this image takes an identity. Raises `UnreadableImage` when it takes none."""
    system = system or system_of(card)
    fat = card.fat()
    if not system.first_boot:
        raise UnreadableImage(
            f"{system.name or 'the system in this image'} has neither cloud-init nor Raspberry Pi OS's first run",
            "Use an image of `roost image build`, or one of Raspberry Pi OS that `roost image customise` prepared.",
        )
    if card.ext().entry("/var/lib/cloud/instance", follow=False) or card.ext().entry("/var/lib/roost/provisioned"):
        raise UnreadableImage("this system has been started already", "Use the image it was written from.")
    return Means(system.first_boot, bool(system.issue), fat.has(INSTALL), fat.text(CMDLINE, 4096).strip())


def overlay(identity: CardIdentity, means: Means) -> dict[str, bytes]:
    """The files for the boot partition, by path."""
    files = {f"{SEED_FOLDER}/{path}": content for path, content in identity.files.items()}
    if identity.seed:
        with tempfile.TemporaryDirectory(prefix="roost-seed-") as folder:
            # The seed's own module writes it, so that what is written is what will be read.
            write_seed(Path(folder), msgspec.structs.replace(identity.seed, name=identity.seed.name or identity.name))
            for name in (SEED, CA):
                if (Path(folder) / name).exists():
                    files[f"{SEED_FOLDER}/{name}"] = (Path(folder) / name).read_bytes()
    if means.first_boot == "firstrun":
        files[SCRIPT] = script(identity)
        files[CMDLINE] = cmdline_with_script(means.cmdline).encode()
        return files
    commands = [("sh", f"{BOOT}/{INSTALL}", "arm"), _START] if means.installs else []
    cloud = cloud_files(identity, commands=commands, wired="eth0" if means.official else "e*")
    return files | cloud


def fitted(files: Mapping[str, bytes], means: Means) -> dict[str, bytes]:
    """A card's files for this very image: the command line names the image's own root, so it is made from there.

    Raises `Misuse` for files that were made for an image of another kind.
    """
    if (SCRIPT in files) != (means.first_boot == "firstrun"):
        raise Misuse(
            "these files were made for an image that starts in another way",
            "Personalise with the image that is on the card.",
        )
    fit = {path: content for path, content in files.items() if path != CMDLINE}
    if SCRIPT in files:
        return {**fit, CMDLINE: cmdline_with_script(means.cmdline).encode()}
    if means.official:
        instance = instance_of(files[META_DATA].decode("utf-8", "replace"))
        return {**fit, CMDLINE: cmdline_with_instance(means.cmdline, instance).encode()}
    return fit


def put(image: Path, files: Mapping[str, bytes | Path]) -> None:
    """Put files onto the boot partition of an image that may be changed. Raises `Misuse` where there is no room.

    The order is one in which an end halfway leaves a card that starts as if nothing had been put: what the command
    line or cloud-init names comes first, the names last.
    """
    card = read_card(image)
    fat = card.fat()
    assert card.boot is not None  # noqa: S101  # card.fat() has refused otherwise; for mypy
    needed = sum(_room(content) for content in files.values()) + _ROOM_LEFT
    free = card.boot.holds.size - card.boot.holds.used
    if needed > free:
        raise Misuse(
            f"the boot partition has {free >> 20} MB free and {-(-needed >> 20)} MB are needed",
            "Give fewer or smaller files, or an image with a larger boot partition.",
        )
    last = (META_DATA, CMDLINE)
    fat.write({path: content for path, content in files.items() if path not in last})
    fat.write({path: files[path] for path in last if path in files})
    missing = [path for path, content in files.items() if not _is(fat.read(path, 1 << 30), content)]
    if missing:
        raise UnreadableImage(f"{', '.join(missing)[:200]} cannot be read back", "Is the card worn out? Use another.")


def write_overlay(folder: Path, files: Mapping[str, bytes]) -> None:
    """The files as a folder that only its owner may read. Raises `Misuse` when there is one of that name."""
    if folder.exists():
        raise Misuse(f"{folder} is there already", "Choose another --output, or remove it.")
    make_folder(folder.parent)
    folder.mkdir(mode=0o700)
    for path, content in files.items():
        write_durably(folder / path, content, mode=0o600)


def read_overlay(folder: Path) -> dict[str, bytes]:
    """The files of such a folder. Raises `Misuse` for what is none."""
    files = {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    if not {META_DATA, SCRIPT} & set(files):
        raise Misuse(f"{folder} holds no card's files", "Give a folder that `roost image personalise --overlay` made.")
    return files


def names_of(name: str, prefix: str, count: int, first: int = 1) -> list[str]:
    """The names of the cards: one `name`, or `prefix` with a number each, as wide as the last one needs."""
    if bool(name) == bool(prefix):
        raise Misuse("a card is for one device", "Give --name NAME for one card, or --prefix coop- --count N for many.")
    if name:
        if count != 1:
            raise Misuse(f"{count} cards cannot all be {name}", "Give --prefix instead of --name.")
        return [name]
    if not 1 <= count <= MAX_CARDS or first < 0:
        raise Misuse(f"{count} cards are not possible", f"Give --count 1 to {MAX_CARDS}.")
    width = len(str(first + count - 1))
    return [f"{prefix}{number:0{width}}" for number in range(first, first + count)]


_START = ("systemctl", "start", "--no-block", "install-roost.service")


def _room(content: bytes | Path) -> int:
    """Bytes a file takes at most on a FAT, with clusters of up to 32 KiB and its folder entry."""
    size = content.stat().st_size if isinstance(content, Path) else len(content)
    return -(-size // 32768) * 32768 + 512


def _is(found: bytes | None, wanted: bytes | Path) -> bool:
    return found == (wanted.read_bytes() if isinstance(wanted, Path) else wanted)
