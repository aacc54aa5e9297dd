"""Bringing internal state up to date at a start: snapshot and roll-forward, or a replay of the last window.

The archive is where the missing requests are (the book's ch. 6: "supplying a snapshot of the internal state and
replaying transactions after the snapshot"; for a short window "on top of an initially zero state"). It holds them in
the order of the input stream, as the decoy received them; this model received the same stream.

The decoy may be a moment behind: what this model had observed before it ended is noted in a small file
(`position`), and the archive is read again until it holds that request, within a bound that the caller keeps.
"""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from roost_broker.durable import write_durably
from roost_broker.errors import Misuse, RoostError
from roost_broker.ids import is_id
from roost_broker.messages import Request
from roost_models.bundle.manifest import StateContract
from roost_models.internal_state.keeper import InternalState

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StatePlace:
    """Where a model's internal state is kept, and the archive it is rolled forward from."""

    folder: Path
    archive: Path


@dataclass(frozen=True, slots=True)
class Restored:
    """What a start made of it. `behind` says that the archive does not hold yet what the model had observed."""

    from_snapshot: bool
    rolled_forward: int
    behind: bool


class StateFiles:
    """The snapshot and the position of one model. Used by its compute thread alone."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._snapshot = folder / "snapshot.json"
        self._position = os.open(folder / "position", os.O_RDWR | os.O_CREAT, 0o644)

    def close(self) -> None:
        """Let go of the files."""
        os.close(self._position)

    def note(self, request_id: str) -> None:
        """Remember the newest observed request: cheap, survives kill -9, need not survive a power cut."""
        os.pwrite(self._position, request_id.encode("ascii"), 0)

    def position(self) -> str | None:
        """The newest request that was observed before, if any is known."""
        text = os.pread(self._position, 32, 0).decode("ascii", "replace")
        return text if is_id(text) else None

    def save(self, state: InternalState) -> None:
        """Write a snapshot; the old one or the new one is there at any moment."""
        write_durably(self._snapshot, state.snapshot())

    def load(self, state: InternalState) -> bool:
        """Take over the snapshot; False when there is none that can be used (then it is rebuilt)."""
        try:
            state.restore(self._snapshot.read_bytes())
        except FileNotFoundError:
            return False
        except (OSError, RoostError) as error:
            _log.warning("The snapshot %s is not used: %s", self._snapshot, error)
            return False
        return True


def restore(
    state: InternalState,
    contract: StateContract,
    files: StateFiles,
    archive: Path,
    takes: Callable[[Request], bool],
) -> Restored:
    """Bring the state up to date. To be called again while `behind`: it goes on where it was.

    While the archive lacks the newest request that the state knows nothing is rolled forward: what is archived so far
    was observed long ago, and would count again.
    """
    # Only models that remember pay for SQLite and what comes with it.
    from roost_models.archive.reading import ArchiveReader

    loaded = state.observed == 0 and contract.restore == "snapshot" and files.load(state)
    position = files.position()
    try:
        reader = ArchiveReader(archive)
    except Misuse:  # no archive yet: then there is nothing to roll forward from
        return Restored(loaded, 0, behind=position is not None and position != state.last)
    with reader:
        if state.last is not None and not reader.holds(state.last):
            return Restored(loaded, 0, behind=True)
        begin = None
        if state.last is None and contract.window_s is not None:
            newest = reader.newest_timestamp_ms()
            begin = None if newest is None else newest - contract.window_s * 1000
        missed = (item.request for item in reader.arrivals(after=state.last, from_timestamp_ms=begin))
        rolled = sum(state.observe(request) for request in missed if takes(request))
        behind = position is not None and not reader.holds(position)
    return Restored(loaded, rolled, behind)
