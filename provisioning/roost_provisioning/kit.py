"""The kit: everything of Roost that a device installs, as one file that the control machine makes and copies.

    python -m roost_provisioning.kit --source CHECKOUT --release bookworm --machine aarch64 --into DIR

`roost-VERSION-ID.tar` holds Roost's own wheel, the lock file of the release and, unless `--no-packages`, the wheels
that the lock file names; with them a device needs no package index. ID is made of the contents, so the same contents
give the same file, and a device that has it has nothing to do. Prints one JSON object: `name`, `path`, `version`.

Nothing is decided by the machine that makes it: `pip` is told for whom to choose, and runs none of their code.
"""

import argparse
import fcntl
import hashlib
import json
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from roost_broker.durable import rename_durably
from roost_broker.errors import Misuse, RoostError
from roost_provisioning.image.recipe import RELEASES

MACHINES: Final = ("aarch64", "x86_64")
_FIRST_GLIBC: Final = 17
_TIMEOUT_S: Final = 1800
_KEPT: Final = 8
"""Kits that stay in the cache: those of one run to all kinds of device, and of the run before."""


def platforms(release: str, machine: str) -> list[str]:
    """Tags of wheels that the release can load on this machine, the newest first."""
    newest = RELEASES[release].glibc[1]
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(newest, _FIRST_GLIBC - 1, -1)]
    return [*tags, f"manylinux2014_{machine}", f"manylinux2010_{machine}", f"linux_{machine}"]


def kit_name(wheel: Path, lock: Path, release: str, machine: str, *, packages: bool) -> str:
    """Its name: version, and a digest of what is in it."""
    version = wheel.name.split("-")[1]
    digest = hashlib.sha256(f"1 {release} {machine} {packages}".encode())
    for part in (wheel, lock):
        digest.update(hashlib.sha256(part.read_bytes()).digest())
    return f"{version}-{digest.hexdigest()[:12]}"


def make(
    source: Path, release: str, machine: str, into: Path, *, centre: bool, wheel: Path | None, packages: bool
) -> dict[str, str]:
    """Make the kit if it is not there; those that were not used for longest go. `centre`, `packages`: what is in it.

    Raises Misuse for what cannot work, RoostError when pip fails.
    """
    lock = source / "provisioning" / "requirements" / f"{release}{'-centre' if centre else ''}.txt"
    if not lock.is_file():
        raise Misuse(f"{lock} is not there.", "Name a checkout of Roost: --source DIR.")
    into.mkdir(parents=True, exist_ok=True)
    with (into / ".lock").open("w") as one_at_a_time, TemporaryDirectory(dir=into) as scratch:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        folder = Path(scratch)
        own = wheel or _own_wheel(source, folder)
        name = kit_name(own, lock, release, machine, packages=packages)
        path = into / f"roost-{name}.tar"
        if not path.exists():
            wheels = _packages(release, machine, lock, into) if packages else None
            _pack(folder / path.name, own, lock, wheels)
            rename_durably(folder / path.name, path)
        path.touch()
        for old in sorted(into.glob("roost-*.tar"), key=lambda one: one.stat().st_mtime_ns)[:-_KEPT]:
            old.unlink()
    return {"name": name, "path": str(path), "version": own.name.split("-")[1]}


def _own_wheel(source: Path, folder: Path) -> Path:
    _pip("wheel", "--no-deps", "--no-build-isolation", f"--wheel-dir={folder}", str(source))
    return next(folder.glob("roost-*.whl"))


def _packages(release: str, machine: str, lock: Path, into: Path) -> Path:
    """A folder with the wheels of the lock file; downloaded once, hashes checked."""
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    folder = into / f"packages-{release}-{machine}-{digest}"
    if folder.is_dir():
        return folder
    python = RELEASES[release].python
    tag = "cp" + python.replace(".", "")
    with TemporaryDirectory(dir=into) as scratch:
        beside = Path(scratch) / "packages"
        _pip(
            "download", "--no-deps", "--require-hashes", "--only-binary=:all:", "--implementation=cp",
            f"--python-version={python}", *(f"--abi={abi}" for abi in (tag, "abi3", "none")),
            *(f"--platform={platform}" for platform in platforms(release, machine)),
            f"--dest={beside}", f"--requirement={lock}",
        )  # fmt: skip
        rename_durably(beside, folder)
    return folder


def _pack(path: Path, own: Path, lock: Path, wheels: Path | None) -> None:
    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = "root"
        member.mtime = 0
        member.mode = 0o755 if member.isdir() else 0o644
        return member

    with tarfile.open(path, "w") as tar:
        tar.add(own, own.name, filter=plain)
        tar.add(lock, "requirements.txt", filter=plain)
        for one in sorted(wheels.glob("*.whl")) if wheels else ():
            tar.add(one, f"packages/{one.name}", filter=plain)


def _pip(*words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check", *words],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RoostError(
            f"pip {words[0]} failed: {done.stderr.strip()[-600:]}",
            "Is the package index reachable, and does the lock file fit it? scripts/lock renews it.",
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 made or there already, 1 failed, 2 misuse."""
    parser = argparse.ArgumentParser(prog="python -m roost_provisioning.kit", description="Make the kit of a device.")
    parser.add_argument("--source", type=Path, required=True, help="a checkout of Roost")
    parser.add_argument("--release", choices=RELEASES, required=True, help="Debian release of the device")
    parser.add_argument("--machine", choices=MACHINES, required=True, help="processor of the device")
    parser.add_argument("--into", type=Path, required=True, help="folder for the kits; a cache")
    parser.add_argument("--centre", action="store_true", help="with what the centre needs beside")
    parser.add_argument("--wheel", type=Path, help="Roost's wheel, instead of building it from the checkout")
    parser.add_argument("--no-packages", action="store_true", help="leave the packages to the device's own index")
    options = parser.parse_args(arguments)
    try:
        made = make(
            options.source.resolve(),
            options.release,
            options.machine,
            options.into.expanduser().resolve(),
            centre=options.centre,
            wheel=options.wheel,
            packages=not options.no_packages,
        )
    except Misuse as error:
        print(error, file=sys.stderr)  # noqa: T201  # a command's own words
        return 2
    except RoostError as error:
        print(error, file=sys.stderr)  # noqa: T201  # a command's own words
        return 1
    print(json.dumps(made))  # noqa: T201  # its answer
    return 0


if __name__ == "__main__":
    sys.exit(main())
