"""Whose outbox a file is. One that another device wrote came with a copied card, and is not to be sent from here.

Both would give the same numbers for different messages, of different devices: JetStream takes both, the centre's
archive only the first. So the file is put aside under the name of its device, untouched, and taken up again when a
device of that name starts here. What a copied card held is sent by the device that it was copied from.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

NODE_FACT: Final = "node"
_PARTS = ("", "-wal", "-shm")


def make_room(path: Path, node: str) -> Path | None:
    """Put aside what another device wrote, take up what this one had put aside. Returns what was put aside, if any."""
    owner = owner_of(path)
    aside = None
    if owner not in ("", node):
        aside = _named(path, owner)
        _move(path, aside)
    if not path.exists() and _named(path, node).exists():
        _move(_named(path, node), path)
    return aside


def owner_of(path: Path) -> str:
    """The device that wrote an outbox; "" when it does not say."""
    if not path.is_file():
        return ""
    try:
        with closing(sqlite3.connect(path)) as db:
            row = db.execute("SELECT value FROM fact WHERE name = ?", (NODE_FACT,)).fetchone()
    except sqlite3.Error:
        return ""  # whoever opens it to use it will say what is wrong
    return "" if row is None else str(row[0])


def _named(path: Path, node: str) -> Path:
    return path.with_name(f"{path.name}.of-{node}")


def _move(path: Path, to: Path) -> None:
    for part in reversed(_PARTS):  # the file itself last: cut in between, it is found again under its old name
        one = path.with_name(path.name + part)
        if one.exists():
            one.replace(to.with_name(to.name + part))
