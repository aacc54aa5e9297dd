"""One build, from the recipe to the file that is written to a card.

Rules:

1. What can be wrong with the request is found out before the first slow stage.
2. Slow results (base root file system, wheels) are kept by a digest of what they follow from; a build that was cut
   short goes on from there.
3. Under its final name there is a whole image or none.
"""

import hashlib
import os
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from roost_broker.errors import Misuse
from roost_broker.version import VERSION
from roost_edge.settings.check import Finding
from roost_provisioning.image.build import (
    app_layer,
    assemble,
    base_root,
    device_files,
    first_partition,
    packing,
    programs,
    wheels,
)
from roost_provisioning.image.build.packing import Record
from roost_provisioning.image.build.places import Places
from roost_provisioning.image.build.stages import Stages, Tell
from roost_provisioning.image.recipe import DATA, Mirror, Release

STAGES: Final = ("check", "base", "wheels", "application", "image", "pack")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be built."""

    release: Release
    output: Path
    source: Path
    """A checkout of Roost: its wheel is built from it, its lock files and the henhouse's bundles are in it."""
    mirror: Mirror
    settings: Path | None = None
    bundles: tuple[Path, ...] = ()
    seed: Path | None = None
    user_data: Path | None = None
    network: Path | None = None
    target_mirror: Mirror | None = None
    size_mib: int = 0
    read_only_root: bool = False

    @property
    def lock(self) -> Path:
        """The packages of this release, with versions and hashes."""
        return self.source / "provisioning" / "requirements" / f"{self.release.name}.txt"

    def check(self) -> None:
        """Raises Misuse for what is not there."""
        if not self.lock.is_file():
            raise Misuse(f"{self.source} is no checkout of Roost.", "Name one: --source DIR.")
        if self.read_only_root and not self.release.seals:
            raise Misuse(
                f"A read-only root was not tried with {self.release.name}.",
                "Build it of bookworm, or without --read-only-root: what Roost writes is on the data partition anyway.",
            )
        programs.require(("tar", *assemble.NEEDS, *packing.needs(self.output)))


def base_only(order: Order, places: Places, tell: Tell) -> Path:
    """The stage that a user namespace cannot do inside another: see `roost_provisioning.cli.image_build`."""
    return base_root.base_root(order.release, order.mirror, places, tell)


def build(order: Order, places: Places, tell: Tell) -> Record:
    """Build the image. Raises Misuse (before anything slow), ProgramFailed, OSError."""
    stages = Stages(STAGES, tell)
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    with places.working_folder() as work:
        device = work / "device"
        with stages.stage("check", what="settings, bundles, programs"):
            order.check()
            places.check_room()
            for finding in device_files.gather(
                order.settings, order.bundles, order.source / "models" / "henhouse", device
            ):
                tell(f"      warning: {_sentence(finding)}")
        with stages.stage("base", what=f"packages of {order.release.name} for arm64") as note:
            base = base_root.base_root(order.release, order.mirror, places, note)
        with stages.stage("wheels", what="what Roost's Python needs, for arm64") as note:
            packages = wheels.wheels(order.release, order.lock, places, note)
            own = wheels.own_wheel(order.source, work)
        tree, boot = work / "root", work / "boot"
        with stages.stage("application", what="Roost, settings, bundles, units onto the base"):
            app_layer.extract(base, tree)
            app_layer.environment(tree, order.release, order.lock, packages, own)
            app_layer.files(
                tree, device, target_mirror=order.target_mirror, release=order.release, sealed=order.read_only_root
            )
            app_layer.units(tree)
            first_partition.take_boot(tree, boot)
            first_partition.write_card_files(boot, user_data=order.user_data, network=order.network, seed=order.seed)
            app_layer.check_no_identity(tree)
            app_layer.clamp_times(tree, epoch)
        made_of = digest_of(order, base, own, device)
        image = work / packing.stem_of(order.output).name
        with stages.stage("image", what="partitions and file systems"):
            assemble.assemble(tree, boot, image, name=made_of, epoch=epoch, size_mib=order.size_mib)
        return _finish(order, image, work, made_of, stages)


def digest_of(order: Order, base: Path, own: Path, device: Path) -> str:
    """What the image is made of, in 64 hexadecimal digits: equal for equal requests on equal ground."""
    sha = hashlib.sha256(f"1 {base.name} {order.read_only_root} {order.size_mib} {order.target_mirror}".encode())
    given = [path for path in (order.lock, own, order.user_data, order.network) if path]
    trees = [device, DATA, *([order.seed] if order.seed else [])]
    for path in (*given, *(file for tree in trees for file in sorted(tree.rglob("*")) if file.is_file())):
        sha.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return sha.hexdigest()


def _finish(order: Order, image: Path, work: Path, made_of: str, stages: Stages) -> Record:
    output = order.output.absolute()
    beside = output.with_name(f".{output.name}.{os.getpid()}.part")
    beside.parent.mkdir(parents=True, exist_ok=True)
    try:
        with stages.stage("pack", what=f"block map, checksums, {output.suffix}"):
            mapped = packing.block_map(image, work / "image.bmap")
            image_size, image_sha256 = image.stat().st_size, packing.sha256(image)
            file = packing.packed(image, output.suffix, work)
            size, sha256 = file.stat().st_size, image_sha256 if file == image else packing.sha256(file)
            _move(file, beside)
        record = Record(
            file=output.name,
            release=order.release.name,
            roost=VERSION,
            size=size,
            sha256=sha256,
            image_size=image_size,
            image_sha256=image_sha256,
            mapped=mapped,
            made_of=made_of,
            made=datetime.now(UTC).isoformat(timespec="seconds"),
            read_only_root=order.read_only_root,
            seconds=dict(stages.seconds),
        )
        packing.hand_over(beside, work / "image.bmap", output, record)
    finally:
        beside.unlink(missing_ok=True)
    return record


def _move(file: Path, target: Path) -> None:
    """To the disk of the output, holes kept as they are."""
    try:
        file.rename(target)
    except OSError:  # another disk
        if shutil.disk_usage(target.parent).free < file.stat().st_blocks * 512:
            raise Misuse(f"{target.parent} has no room for the image.", "Name another place: --output.") from None
        programs.run(["cp", "--sparse=always", str(file), str(target)])


def _sentence(finding: Finding) -> str:
    where = f"{finding.field}: " if finding.field else ""
    return f"{where}{finding.problem} {finding.remedy}"
