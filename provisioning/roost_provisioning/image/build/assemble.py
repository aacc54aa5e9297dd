"""From a folder to an image: partitions, FAT and ext4 written straight into one file. No loop device, no mount."""

import os
import stat
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from roost_provisioning.image.build import programs
from roost_provisioning.image.build.partitions import BOOT_SIZE, BOOT_START, MIB, ROOT_START, Layout, layout
from roost_provisioning.image.recipe import BOOT_LABEL, ROOT_LABEL

NEEDS: Final = ("sfdisk", "mkfs.vfat", "mcopy", "mke2fs", "e2fsck")
_SPACE: Final = uuid.UUID("6f1d1c5e-9b0e-5c52-9a5e-0edd00010001")
"""Names of the file systems are derived below this one from what the image is made of."""
_BLOCK: Final = 4096


def measured(tree: Path) -> tuple[int, int]:
    """Bytes (in whole blocks) and number of files below a folder; a file with two names counts once."""
    content, files = 0, 0
    seen: set[int] = set()
    for folder, names, leaves in os.walk(tree):
        for name in (*names, *leaves):
            status = Path(folder, name).lstat()
            files += 1
            if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
                if status.st_ino in seen:
                    continue
                seen.add(status.st_ino)
            content += -(-status.st_size // _BLOCK) * _BLOCK
    return content, files


def assemble(tree: Path, boot: Path, image: Path, *, name: str, epoch: int, size_mib: int = 0) -> Layout:
    """Write the image. `tree`: the root without /boot/firmware; `boot`: what lies there; `name`: what it is made of."""
    plan = layout(*measured(tree), size_mib)
    ids = uuid.uuid5(_SPACE, name)
    with image.open("wb") as file:
        file.truncate(plan.image_size * MIB)
    env = {"SOURCE_DATE_EPOCH": str(epoch), "MTOOLS_SKIP_CHECK": "1"}
    _sfdisk(image, plan.script(ids.hex[:8]), env)
    programs.run(
        # Small clusters: with larger ones so small a partition has too few of them for a FAT32.
        ["mkfs.vfat", "-F", "32", "-s", "2", "-n", BOOT_LABEL, "-i", ids.hex[8:16], "--invariant",
         "-h", str(BOOT_START * MIB // 512), "--offset", str(BOOT_START * MIB // 512),
         str(image), str(BOOT_SIZE * 1024)],
        env=env,
    )  # fmt: skip
    programs.run(
        ["mcopy", "-s", "-m", "-Q", "-i", f"{image}@@{BOOT_START * MIB}", *sorted(map(str, boot.iterdir())), "::"],
        env=env,
    )
    programs.run(
        ["mke2fs", "-q", "-t", "ext4", "-b", str(_BLOCK), "-L", ROOT_LABEL, "-U", str(ids),
         "-E", f"offset={ROOT_START * MIB},hash_seed={uuid.uuid5(ids, 'hash')}",
         "-d", str(tree), str(image), f"{plan.root_size}M"],
        env=env,
    )  # fmt: skip
    programs.run(["e2fsck", "-f", "-n", f"{image}?offset={ROOT_START * MIB}"])
    return plan


def _sfdisk(image: Path, script: str, env: Mapping[str, str]) -> None:
    ended = subprocess.run(
        ["sfdisk", "--quiet", str(image)],
        input=script, check=False, capture_output=True, text=True, env={**programs.environment(), **env},
    )  # fmt: skip
    if ended.returncode:
        raise programs.failure("sfdisk", ended.returncode, ended.stderr.splitlines())
