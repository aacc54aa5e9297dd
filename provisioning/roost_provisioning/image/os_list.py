"""The list of images that Raspberry Pi Imager shows (`os_list`), and its rules. Pure.

Imager refuses an image whose `extract_sha256` is wrong, shows one only on boards whose tags it names, and asks about
name, login and Wi-Fi only where `init_format` says how an image takes them. Opened in Imager with
`rpi-imager --repo FILE`, or by a double click on a file that ends in `.rpi-imager-manifest`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from roost_broker.errors import Misuse

INIT_FORMATS = frozenset({"", "none", "systemd", "cloudinit", "cloudinit-rpi", "rpi-preseed"})
PACKED = frozenset({".xz", ".gz", ".zst", ".zip"})
_REQUIRED: Mapping[str, type] = {
    "name": str,
    "description": str,
    "icon": str,
    "url": str,
    "extract_size": int,
    "extract_sha256": str,
    "image_download_size": int,
    "release_date": str,
    "devices": list,
}
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_DATE = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])\Z")
_DEVICES: Mapping[str, tuple[str, str]] = {
    "pi3-64bit": ("Raspberry Pi 3 and Zero 2 W", "Models 3A+, 3B, 3B+, Compute Module 3, Zero 2 W"),
    "pi4-64bit": ("Raspberry Pi 4", "Models 4B, 400, Compute Module 4"),
    "pi5-64bit": ("Raspberry Pi 5", "Models 5, 500, Compute Module 5"),
}
_TAGS = {"pi3b": "pi3-64bit", "pi3b+": "pi3-64bit", "zero2w": "pi3-64bit", "pi4b": "pi4-64bit"}
PI_5_KERNEL = "kernel_2712.img"


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One image in the list, with Imager's names. Sizes in bytes; `release_date` as YYYY-MM-DD."""

    name: str
    description: str
    url: str
    icon: str
    extract_size: int
    extract_sha256: str
    image_download_size: int
    release_date: str
    init_format: str
    devices: tuple[str, ...]
    image_download_sha256: str = ""
    architecture: str = ""
    website: str = ""
    bmap_url: str = ""


def tags_of(boards: Sequence[str], *, pi_5: bool) -> tuple[str, ...]:
    """Imager's tags for these boards (as `BoardFacts` calls them), and for a Pi 5."""
    found = {_TAGS[board] for board in boards if board in _TAGS} | ({"pi5-64bit"} if pi_5 else set())
    return tuple(sorted(found, reverse=True))


def init_format_of(first_boot: str, *, official: bool, taken: bool) -> str:
    """How Imager may customise an image. `taken`: what it would write over is used already."""
    if taken:
        return "none"
    if first_boot == "cloud-init":
        return "cloudinit-rpi" if official else "cloudinit"
    return "systemd" if first_boot == "firstrun" else "none"


def document(entries: Sequence[Entry]) -> dict[str, Any]:
    """The whole list. The boards are described too: Imager asks for the board first, and knows none by itself then.

    Raises `Misuse` when it breaks a rule.
    """
    tags = sorted({tag for entry in entries for tag in entry.devices}, reverse=True)
    devices = [
        {
            "name": _DEVICES[tag][0],
            "description": _DEVICES[tag][1],
            "tags": [tag],
            "matching_type": "inclusive",
            "architecture": "armv8",
        }
        for tag in tags
        if tag in _DEVICES
    ]
    images = msgspec.json.decode(msgspec.json.encode(entries))  # lists where the entries have tuples
    found = {"imager": {"devices": devices}, "os_list": images}
    if problems := problems_of(found):
        raise Misuse(f"Imager would not take this list: {'; '.join(problems)[:500]}", "Give what is missing.")
    return found


def problems_of(list_: Any) -> list[str]:
    """What Imager's schema, and what it does with the values, has against a list; empty where nothing is wrong."""
    if not isinstance(list_, dict) or not isinstance(list_.get("os_list"), list):
        return ["there is no os_list"]
    problems = [f"{key} is not known at the top" for key in list_ if key not in {"imager", "os_list"}]
    if not list_["os_list"]:
        problems.append("os_list is empty")
    for number, entry in enumerate(list_["os_list"], 1):
        problems += [f"entry {number}: {problem}" for problem in _problems(entry)]
    return problems


def _problems(entry: Any) -> list[str]:
    if not isinstance(entry, dict):
        return ["it is no table"]
    problems = [
        f"{key} is missing or of the wrong kind"
        for key, kind in _REQUIRED.items()
        if not isinstance(entry.get(key), kind) or isinstance(entry.get(key), bool)
    ]
    if problems:
        return problems
    if entry.get("init_format", "") not in INIT_FORMATS:
        problems.append(f"init_format {entry['init_format']!r} is not known")
    if not _SHA256.match(entry["extract_sha256"]):
        problems.append("extract_sha256 is none")
    if not _DATE.match(entry["release_date"]):
        problems.append(f"release_date {entry['release_date']!r} is not YYYY-MM-DD")
    if urlsplit(entry["url"]).scheme not in {"https", "http", "file"}:
        problems.append(f"url {entry['url'][:80]!r} is none")
    if entry["extract_size"] <= 0 or entry["image_download_size"] <= 0:
        problems.append("a size is not positive")
    if not entry["name"].strip() or not entry["description"].strip():
        problems.append("name or description is empty")
    if not entry["devices"] or not all(isinstance(tag, str) and tag for tag in entry["devices"]):
        problems.append("devices names none: no board would show it")
    return problems
