"""The newest state of the registry that a device has seen: what it never goes below again.

python-tuf keeps this in its cached metadata, which it does not sync: a power cut may leave them empty, and a device
that then starts again from its trusted root would take any older state for new. So the numbers alone are kept here,
durably and twice: a cache may be lost, the floor is not.

* Two files, written in turn, each with its own checksum: the newest one that is whole counts.
* A role's numbers hold as long as its keys do. Where root gave the timestamp or snapshot role other keys, the numbers
  below root are dropped, as The Update Framework wants it (5.3.11, recovery from a fast-forward attack): whoever had
  the old keys may have signed any number. Root's own number never goes back.
* `latest_ms` is the latest time at which everything was valid. A device without a clock chip that wakes up in the past
  does not take what had expired by then for fresh.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct, field

from roost_broker.durable import write_durably

_MAX_BYTES = 1_000_000
_FILES = ("floor.1", "floor.2")
Number = Annotated[int, Meta(ge=0)]


class Floor(Struct, frozen=True, kw_only=True):
    """One state that was seen. Versions by role."""

    turn: Number = 0
    """Counts up with each write; says which file is newer."""
    root: Number = 0
    keys: str = ""
    """Which keys the timestamp and snapshot roles had."""
    timestamp: Number = 0
    snapshot: Number = 0
    roles: dict[str, Number] = field(default_factory=dict)
    """Roles that sign bundles and roll-outs."""
    latest_ms: Number = 0

    def for_keys(self, keys: str) -> "Floor":
        """What of it holds under these keys."""
        if not self.keys or keys == self.keys:
            return self
        return Floor(turn=self.turn, root=self.root, latest_ms=self.latest_ms)

    def broken_by(self, seen: "Floor") -> str:
        """A sentence on what `seen` is behind this floor with; empty when it is not."""
        if seen.root < self.root:
            return f"root is version {seen.root}; version {self.root} was seen before"
        held = self.for_keys(seen.keys)
        if seen.timestamp and seen.timestamp < held.timestamp:
            return f"timestamp is version {seen.timestamp}; version {held.timestamp} was seen before"
        if seen.snapshot and seen.snapshot < held.snapshot:
            return f"snapshot is version {seen.snapshot}; version {held.snapshot} was seen before"
        for role, version in held.roles.items() if seen.snapshot else ():
            if seen.roles.get(role, 0) < version:
                return f"{role} is version {seen.roles.get(role, 0)}; version {version} was seen before"
        return ""

    def raised_to(self, seen: "Floor") -> "Floor":
        """The higher of the two, number by number."""
        held = self.for_keys(seen.keys)
        return Floor(
            turn=self.turn,
            root=max(self.root, seen.root),
            keys=seen.keys or self.keys,
            timestamp=max(held.timestamp, seen.timestamp),
            snapshot=max(held.snapshot, seen.snapshot),
            roles=_higher(held.roles, seen.roles),
            latest_ms=max(self.latest_ms, seen.latest_ms),
        )


def _higher(ours: Mapping[str, int], others: Mapping[str, int]) -> dict[str, int]:
    return {role: max(ours.get(role, 0), others.get(role, 0)) for role in sorted({*ours, *others})}


class FloorFiles:
    """Both files. `lost`: there were some and none was whole, so the protection begins anew, and somebody is told."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.floor = Floor()
        self.lost = False
        self._read()

    def raise_to(self, seen: Floor) -> None:
        """Keep the higher of both, durably; nothing is written where nothing changed but the time, within an hour."""
        raised = self.floor.raised_to(seen)
        grown_ms = raised.latest_ms - self.floor.latest_ms
        same = msgspec.structs.replace(raised, latest_ms=self.floor.latest_ms) == self.floor
        if same and grown_ms < 3_600_000:
            return
        raised = msgspec.structs.replace(raised, turn=self.floor.turn + 1)
        write_durably(self._folder / _FILES[raised.turn % 2], _sealed(raised))
        self.floor = raised
        self.lost = False

    def _read(self) -> None:
        there = 0
        for name in _FILES:
            try:
                with (self._folder / name).open("rb") as file:
                    data = file.read(_MAX_BYTES + 1)
            except FileNotFoundError:
                continue
            except OSError:  # a block that cannot be read any more
                data = b""
            there += 1
            found = _opened(data)
            if found is not None and found.turn > self.floor.turn:
                self.floor = found
        self.lost = there > 0 and self.floor.turn == 0


def _sealed(floor: Floor) -> bytes:
    body = msgspec.json.encode(floor)
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body + b"\n"


def _opened(data: bytes) -> Floor | None:
    digest, _, body = data.removesuffix(b"\n").partition(b"\n")
    if len(data) > _MAX_BYTES or hashlib.sha256(body).hexdigest().encode() != digest:
        return None
    try:
        return msgspec.json.decode(body, type=Floor)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
