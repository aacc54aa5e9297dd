"""What the device's Python needs, as wheels for arm64: no compiler on the Pi, no emulation here.

The lock file of the release names every package with version and hashes and carries no conditions ("only on x86"),
so nothing is decided by the machine that builds. `pip` is told whose wheels to take; it runs none of their code.
"""

import hashlib
import os
import re
import sys
from pathlib import Path
from typing import Final

from roost_broker.durable import rename_durably
from roost_broker.errors import Malformed, Misuse
from roost_provisioning import kit
from roost_provisioning.image.build import programs
from roost_provisioning.image.build.places import Places, remove_tree
from roost_provisioning.image.build.stages import Tell
from roost_provisioning.image.recipe import Release

MACHINE: Final = "aarch64"
_LINE: Final = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)\s*(?P<rest>.*)$")


def pinned(lock: str) -> dict[str, str]:
    """Name to version of each line. Raises Malformed for a condition or a line without hash: neither may decide."""
    found: dict[str, str] = {}
    for line in lock.replace("\\\n", " ").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.match(line)
        if match is None or ";" in line or "--hash=sha256:" not in line:
            raise Malformed(
                f"The lock file has a line that is not `name==version --hash=…`: {line[:80]!r}.",
                "Make it anew with scripts/lock: it resolves for the device, so that nothing is left to decide.",
            )
        found[match["name"].lower()] = match["version"]
    return found


def pip_choice(release: Release) -> list[str]:
    """Arguments that make pip choose for the device instead of for this machine."""
    tag = "cp" + release.python.replace(".", "")
    return [
        "--only-binary=:all:",
        "--implementation=cp",
        f"--python-version={release.python}",
        *(f"--abi={abi}" for abi in (tag, "abi3", "none")),
        *(f"--platform={platform}" for platform in kit.platforms(release.name, MACHINE)),
    ]


def wheels(release: Release, lock: Path, places: Places, tell: Tell) -> Path:
    """A folder with exactly the wheels of the lock file, from the cache or downloaded; hashes are checked."""
    text = lock.read_text(encoding="utf-8")
    wanted = pinned(text)
    digest = hashlib.sha256(f"1 {release.name} {kit.platforms(release.name, MACHINE)}\n{text}".encode()).hexdigest()[
        :16
    ]
    target = places.images / f"wheels-{release.name}-{digest}"
    with places.only_one(target.name):
        if target.is_dir():
            tell(f"from the cache: {len(wanted)} packages")
            return target
        with places.working_folder() as folder:
            beside = folder / "wheels"
            beside.mkdir()
            programs.run(
                [
                    *_pip(),
                    "download",
                    "--no-deps",
                    "--require-hashes",
                    *pip_choice(release),
                    f"--dest={beside}",
                    f"--requirement={lock}",
                ],
                log=places.logs / f"{target.name}.log",
            )
            got = len(list(beside.glob("*.whl")))
            if got != len(wanted):
                raise Malformed(f"{len(wanted)} packages were asked for and {got} wheels came.", "Try it again.")
            rename_durably(beside, target)
        tell(f"{len(wanted)} packages downloaded")
    return target


def unpack(release: Release, lock: Path, folder: Path, into: Path) -> None:
    """Unpack the wheels of the lock file into a site-packages folder; their console scripts are left out."""
    programs.run(
        [
            *_pip(),
            "install",
            "--no-deps",
            "--no-index",
            "--require-hashes",
            "--no-compile",
            f"--find-links={folder}",
            *pip_choice(release),
            f"--target={into}",
            f"--requirement={lock}",
        ]
    )
    _forget_scripts(into)


def own_wheel(source: Path, into: Path) -> Path:
    """Build Roost's wheel from a checkout."""
    programs.run([*_pip(), "wheel", "--no-deps", "--no-build-isolation", f"--wheel-dir={into}", str(source)])
    found = sorted(into.glob("roost-*.whl"))
    if len(found) != 1:
        raise Misuse(f"{source} gave {len(found)} wheels.", "Name a checkout of Roost: --source DIR.")
    return found[0]


def unpack_own(release: Release, wheel: Path, into: Path) -> None:
    """Unpack Roost's own wheel beside the others."""
    programs.run(
        [*_pip(), "install", "--no-deps", "--no-index", "--no-compile", *pip_choice(release), f"--target={into}",
         str(wheel)]
    )  # fmt: skip
    _forget_scripts(into)


def _forget_scripts(into: Path) -> None:
    # They would begin with the path of the Python that unpacked them, which the device does not have.
    remove_tree(into / "bin")


def _pip() -> list[str]:
    os.environ.setdefault("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    # A root in a chroot-like build is no mistake; pip's warning would hide real ones.
    os.environ.setdefault("PIP_ROOT_USER_ACTION", "ignore")
    return [sys.executable, "-m", "pip", "--quiet", "--no-input"]
