"""The units as they are shipped: in a checkout the folder `systemd/`, in a wheel a copy of it beside this file."""

from collections.abc import Mapping
from pathlib import Path

from roost_broker.errors import Misuse

_SUFFIXES = {".service", ".target", ".slice", ".socket", ".timer", ".conf"}


def folder() -> Path:
    """Where they lie. Raises `Misuse` for an installation without them."""
    here = Path(__file__).resolve().parent
    for place in (here / "data", here.parents[2] / "systemd"):
        if (place / "roost.target").is_file():
            return place
    raise Misuse("This installation of Roost has no units with it.", "Install its wheel, or run from a checkout.")


def shipped() -> Mapping[str, str]:
    """Text of each file by its place below the folder: `roost.target`, `sysusers.d/roost.conf`, …"""
    root = folder()
    return {
        str(path.relative_to(root)): path.read_text(encoding="utf-8")
        for path in sorted(root.rglob("*"))
        if path.suffix in _SUFFIXES and path.is_file()
    }
