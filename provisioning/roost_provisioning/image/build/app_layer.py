"""The application onto the base root file system: files of ours, Roost's environment, settings, units. No emulation.

Everything here works on a folder; nothing of the folder is run, but for byte-compiling where no Python of the
device's version is at hand.
"""

import configparser
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from roost_broker.errors import Misuse
from roost_edge.settings.loading import load
from roost_edge.units import installing, systemctl
from roost_edge.units.planned import planned
from roost_edge.units.shipped import shipped
from roost_provisioning.image.build import programs, wheels
from roost_provisioning.image.build.device_files import SETTINGS, UNNAMED
from roost_provisioning.image.recipe import DATA, Mirror, Release

VENV: Final = "opt/roost/venv"
FRESH: Final = "etc/roost/card.fresh"
_ENABLED: Final = (
    ("local-fs.target", "image-card.service"),
    ("multi-user.target", "image-ssh-keys.service"),
)
_SECRET: Final = ("etc/ssh/ssh_host_*", "var/lib/systemd/random-seed", "var/lib/systemd/credential.secret")


def extract(base: Path, tree: Path) -> None:
    """The base root file system as a folder, owners and attributes included; device nodes are the kernel's."""
    tree.mkdir()
    programs.run(
        ["tar", "--extract", f"--file={base}", f"--directory={tree}", "--numeric-owner", "--preserve-permissions",
         "--xattrs", "--xattrs-include=*", "--exclude=./dev/*"]
    )  # fmt: skip


def environment(tree: Path, release: Release, lock: Path, packages: Path, own: Path) -> None:
    """The venv at /opt/roost/venv: a folder, two links and a file say all that makes one."""
    venv = tree / VENV
    site = venv / "lib" / f"python{release.python}" / "site-packages"
    site.mkdir(parents=True)
    (venv / "bin").mkdir()
    (venv / "bin/python").symlink_to(f"/usr/bin/python{release.python}")
    for name in ("python3", f"python{release.python}"):
        (venv / "bin" / name).symlink_to("python")
    (venv / "lib64").symlink_to("lib")
    # The system's packages are seen too: picamera2 comes from there, on systems that have it.
    (venv / "pyvenv.cfg").write_text(
        f"home = /usr/bin\ninclude-system-site-packages = true\nversion = {release.python}\n"
        f"executable = /usr/bin/python{release.python}\ncommand = /usr/bin/python3 -m venv /{VENV}\n"
    )
    wheels.unpack(release, lock, packages, site)
    wheels.unpack_own(release, own, site)
    for distribution in ("roost", "pip"):
        for info in site.glob(f"{distribution}-*.dist-info/entry_points.txt"):
            _scripts(info, venv / "bin")
    local = tree / "usr/local/bin/roost"
    local.symlink_to(f"/{VENV}/bin/roost")
    compile_all(tree, release, site)


def _scripts(entry_points: Path, into: Path) -> None:
    parser = configparser.ConfigParser(delimiters=("=",))
    parser.read(entry_points, encoding="utf-8")
    for name, place in parser["console_scripts"].items() if "console_scripts" in parser else ():
        (into / name).write_text(console_script(place))
        (into / name).chmod(0o755)


def console_script(place: str) -> str:
    """What pip would write on the device for an entry point `module:function`. Pure."""
    module, _, function = place.strip().partition(":")
    head = function.partition(".")[0]
    return f"#!/{VENV}/bin/python\nimport sys\n\nfrom {module} import {head}\n\nsys.exit({function}())\n"


def compile_all(tree: Path, release: Release, site: Path) -> None:
    """Byte-compile for the device. The roles may not write there, so they would compile at each start, for seconds.

    By time stamps, not hashes: a file that somebody edits on the device counts at once.
    """
    compiling = ["-m", "compileall", "-q"]
    python = _host_python(release)
    if python:
        command = [python, *compiling, "-j", "2", "-s", str(tree), "-p", "/", str(site)]
    else:  # under emulation minutes instead of seconds; by one process, for two need /dev/shm, which the tree has not
        command = ["chroot", str(tree), f"/usr/bin/python{release.python}", *compiling, f"/{site.relative_to(tree)}"]
    try:
        programs.run(command)
    except programs.ProgramFailed as error:
        # Some packages carry files for other versions of Python; those stay as they are, the rest is compiled.
        if "SyntaxError" not in error.problem:
            raise


def _host_python(release: Release) -> str:
    """A Python here whose byte-code the device understands; empty without one. Names on PATH may be mere stand-ins."""
    if f"{sys.version_info.major}.{sys.version_info.minor}" == release.python:
        return sys.executable
    found = shutil.which(f"python{release.python}")
    words = ["-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    said = subprocess.run([found, *words], check=False, capture_output=True, text=True).stdout if found else ""
    return found if found and said.strip() == release.python else ""


def files(tree: Path, device: Path, *, target_mirror: Mirror | None, release: Release, sealed: bool) -> None:
    """Our own files, then this device's settings and bundles, then units; root owns all, everybody may read."""
    for source in (DATA / "root", device):
        _lay(source, tree)
    if target_mirror:
        (tree / "etc/apt/sources.list").write_text("".join(f"{line}\n" for line in target_mirror.lines(release)))
    (tree / FRESH).write_text("This card has not been shared out yet: image-card.service does it and removes this.\n")
    (tree / "var/lib/roost").mkdir(exist_ok=True)
    enabled = (*_ENABLED, *((("cloud-init.target", "image-seal.service"),) if sealed else ()))
    for target, unit in enabled:
        wants = tree / "etc/systemd/system" / f"{target}.wants"
        wants.mkdir(exist_ok=True)
        (wants / unit).symlink_to(f"/usr/lib/systemd/system/{unit}")


def units(tree: Path) -> None:
    """What `roost units apply --root --first-boot` does, for the settings in the tree."""
    plan = planned(load(tree / SETTINGS, unnamed=UNNAMED), shipped())
    changes = installing.differences(plan, tree)
    installing.apply(changes, tree)
    systemctl.users_and_folders(tree)
    target, unit = installing.FIRST_BOOT
    wants = tree / "etc/systemd/system" / f"{target}.wants"
    wants.mkdir(exist_ok=True)
    (wants / unit).symlink_to(f"/etc/systemd/system/{unit}")


def check_no_identity(tree: Path) -> None:
    """Raises Misuse if the tree has what would be the same on every card made from it, or is a key."""
    found = [path for pattern in _SECRET for path in tree.glob(pattern)]
    found += [path for path in (tree / "var/lib/roost").rglob("*") if path.suffix in (".key", ".pem")]
    if (tree / "etc/machine-id").stat().st_size:
        found.append(tree / "etc/machine-id")
    if found:
        names = ", ".join(f"/{path.relative_to(tree)}" for path in found)
        raise Misuse(
            f"The image would carry an identity: {names}.", "Remove it from the recipe: devices make their own."
        )


def clamp_times(tree: Path, epoch: int) -> None:
    """No file is newer than the build's own time, so that two builds of the same things are alike."""
    for folder, names, leaves in os.walk(tree):
        for path in _each(folder, (*names, *leaves)):
            if path.lstat().st_mtime > epoch:
                os.utime(path, (epoch, epoch), follow_symlinks=False)


def _each(folder: str, names: Iterable[str]) -> Iterable[Path]:
    return (Path(folder, name) for name in names)


def _lay(source: Path, tree: Path) -> None:
    for path in sorted(source.rglob("*")):
        target = tree / path.relative_to(source)
        if path.is_dir():
            target.mkdir(exist_ok=True)
        else:
            shutil.copyfile(path, target)
            target.chmod(0o644)
