"""What `scripts/demo-loop` was asked to do."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from roost_broker.errors import Misuse


@dataclass(frozen=True, slots=True)
class Options:
    """`keep` None: a temporary folder, deleted after."""

    devices: int = 49
    per_class: int = 30
    seed: int = 11
    json: bool = False
    keep: Path | None = None
    browser: bool = True


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Options from a command line. Raises `Misuse`; argparse itself ends the process for an unknown flag."""
    parser = argparse.ArgumentParser(
        prog="scripts/demo-loop",
        description="Watch the loop: a breed mislabelled in training, corrected in the label page, a better model "
        "rolled out to a device and a simulated fleet, and a bad one stopped. Some minutes; everything real, on "
        "this machine alone.",
    )
    parser.add_argument("--devices", type=int, default=49, help="simulated devices beside the full one (default: 49)")
    parser.add_argument("--per-class", type=int, default=30, help="training pictures of each label (default: 30)")
    parser.add_argument("--seed", type=int, default=11, help="another seed, other pictures")
    parser.add_argument("--json", action="store_true", help="one summary object on stdout; the story goes to stderr")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep everything in this new folder")
    parser.add_argument("--no-browser", action="store_true", help="leave the label page out; labels are imported only")
    given = parser.parse_args(arguments)
    if not 1 <= given.devices <= 2000:
        raise Misuse(f"--devices {given.devices} cannot be played here.", "Give 1 to 2000.")
    if not 10 <= given.per_class <= 500:
        raise Misuse(f"--per-class {given.per_class} is no training set.", "Give 10 to 500.")
    if given.seed < 0:
        raise Misuse(f"--seed {given.seed} is negative.", "Give 0 or more.")
    keep = given.keep
    if keep is not None and keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise Misuse(f"--keep {keep} is in use.", "Name a new or an empty folder.")
    return Options(
        devices=given.devices,
        per_class=given.per_class,
        seed=given.seed,
        json=given.json,
        keep=keep,
        browser=not given.no_browser,
    )
