"""The recipe of an image, as data: releases, packages and hooks. Pure but for reading this package's own files.

The base root file system follows from the recipe and the mirror alone, so its digest names it in the cache.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Final

DATA: Final = Path(__file__).with_name("data")

ROOT_LABEL: Final = "RASPIROOT"
BOOT_LABEL: Final = "RASPIFIRM"
DATA_LABEL: Final = "ROOSTDATA"

PACKAGES: Final = (
    # The system, and what starts it on a Pi.
    "systemd-sysv", "udev", "dbus", "libpam-systemd", "kmod", "initramfs-tools", "zstd",
    "linux-image-arm64", "raspi-firmware", "firmware-brcm80211", "wireless-regdb",
    # Network, names and time. netplan.io writes what cloud-init is told, Wi-Fi included.
    "systemd-resolved", "systemd-timesyncd", "netplan.io", "wpasupplicant", "iw", "iproute2", "netbase",
    "ca-certificates",
    # Disks: checking, growing, partitioning.
    "e2fsprogs", "dosfstools", "fdisk",
    # A read-only root, for images that ask for it. Its script in the initramfs uses what busybox has.
    "overlayroot", "busybox",
    # The first boot's answers from the card.
    "cloud-init",
    # Operators: Ansible's apt module asks for python3-apt.
    "openssh-server", "sudo", "python3-apt", "less", "nano",
    # What Roost runs on.
    "python3", "python3-venv", "mosquitto", "mosquitto-clients",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Release:
    """A Debian release and what it brings for Python."""

    name: str
    python: str
    """Version of its Python as in `3.11`."""
    glibc: tuple[int, int]
    """Version of its C library: the newest wheels it can load are built for it."""
    seals: bool
    """A read-only root was seen to work with it."""


RELEASES: Final = {
    "bookworm": Release("bookworm", "3.11", (2, 36), seals=True),
    "trixie": Release("trixie", "3.13", (2, 41), seals=False),
}

# Documents and translations nobody reads on a device: a quarter of the root. Licences stay.
_LEFT_OUT: Final = (
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/info/*",
)
_COMPONENTS: Final = "main non-free-firmware"


@dataclass(frozen=True, slots=True)
class Mirror:
    """Where packages come from."""

    main: str
    security: str

    def lines(self, release: Release) -> tuple[str, ...]:
        """The three lines of a sources.list."""
        return (
            f"deb {self.main} {release.name} {_COMPONENTS}",
            f"deb {self.main} {release.name}-updates {_COMPONENTS}",
            f"deb {self.security} {release.name}-security {_COMPONENTS}",
        )


def hook_files() -> tuple[Path, ...]:
    """Every file that goes into the base root file system or makes it, in one order."""
    return tuple(sorted(path for folder in ("hooks", "initramfs") for path in (DATA / folder).iterdir()))


def digest(release: Release, mirror: Mirror) -> str:
    """What the base root file system follows from; 16 hexadecimal digits."""
    sha = hashlib.sha256()
    for line in ("1", *PACKAGES, *_LEFT_OUT, *mirror.lines(release)):
        sha.update(line.encode() + b"\0")
    for path in hook_files():
        sha.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return sha.hexdigest()[:16]


def base_name(release: Release, mirror: Mirror) -> str:
    """File name of the base root file system in the cache."""
    return f"base-{release.name}-{digest(release, mirror)}.tar"


def base_argv(release: Release, mirror: Mirror, target: Path, *, mode: str) -> list[str]:
    """The command that makes the base root file system. `mode`: `root`, or `unshare` for everybody else."""
    essential = f'sh {quote(str(DATA / "hooks" / "essential.sh"))} "$1"'
    customise = f'sh {quote(str(DATA / "hooks" / "customise.sh"))} "$1" {quote(str(DATA))}'
    return [
        "mmdebstrap",
        "--arch=arm64",
        "--variant=apt",
        f"--mode={mode}",
        '--aptopt=APT::Install-Recommends "false"',
        '--aptopt=Acquire::Languages "none"',
        '--aptopt=Acquire::Retries "3"',
        *(f"--dpkgopt={line}" for line in _LEFT_OUT),
        f"--include={','.join(PACKAGES)}",
        f"--essential-hook={essential}",
        f"--customize-hook={customise}",
        release.name,
        str(target),
        *mirror.lines(release),
    ]
