"""What `scripts/boot-test` was asked to do."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from roost_broker.errors import Misuse
from roost_provisioning.boot_test.machine import KINDS, Kind, Machine

_LEAST_CARD_GB = 2


@dataclass(frozen=True, slots=True)
class Options:
    """`image` None: built, or taken from the cache. `keep` None: a temporary folder, deleted after."""

    image: Path | None = None
    release: str = "bookworm"
    machine: Kind = "virt"
    memory_mb: int = 1024
    processors: int = 2
    card_gb: int = 4
    cut_after_s: float = 12.0
    patience: float = 1.0
    compact: bool = False
    json: bool = False
    keep: Path | None = None


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Options from a command line. Raises `Misuse`; argparse itself ends the process for an unknown flag."""
    parser = argparse.ArgumentParser(
        prog="scripts/boot-test",
        description="Boot a card's image in an emulator and go through a device's first day with it: it enrols, "
        "announces itself, answers `doctor`, classifies what its camera shows, loses its power in the middle of that, "
        "and goes on as the same device. Some minutes; nothing of it needs a Raspberry Pi or the network.",
        epilog="Exit status: 0 everything came as it should; 1 something did not; 2 misuse.",
    )
    default = Options()
    parser.add_argument("--image", type=Path, metavar="FILE", help="your own image (.img); default: one is built")
    parser.add_argument("--release", default=default.release, help="the release to build when no image is given")
    parser.add_argument(
        "--machine",
        choices=KINDS,
        default=default.machine,
        help="virt: the whole story. raspi3b: the emulated Raspberry Pi 3 B, which has no network: as far as its login",
    )
    parser.add_argument("--memory", type=int, default=default.memory_mb, metavar="MB", help="of the emulated device")
    parser.add_argument("--processors", type=int, default=default.processors, help="of the emulated device")
    parser.add_argument("--card", type=int, default=default.card_gb, metavar="GB", help="size of the emulated card")
    parser.add_argument(
        "--cut-after", type=float, default=default.cut_after_s, metavar="S", help="pull the plug after so much traffic"
    )
    parser.add_argument(
        "--patience", type=float, default=default.patience, metavar="TIMES", help="wait so many times longer"
    )
    parser.add_argument("--compact", action="store_true", help="with compact = true, whatever the card's settings say")
    parser.add_argument("--json", action="store_true", help="one report object on stdout; the story goes to stderr")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep console logs and the card in this new folder")
    given = parser.parse_args(arguments)
    if given.image is not None and not given.image.is_file():
        raise Misuse(f"There is no image {given.image}.", "Leave --image out, and one is built.")
    if not _LEAST_CARD_GB <= given.card <= 64:
        raise Misuse(f"A card of {given.card} GB is not emulated here.", f"Give --card {_LEAST_CARD_GB} to 64.")
    if not 5 < given.cut_after <= 600:
        raise Misuse(
            f"--cut-after {given.cut_after:g} would show nothing.",
            "Give more than 5 seconds, so that the file system's journal has been written meanwhile, and at most 600.",
        )
    if not 0.1 <= given.patience <= 20:
        raise Misuse(f"--patience {given.patience:g} cannot be.", "Give 0.1 to 20.")
    if given.keep is not None and given.keep.exists() and (not given.keep.is_dir() or any(given.keep.iterdir())):
        raise Misuse(f"--keep {given.keep} is in use.", "Name a new or an empty folder.")
    Machine(given.machine, given.memory, given.processors)  # raises for what cannot be
    return Options(
        image=given.image,
        release=given.release,
        machine=given.machine,
        memory_mb=given.memory,
        processors=given.processors,
        card_gb=given.card,
        cut_after_s=given.cut_after,
        patience=given.patience,
        compact=given.compact,
        json=given.json,
        keep=given.keep,
    )
