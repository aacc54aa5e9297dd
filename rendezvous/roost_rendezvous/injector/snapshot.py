"""What an injector leaves to its successor, as one JSON file: newest values with their times, and the state of the
requests that may be asked again. Pure; `role` reads and writes the file.
"""

from typing import Any

import msgspec

from roost_broker.errors import Malformed
from roost_rendezvous.injector.keeper import Given, Kept, StateKeeper

MAX_BYTES = 20_000_000


class Snapshot(msgspec.Struct, frozen=True, tag_field="schema", tag="roost.injector-snapshot/1"):
    """The file. Times are monotonic, so they mean something to processes of the same `boot` alone."""

    boot: str
    values: dict[str, Kept] = {}
    given: dict[str, Given] = {}


def write(keeper: StateKeeper, boot: str) -> bytes:
    """The file's content."""
    known: dict[str, Any] = keeper.export()
    return msgspec.json.encode(Snapshot(boot, known["values"], known["given"]))


def restore(data: bytes, keeper: StateKeeper, boot: str) -> None:
    """Go on from what a predecessor wrote. Raises `Malformed`; then nothing is changed."""
    try:
        snapshot = msgspec.json.decode(data, type=Snapshot)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"The snapshot of an injector cannot be read: {error}.") from error
    if snapshot.boot != boot:
        raise Malformed("The snapshot of an injector is from another boot of this machine.")
    keeper.restore(snapshot.values, snapshot.given)


def file_name(task: str) -> str:
    """Within the token's folder."""
    return f"injector-{task}.json"
