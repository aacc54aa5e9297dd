"""A guest that is a device: Roost in its venv, the henhouse's bundles, settings with a synthetic camera.

The packages of the lock file are installed once per Debian release and kept in the cache; Roost's own wheel is built
from this checkout and installed into each guest.
"""

import fcntl
import hashlib
import json
import platform
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from guest_base import base, cache
from guests import Guest

REPOSITORY = Path(__file__).resolve().parents[2]
BUNDLES = REPOSITORY / "models" / "henhouse" / "bundles"
PATIENCE_S = 180
"""A bound against hanging for ever; the machine is shared."""

SETTINGS = """\
[node]
name = "pi1"
data = "/var/lib/roost"

[broker]
passwords = "/etc/roost/broker/passwords"

[tasks.henhouse]
schedule = "schedules/henhouse.toml"

[tasks.henhouse.models.champion]
bundle = "/opt/roost/bundles/champion"

[tasks.henhouse.models.fast]
bundle = "/opt/roost/bundles/fast"

[tasks.henhouse.models.visits]
bundle = "/opt/roost/bundles/visits"
memory_mb = 200

[cameras.nest]
task = "henhouse"
seed = 7
"""


def device_base(release: str) -> Path:
    """The root file system of guests that have everything of the lock file installed; made if it is not there."""
    system = base(release)
    lock_file = REPOSITORY / "provisioning" / "requirements" / f"{release}.txt"
    digest = hashlib.sha256(f"1 {system.name} ".encode() + lock_file.read_bytes()).hexdigest()[:16]
    folder = cache() / "guests" / f"device-{release}-{digest}"
    with (folder.parent / f"device-{release}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            making = folder.with_name(folder.name + ".making")
            shutil.rmtree(making, ignore_errors=True)
            subprocess.run(["cp", "--archive", system, making], check=True)
            _install_packages(release, making)
            making.rename(folder)
    return folder


def own_wheel(release: str, into: Path) -> Path:
    """Roost's own wheel, built from this checkout."""
    with tarfile.open(_kit(release, into, packages=False)) as tar:
        (name,) = [name for name in tar.getnames() if name.endswith(".whl")]
        tar.extract(name, into, filter="data")
    return into / name


def install(guest: Guest, wheel: Path, *, settings: str = SETTINGS) -> None:
    """Roost, the henhouse's bundles, settings and schedule into a guest of `device_base`; nothing is started."""
    guest.put(f"/root/{wheel.name}", wheel)
    guest.run(["/opt/roost/venv/bin/pip", "install", "--quiet", "--no-index", "--no-deps", f"/root/{wheel.name}"])
    guest.run(["ln", "-sf", "/opt/roost/venv/bin/roost", "/usr/local/bin/roost"])
    for path in sorted(BUNDLES.rglob("*")):
        if path.is_file() and path.relative_to(BUNDLES).parts[0] in ("champion", "fast", "visits"):
            guest.put(f"/opt/roost/bundles/{path.relative_to(BUNDLES)}", path)
    guest.put("/etc/roost/schedules/henhouse.toml", BUNDLES.parent / "schedule.toml")
    guest.put("/etc/roost/roost.toml", settings)


def bring_up(guest: Guest, *roles: str) -> None:
    """Units and broker of the settings that were installed, the target started; returns when these roles are ready."""
    roost(guest, "units", "apply", "--base")  # users and folders, before the broker
    roost(guest, "broker", "setup", "--settings", "/etc/roost/roost.toml")
    roost(guest, "units", "apply")
    guest.run(["systemctl", "enable", "roost.target"])
    guest.run(["systemctl", "start", "--no-block", "roost.target"])
    try:
        wait_until(lambda: is_ready(guest, *roles), "every role is ready")
    except AssertionError as error:
        told = guest.run(["journalctl", "--boot", "--no-pager", "--output=cat"], check=False).stdout
        raise AssertionError(f"{error}\n{standings(guest)}\n{told[-6000:]}") from None


def roost(guest: Guest, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """A command of Roost in the guest."""
    return guest.run(["roost", *words], check=check, timeout_s=PATIENCE_S)


def standings(guest: Guest) -> dict[str, dict[str, object]]:
    """`roost units status`, by role."""
    said = roost(guest, "units", "status", "--json", check=False).stdout
    return {one["role"]: one for one in json.loads(said)}


def is_ready(guest: Guest, *roles: str) -> bool:
    """Whether these roles run and have said that they are ready."""
    found = standings(guest)
    return all(found[role]["state"] == "active" and str(found[role]["detail"]).startswith("ready") for role in roles)


def wait_until(look: Callable[[], object], what: str) -> None:
    """Return when `look` is true. A look asks the guest, which takes long enough to be no busy loop."""
    end = time.monotonic() + PATIENCE_S
    while not look():
        if time.monotonic() > end:
            raise AssertionError(f"after {PATIENCE_S} s still not: {what}")


def _install_packages(release: str, root: Path) -> None:
    inside = root / "root" / "packages"
    with TemporaryDirectory() as scratch, tarfile.open(_kit(release, Path(scratch), packages=True)) as tar:
        tar.extractall(inside, filter="data")
    venv = "/opt/roost/venv"
    for words in (
        ["python3", "-m", "venv", "--system-site-packages", venv],
        [f"{venv}/bin/pip", "install", "--quiet", "--no-index", "--no-deps", "--require-hashes",
         "--find-links=/root/packages/packages", "--requirement=/root/packages/requirements.txt"],
    ):  # fmt: skip
        subprocess.run(["chroot", root, *words], check=True, capture_output=True, timeout=1800)
    shutil.rmtree(inside)


def _kit(release: str, into: Path, *, packages: bool) -> Path:
    """The kit that the fleet's control machine would make; its packages are kept in the product's cache."""
    kept = cache() / "kits" if packages else into
    made = subprocess.run(
        [sys.executable, "-m", "roost_provisioning.kit", "--source", REPOSITORY, "--release", release,
         "--machine", platform.machine(), "--into", kept, *([] if packages else ["--no-packages"])],
        check=True, capture_output=True, text=True, timeout=1800,
    )  # fmt: skip
    return Path(json.loads(made.stdout)["path"])
