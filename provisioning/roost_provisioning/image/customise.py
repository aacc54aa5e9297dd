"""What turns an official Raspberry Pi OS image into one that installs Roost at its first boot.

The kit (Roost's wheel, the lock file and every wheel it names) goes onto the boot partition with a script; the device
needs no compiler and no package index. Mosquitto comes from the distribution, or from .deb files that go along.

What is not understood is refused: another system, 32 bits, a release without wheels, an image that has Roost already.
"""

import hashlib
import re
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from roost_broker.errors import Malformed, Misuse
from roost_provisioning.image.card_reading import Card
from roost_provisioning.image.first_run import INSTALL, install_script
from roost_provisioning.image.inspecting import SystemFacts, system_of
from roost_provisioning.image.recipe import RELEASES, Release

FOLDER = "roost"
MACHINE = "aarch64"
PACKAGES = ("mosquitto", "mosquitto-clients", "python3-venv")
MAX_FILES = 2000
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]{1,62}\Z")
_DEB = re.compile(r"[A-Za-z0-9][A-Za-z0-9+.~_%-]{1,150}_(?:arm64|all)\.deb\Z")
_OWN_WHEEL = re.compile(r"roost-[^-]+-py3-none-any\.whl\Z")
_WHEEL = re.compile(r"packages/[^/]+-([^-/]+)-([^-/]+)-([^-/]+)\.whl\Z")


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """What is installed. `packages` are the distribution's, `debs` files of them, `bundles` by name."""

    kit: Path
    packages: tuple[str, ...] = PACKAGES
    debs: tuple[Path, ...] = ()
    bundles: Mapping[str, Path] = msgspec.field(default_factory=dict)


def understood(card: Card) -> tuple[SystemFacts, Release]:
    """The official system in this image. Raises `Misuse` for anything else, with what it is and what to do."""
    system = system_of(card)
    name = " ".join(part for part in (system.name, system.architecture) if part) or "an unknown system"
    root = card.ext()
    if root.entry("/opt/roost"):
        raise Misuse("this image has Roost already", "Make cards from it: roost image personalise.")
    official = root.entry("/usr/lib/raspberrypi-sys-mods") or root.entry("/etc/rpi-issue")
    if not official or not system.first_boot:
        raise Misuse(
            f"{name} is not understood here",
            "Give an image of Raspberry Pi OS (Lite, 64-bit), or build one: roost image build.",
        )
    if system.architecture != "arm64":
        raise Misuse(f"{name}: Roost is for 64-bit systems", "Take the 64-bit image of Raspberry Pi OS.")
    release = RELEASES.get(system.release)
    if release is None:
        raise Misuse(
            f"{name}: there are no wheels for {system.release or 'this release'}",
            f"Take Raspberry Pi OS of {' or '.join(sorted(RELEASES))}.",
        )
    return system, release


def payload_files(payload: Payload, release: Release, machine: str = MACHINE) -> dict[str, bytes | Path]:
    """The files for the boot partition, for a processor as wheels call it.

    Raises `Misuse` for a kit, a package or a bundle that this system cannot install.
    """
    check_kit(payload.kit, release, machine)
    for package in payload.packages:
        if not _PACKAGE.match(package):
            raise Misuse(f"{package[:80]!r} is no name of a package", "Give it as apt knows it.")
    files: dict[str, bytes | Path] = {f"{FOLDER}/kit.tar": payload.kit}
    for deb in payload.debs:
        if not _DEB.match(deb.name):
            raise Misuse(
                f"{deb.name[:80]} is no package for this system", "Give files that end in _arm64.deb or _all.deb."
            )
        files[f"{FOLDER}/debs/{deb.name}"] = deb
    for name, bundle in payload.bundles.items():
        files |= {f"{FOLDER}/bundles/{name}{path}": source for path, source in _bundle(bundle).items()}
    if len(files) > MAX_FILES:
        raise Misuse(f"{len(files)} files are too many for a boot partition", "Ship bundles through the registry.")
    sums = "".join(f"{_sha256(content)}  {path.removeprefix(f'{FOLDER}/')}\n" for path, content in files.items())
    files[f"{FOLDER}/SHA256SUMS"] = sums.encode()
    files[f"{FOLDER}/packages"] = "".join(f"{one}\n" for one in payload.packages).encode()
    files[f"{FOLDER}/python"] = f"{release.python}\n".encode()
    files[INSTALL] = install_script()
    return files


def check_kit(kit: Path, release: Release, machine: str = MACHINE) -> None:
    """Raise `Misuse` when the device could not install from this kit, `Malformed` when it is none."""
    try:
        with tarfile.open(kit, "r:") as tar:
            names = tar.getnames()
            lock = tar.extractfile("requirements.txt") if "requirements.txt" in names else None
            pinned = sum("==" in line for line in lock.read(1 << 20).decode().splitlines()) if lock else 0
    except (tarfile.TarError, OSError, UnicodeDecodeError) as error:
        raise Malformed(f"{kit.name} is no kit: {error}", _MAKE) from error
    if not lock or sum(bool(_OWN_WHEEL.match(name)) for name in names) != 1:
        raise Malformed(f"{kit.name} is no kit: it has no lock file, or not one wheel of Roost", _MAKE)
    wheels = [match for name in names if (match := _WHEEL.match(name))]
    if len(wheels) < pinned:
        raise Misuse(f"{kit.name} has {len(wheels)} of {pinned} packages with it", "Make it without --no-packages.")
    tag = "cp" + release.python.replace(".", "")
    for wheel in wheels:
        python, abi, platform = wheel.groups()
        fits = tag in python.split(".") or "abi3" in abi.split(".") or "py3" in python.split(".")
        if not fits or not (platform == "any" or machine in platform):
            raise Misuse(
                f"{kit.name} is for another system: {wheel[0].removeprefix('packages/')}",
                f"Make one for this: --release {release.name} --machine {machine}.",
            )


def _bundle(path: Path) -> dict[str, Path]:
    """The files of a bundle, which is opened and checked here rather than on the device."""
    from roost_models.bundle.manifest import MANIFEST
    from roost_models.bundle.opening import open_bundle

    bundle = open_bundle(path)
    if path.is_file():
        return {"": path}
    return {f"/{name}": bundle.root / name for name in (MANIFEST, *sorted(bundle.manifest.files))}


def bundle_names(paths: Sequence[Path]) -> dict[str, Path]:
    """Name below /opt/roost/bundles to bundle: the file's or folder's own. Raises `Misuse` where two are alike."""
    names = {path.resolve().name: path for path in paths}
    if len(names) != len(paths):
        raise Misuse("two bundles have the same name", "Name their folders differently.")
    return names


def _sha256(content: bytes | Path) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_MAKE = "Make one: python -m roost_provisioning.kit --help."
