"""First boot: the root grows, and the rest of the card becomes the data partition. Run by image-card.service.

Each step can be repeated, so a power cut costs nothing but the time. The data partition's label is set last of all: a
file system with the label is whole, one without is made again. Once all is done the mark that this card is fresh goes,
and nothing here ever runs again: a data partition with damage is for a person to look at, never made anew.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from roost_broker.durable import sync
from roost_broker.errors import PeerError, RoostError
from roost_provisioning.image.device.card_plan import Share, share_out

FRESH = Path("/etc/roost/card.fresh")
DATA_LABEL = "ROOSTDATA"


def main() -> int:
    """Do what is left to do. Status 1, with the reason in the journal, when it cannot be done."""
    if not FRESH.exists():
        return 0
    try:
        grow()
    except RoostError as error:
        print(f"image-card: {error}", file=sys.stderr)  # noqa: T201  # the journal reads it
        return 1
    FRESH.unlink()
    sync(FRESH.parent)
    return 0


def grow() -> None:
    """Share the card out, grow the root, make the data partition."""
    root = _said("findmnt", "--noheadings", "--output=SOURCE", "/").strip()
    disk = "/dev/" + _said("lsblk", "--noheadings", "--nodeps", "--output=PKNAME", root).strip()
    if disk == "/dev/":
        raise PeerError(f"The root {root} is on no partition.", "Nothing was changed.")
    total = int(_said("blockdev", "--getsz", disk))
    share = share_out(json.loads(_said("sfdisk", "--json", disk)), total)
    if share.script:
        _tell(f"sharing out {disk}")
        _run(
            "sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", "--force", "--wipe=never", disk, given=share.script
        )
    _tell_kernel(disk, share)
    _run("resize2fs", root)
    _make_data(f"{root.removesuffix('2')}{share.data_number}")


def _tell_kernel(disk: str, share: Share) -> None:
    # The disk is in use, so the kernel is told of the two partitions one by one. Both may be known from before a cut.
    _run("partx", "--update", f"--nr={share.root_number}", disk)
    if subprocess.run(
        ["partx", "--add", f"--nr={share.data_number}", disk], check=False, capture_output=True
    ).returncode:
        _run("partx", "--update", f"--nr={share.data_number}", disk)
    _run("udevadm", "settle", "--timeout=60")


def _make_data(partition: str) -> None:
    # blkid says nothing, with a status of 2, where there is no file system.
    label = subprocess.run(
        ["blkid", "--probe", "--match-tag=LABEL", "--output=value", partition],
        check=False, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    if label != DATA_LABEL:
        _tell(f"making the data partition {partition}")
        # Nothing is discarded: some cards need many minutes for that, and the system waits for the label for five.
        _run("mke2fs", "-q", "-F", "-t", "ext4", "-m", "1", "-E", "nodiscard", partition)
        os.sync()
        _run("e2label", partition, DATA_LABEL)
        os.sync()
    # The system waits for the label; udev looks at the partition again now that it has one.
    _run("udevadm", "trigger", "--action=change", "--settle", partition)


def _tell(text: str) -> None:
    print(f"image-card: {text}", flush=True)  # noqa: T201  # the journal reads it


def _said(*argv: str) -> str:
    return _run(*argv)


def _run(*argv: str, given: str = "") -> str:
    ended = subprocess.run(argv, input=given, check=False, capture_output=True, text=True)
    if ended.returncode:
        raise PeerError(f"{' '.join(argv)}: {ended.stderr.strip()[:500]}", "It is tried again at the next start.")
    return ended.stdout


if __name__ == "__main__":
    raise SystemExit(main())
