"""Roll-outs on disk: a folder each, below `CentreLayout.rollouts`.

    <id>/progress.json   what it is and how far it has come; replaced durably before anything is published
    <id>/markers.jsonl   every step, with its time; each number once
    <id>/told            how many of them stand on the fleet's topics as well
    <id>/orders/         what other commands want of the one that watches; each taken once
    <id>/lock            held by the one that watches

The roll-out document that the registry holds is the truth; this is what its controller needs to go on.
"""

import fcntl
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from roost_broker.durable import sync, write_durably
from roost_broker.errors import Malformed, Misuse
from roost_models.rollout.actions import Command, Mark
from roost_models.rollout.progress import Progress, parse, render

_log = logging.getLogger(__name__)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")
MAX_ORDERS = 100
_MAX_ORDER = 16_384


class Marker(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of `markers.jsonl`."""

    at_ms: int
    rollout: str
    kind: str
    text: str
    step: int
    shadow: float
    serving: float
    number: int = 0


class Busy(Misuse):
    """Somebody else watches this roll-out."""


class RolloutBook:
    """All roll-outs of a centre."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def ids(self) -> list[str]:
        """Names of the roll-outs, those that were changed last at the end."""
        found = self._folder.glob("*/progress.json")
        return [path.parent.name for path in sorted(found, key=lambda path: (path.stat().st_mtime_ns, path))]

    def load(self, rollout_id: str) -> Progress:
        """How far one has come. Raises `Misuse` when there is none, `Malformed`."""
        try:
            return parse(self._path(rollout_id, "progress.json").read_bytes())
        except FileNotFoundError:
            known = ", ".join(self.ids()[-5:]) or "none"
            raise Misuse(f"There is no roll-out {rollout_id!r}.", f"There are: {known}.") from None

    def save(self, progress: Progress) -> None:
        """Durable when it returns."""
        write_durably(self._path(progress.order.rollout_id, "progress.json"), render(progress))

    def mark(self, rollout_id: str, mark: Mark, at_ms: int) -> Marker:
        """Add a marker; on the disk when it returns. One with this number that is there already is left as it is."""
        there = next((one for one in self.markers(rollout_id) if one.number == mark.number), None)
        if there is not None:
            return there
        marker = Marker(
            at_ms=at_ms,
            rollout=rollout_id,
            kind=mark.kind,
            text=mark.text,
            step=mark.step,
            shadow=mark.shadow,
            serving=mark.serving,
            number=mark.number,
        )
        path = self._path(rollout_id, "markers.jsonl")
        path.parent.mkdir(parents=True, exist_ok=True)
        new = not path.exists()
        with path.open("ab+") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - 1, 0))
            half = file.read(1) not in (b"", b"\n")  # a power cut left it
            file.write(b"\n" * half + msgspec.json.encode(marker) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if new:
            sync(path.parent)
        return marker

    def markers(self, rollout_id: str) -> list[Marker]:
        """All markers, oldest first; half a line at the end is left out."""
        try:
            data = self._path(rollout_id, "markers.jsonl").read_bytes()
        except FileNotFoundError:
            return []
        found = []
        for line in data.split(b"\n")[:-1]:
            try:
                found.append(msgspec.json.decode(line, type=Marker))
            except (msgspec.DecodeError, ValueError):  # half a line that a power cut left, and the next behind it
                continue
        return found

    def untold(self, rollout_id: str) -> list[tuple[int, Marker]]:
        """Markers that were not told yet, with their places (from 1), oldest first."""
        try:
            told = int(self._path(rollout_id, "told").read_bytes())
        except (FileNotFoundError, ValueError):  # none yet, or half a number: told again, with the same ids
            told = 0
        return list(enumerate(self.markers(rollout_id), 1))[max(told, 0) :]

    def was_told(self, rollout_id: str, place: int) -> None:
        """The marker at this place, and those before it, need not be told again. Durable when it returns."""
        write_durably(self._path(rollout_id, "told"), str(place).encode())

    @contextmanager
    def locked(self, rollout_id: str) -> Iterator[None]:
        """Be the only one that goes on with this roll-out. Raises `Busy`."""
        path = self._path(rollout_id, "lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Busy(
                    f"Roll-out {rollout_id} is being watched by another command.", "Let that one go on."
                ) from None
            yield
        finally:
            os.close(fd)

    def ask(self, rollout_id: str, command: Command, at_ns: int) -> Path:
        """Leave an order for the one that watches. The file is gone when it was taken."""
        folder = self._path(rollout_id, "orders")
        if folder.is_dir() and len(list(folder.iterdir())) >= MAX_ORDERS:
            raise Misuse(f"{MAX_ORDERS} orders for {rollout_id} wait already.", "See that roost rollout watch runs.")
        path = folder / f"{at_ns:020d}-{os.getpid()}.json"
        write_durably(path, msgspec.json.encode(command))
        return path

    def orders(self, rollout_id: str) -> list[tuple[Path, Command]]:
        """Orders that wait, oldest first; what is no order is thrown away. Delete the file when it is done.

        One that cannot be read now (the disk, too many open files) stays, and is found the next time.
        """
        found = []
        for path in sorted(self._path(rollout_id, "orders").glob("*.json"))[:MAX_ORDERS]:
            try:
                with path.open("rb") as file:
                    data = file.read(_MAX_ORDER + 1)
            except OSError as error:
                _log.warning("%s cannot be read now: %s", path, error)
                continue
            try:
                if len(data) > _MAX_ORDER:
                    raise Malformed("too large")
                found.append((path, msgspec.json.decode(data, type=Command)))
            except (Malformed, msgspec.DecodeError, ValueError):
                path.unlink(missing_ok=True)
        return found

    def _path(self, rollout_id: str, name: str) -> Path:
        if not _ID.match(rollout_id):
            raise Misuse(f"{rollout_id!r} cannot be the id of a roll-out.", "roost rollout list shows them.")
        return self._folder / rollout_id / name
