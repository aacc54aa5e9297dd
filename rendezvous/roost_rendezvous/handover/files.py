"""What the old process writes for the new one, below one folder of the device: `<folder>/<hand-over id>/…`.

`snapshot.json` at the snapshot token, `final.json` at the transition token. Written whole or not at all; not synced
to the card, for both processes are alive. A token comes from the bus, so its location is checked, not trusted.
"""

import os
from collections.abc import Set
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from roost_broker.errors import Malformed, PeerError
from roost_broker.messages import Token

T = TypeVar("T")

_KEPT = 4  # folders of hand-overs, for whoever wants to look


class RendezvousKnowledge(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a rendezvous server knew at a token; request ids."""

    handover_id: str
    role: str
    schedule_version: str = ""
    open: tuple[str, ...] = ()
    """Mailboxes that it will still answer."""
    answered: tuple[str, ...] = ()
    """Oldest first. At the transition token: those answered since the snapshot."""

    def since(self, before: Set[str]) -> "RendezvousKnowledge":
        """The same without the answered ids that are known already."""
        return msgspec.structs.replace(self, answered=tuple(one for one in self.answered if one not in before))


def location(folder: Path, handover_id: str) -> Path:
    """Where the files of one hand-over lie."""
    return folder / handover_id


def newest(folder: Path) -> Path:
    """Where the files of the newest hand-over lie; a place without files when there was none."""
    places = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    return places[-1] if places else folder


def checked_location(folder: Path, token: Token) -> Path:
    """The location that a token names. Raises `PeerError` when it is not this hand-over's folder below `folder`."""
    wanted = location(folder, token.handover_id)
    if os.path.realpath(token.location) != os.path.realpath(wanted):
        raise PeerError(
            f"A token names {token.location[:200]!r}, and this role writes to {wanted} alone.",
            "Hand over with `roost upgrade` and the same settings file that the role was started with.",
        )
    return wanted


def snapshot_path(place: Path) -> Path:
    """What was known at the snapshot token."""
    return place / "snapshot.json"


def final_path(place: Path) -> Path:
    """What was left to do at the transition token."""
    return place / "final.json"


def write(path: Path, knowledge: Struct) -> None:
    """Write whole or not at all. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    beside.write_bytes(msgspec.json.encode(knowledge))
    beside.replace(path)


def read(path: Path, kind: type[T]) -> T | None:
    """What was written there, None when nothing was yet. Raises `Malformed`."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, OSError) as error:
        raise Malformed(f"{path} cannot be read: {error}.") from error


def tidy(folder: Path) -> None:
    """Remove the files of all but the newest hand-overs (ids sort by time)."""
    if not folder.is_dir():
        return
    for place in sorted(path for path in folder.iterdir() if path.is_dir())[:-_KEPT]:
        for path in place.iterdir():
            path.unlink(missing_ok=True)
        place.rmdir()
