"""What was planned, onto the disk: below / of this device, or below the root of an image that does not run.

Rules:

1. Nothing is written that is there already: a second time changes nothing.
2. What an earlier plan left and this one does not want goes: wants of our targets, drop-ins of our name, our units.
   Files of other names, such as an operator's `10-mine.conf`, are left alone.
3. Each file is old or new, never torn; a power cut between two leaves what the next time completes.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from roost_broker.durable import make_folder, sync, write_durably
from roost_edge.units.planned import DROP_IN, SYSTEM, Planned

FIRST_BOOT = ("multi-user.target", "roost-firstboot.service")
_UNIT_SUFFIXES = (".service", ".target", ".slice", ".socket", ".timer")
_OWN_PLACES = ("etc/systemd/system.conf.d/20-roost.conf", "etc/systemd/journald.conf.d/20-roost.conf")


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between the disk and the plan. `place` is below the root."""

    what: Literal["write", "link", "remove"]
    place: str
    text: str = ""
    """Of `write`: the file; of `link`: where to."""


def differences(plan: Planned, root: Path) -> tuple[Change, ...]:
    """What must change for the disk to be as planned. Raises OSError."""
    links = {_wanted_by(above, unit): _link_target(unit) for above, unit in plan.wants}
    changes = [Change("write", place, text) for place, text in plan.files.items() if _text(root / place) != text]
    changes += [Change("link", place, to) for place, to in sorted(links.items()) if _points_to(root / place) != to]
    known = {*plan.files, *links}
    changes += [Change("remove", place) for place in _ours(root) if place not in known]
    return tuple(changes)


def apply(changes: tuple[Change, ...], root: Path) -> None:
    """Make them. Raises OSError."""
    for change in changes:
        path = root / change.place
        match change.what:
            case "write":
                write_durably(path, change.text.encode(), mode=0o644)
                path.chmod(0o644)  # whatever the umask of whoever runs this
            case "link":
                make_folder(path.parent)
                beside = path.with_name(f".{path.name}.{os.getpid()}")
                beside.unlink(missing_ok=True)
                beside.symlink_to(change.text)
                beside.replace(path)
                sync(path.parent)
            case "remove":
                path.unlink()
                sync(path.parent)
                if not any(path.parent.iterdir()):
                    path.parent.rmdir()


def unit_changed(change: Change) -> str:
    """The unit whose meaning a change touches; empty for links and for what is not one unit's."""
    place = Path(change.place)
    if change.what == "link" or place.parent.suffix == ".wants" or not change.place.startswith(SYSTEM):
        return ""
    if place.parent.suffix == ".d":
        return place.parent.name.removesuffix(".d")
    return place.name


def _wanted_by(above: str, unit: str) -> str:
    return f"{SYSTEM}/{above}.wants/{unit}"


def _link_target(unit: str) -> str:
    """Absolute, as `systemctl enable` writes it: an image's own root is / once it runs."""
    name, at, rest = unit.partition("@")
    return f"/{SYSTEM}/{name}@{Path(rest).suffix}" if at else f"/{SYSTEM}/{unit}"


def _ours(root: Path) -> list[str]:
    """What an earlier plan may have left; the links that enable `roost.target` and the first boot are not plans'."""
    system = root / SYSTEM
    found = [path for path in system.glob("roost*.target.wants/*") if path.is_symlink()]
    found += [path for path in system.glob(f"roost*.d/{DROP_IN}") if path.is_file()]
    found += [path for path in system.glob("roost*") if path.suffix in _UNIT_SUFFIXES and path.is_file()]
    found += [path for place in _OWN_PLACES if (path := root / place).is_file()]
    return sorted(str(path.relative_to(root)) for path in found)


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        return ""


def _points_to(path: Path) -> str | None:
    return str(path.readlink()) if path.is_symlink() else None
