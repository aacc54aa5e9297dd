"""The root file system that guests are copies of: a Debian without kernel, made once and kept in the cache.

It has what a device has before Roost comes to it: systemd, an ssh server, a user with sudo, Python, Mosquitto. The
packages come from wherever this machine's own apt takes them. Needs root, mmdebstrap and half a minute to two.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

USER = "pi"
"""Who logs in by ssh, with sudo and without a password."""

_PACKAGES = (
    "systemd-sysv", "dbus", "udev", "openssh-server", "sudo", "iproute2", "netbase", "ca-certificates", "procps",
    "python3", "python3-venv", "python3-apt", "mosquitto", "mosquitto-clients",
)  # fmt: skip

_OPTIONS = (
    "--variant=apt",
    "--mode=root",
    "--aptopt=APT::Install-Recommends false",
    "--aptopt=Acquire::Languages none",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
)

_CUSTOMISE = " && ".join(  # in one line: mmdebstrap takes a text with line ends for a misspelt file name
    (
        f'chroot "$1" useradd --create-home --shell /bin/bash {USER}',
        f'install -d -m 0700 -o 1000 -g 1000 "$1/home/{USER}/.ssh"',
        'install -d -m 0700 "$1/root/.ssh"',
        f'echo "{USER} ALL=(ALL) NOPASSWD: ALL" > "$1/etc/sudoers.d/{USER}"',
        f'chmod 0440 "$1/etc/sudoers.d/{USER}"',
        'rm -f "$1/etc/hostname" "$1/etc/resolv.conf" "$1/etc/machine-id"',
        'touch "$1/etc/machine-id" "$1/etc/resolv.conf"',
        # Guests are many on one machine: what only a machine of its own needs stays off.
        'chroot "$1" systemctl mask --quiet systemd-udevd.service systemd-udev-trigger.service apt-daily.timer'
        " apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer",
    )
)


def cache() -> Path:
    """Where the product keeps what is made once."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "roost"


def base(release: str = "bookworm") -> Path:
    """The folder of the root file system of a Debian release; made if it is not there. Never write to it."""
    recipe = repr((release, _PACKAGES, _OPTIONS, _CUSTOMISE, _sources(release)))
    folder = cache() / "guests" / f"{release}-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{release}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two test runs at once, one makes it
        if not folder.is_dir():
            making = folder.with_name(folder.name + ".making")
            _remove(making)
            _make(release, making)
            making.rename(folder)
    return folder


def _make(release: str, folder: Path) -> None:
    subprocess.run(
        [
            "mmdebstrap", "--quiet", *_OPTIONS, f"--include={','.join(_PACKAGES)}",
            f"--customize-hook={_CUSTOMISE}", release, str(folder), *_sources(release),
        ],
        check=True, timeout=1800,
    )  # fmt: skip


def _sources(release: str) -> list[str]:
    """Lines for apt: this machine's own Debian mirrors, asked for `release`."""
    told = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(REPO_URI)|$(RELEASE)", "Created-By: Packages"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    lines = set()
    for line in told.splitlines():
        origin, address, suite = line.split("|")
        if origin == "Debian":
            part = suite.partition("-")[2]
            lines.add(f"deb {address} {release}{'-' + part if part else ''} main")
    if not lines:
        raise RuntimeError("This machine's apt knows no Debian mirror (apt-get update?); guests are made from one.")
    return sorted(lines)


def _remove(folder: Path) -> None:
    """Remove what a killed mmdebstrap left, and first what it had mounted there."""
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for place in sorted((place for place in mounted if Path(place).is_relative_to(folder)), reverse=True):
        subprocess.run(["umount", "--lazy", place], check=True)
    shutil.rmtree(folder, ignore_errors=True)
