"""The base root file system: Debian packages, made once per recipe, release and mirror, kept in the cache.

The slow stage (minutes: maintainer scripts for arm64 run under emulation) and the only one that needs the network
beside the wheels. Runs as root, or for everybody else in a user namespace.
"""

import os
from pathlib import Path

from roost_broker.durable import rename_durably
from roost_broker.errors import Misuse
from roost_provisioning.image.build import programs
from roost_provisioning.image.build.places import Places
from roost_provisioning.image.build.stages import Tell
from roost_provisioning.image.recipe import Mirror, Release, base_argv, base_name

NEEDS = ("mmdebstrap", "qemu-aarch64-static")
_BINFMT = Path("/proc/sys/fs/binfmt_misc/qemu-aarch64")
_LOUD = ("I: ", "W: ", "E: ")


def base_root(release: Release, mirror: Mirror, places: Places, tell: Tell) -> Path:
    """The path of the base root file system (a tar); made if the cache has none."""
    target = places.images / base_name(release, mirror)
    if target.is_file():
        tell(f"from the cache: {target.name}")
        return target
    programs.require(NEEDS if os.geteuid() == 0 else (*NEEDS, "newuidmap"))
    check_emulation()
    places.check_room()
    with places.only_one(target.name):
        if target.is_file():  # another build made it while this one waited
            return target
        with places.working_folder() as folder:
            beside = folder / "base.tar"
            log = places.logs / f"{target.stem}.log"
            log.unlink(missing_ok=True)
            tell(f"not in the cache; made from {mirror.main} (6 to 15 minutes). All that is said: {log}")
            programs.run(
                base_argv(release, mirror, beside, mode="root" if os.geteuid() == 0 else "unshare"),
                log=log,
                on_line=lambda line: tell(line) if line.startswith(_LOUD) else None,
                env={"TMPDIR": str(folder)},
            )
            rename_durably(beside, target)
    return target


def check_emulation() -> None:
    """Raises Misuse when this machine cannot run arm64 programs, which the packages' own scripts are."""
    if os.uname().machine == "aarch64":
        return
    if not _BINFMT.is_file() or not _BINFMT.read_text().startswith("enabled"):
        raise Misuse(
            "Programs for arm64 do not run on this machine.",
            "As root: mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc; "
            "update-binfmts --enable qemu-aarch64 (packages qemu-user-static and binfmt-support).",
        )
