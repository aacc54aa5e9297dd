"""How a card's room is shared out at its first boot. Pure: from what `sfdisk --json` says to what it is told.

An image carries the firmware's partition and a root as small as may be. At the first boot the root grows to a size
that upgrades need, and the rest becomes the data partition. All of it is one write of one sector: after a power cut
the table is the old one or the new one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from roost_broker.errors import Misuse, PeerError

SECTOR: Final = 512
ALIGN: Final = 4 * 1024**2 // SECTOR
"""Partitions begin at multiples of 4 MiB: the erase blocks of common cards divide it."""

ROOT_WANTED: Final = 4 * 1024**3 // SECTOR
"""A root of 4 GiB holds the system, two environments of Roost and an upgrade of all packages."""

DATA_LEAST: Final = 64 * 1024**2 // SECTOR
MAX_SECTORS: Final = 2**32 - ALIGN
"""This kind of partition table counts sectors in 32 bits: what is beyond 2 TiB stays unused."""


@dataclass(frozen=True, slots=True)
class Share:
    """The table to write (a script for sfdisk), or an empty text where the card is shared out already."""

    script: str
    root_number: int
    data_number: int


def share_out(said: Mapping[str, Any], total: int) -> Share:
    """What to do with a card of `total` sectors whose table is `said` (as `sfdisk --json` puts it).

    Raises PeerError for a table that is no image's, Misuse for a card without room.
    """
    table = said.get("partitiontable", {})
    parts = sorted(table.get("partitions", ()), key=lambda part: int(part["start"]))
    if table.get("label") != "dos" or len(parts) not in (2, 3):
        raise PeerError(
            f"The card has {len(parts)} partitions of kind {table.get('label')!r}; an image of Roost has 2, then 3.",
            "Nothing was changed. Write the image to the card again.",
        )
    root = parts[1]
    start, size = int(root["start"]), int(root["size"])
    if len(parts) == 3:
        return Share("", 2, 3)
    end = min(total, MAX_SECTORS) // ALIGN * ALIGN
    least = _up(start + size)
    if end - least < DATA_LEAST:
        raise Misuse(
            f"The card has {total * SECTOR / 1e9:.1f} GB: no room for a data partition.",
            "Use a card of 4 GB or more (in an emulator: make the file longer first).",
        )
    grown = min(_up(start + max(ROOT_WANTED, size)), _up(start + (end - start) // 2), end - DATA_LEAST)
    border = max(grown, least)
    return Share(_script(table, parts, border, end), 2, 3)


def _script(table: Mapping[str, Any], parts: list[Any], border: int, end: int) -> str:
    boot, root = parts
    lines = ["label: dos", f"label-id: {table['id']}", "unit: sectors", ""]
    lines.append(f"start={boot['start']}, size={boot['size']}, type={boot['type']}, bootable")
    lines.append(f"start={root['start']}, size={border - int(root['start'])}, type={root['type']}")
    lines.append(f"start={border}, size={end - border}, type=83")
    return "\n".join(lines) + "\n"


def _up(sector: int) -> int:
    return -(-sector // ALIGN) * ALIGN
