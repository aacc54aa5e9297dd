"""The life cycle's log on disk: JSON lines, added to and never changed.

* A line counts when its end is there: a power cut may leave half a line, which the next writer cuts off.
* A writer holds the lock from reading to writing, so that two commands cannot both make the same move.
* A line is on the disk when `move` returns.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from roost_broker.durable import make_folder, sync
from roost_broker.errors import Malformed
from roost_models.rollout import lifecycle
from roost_models.rollout.document import BundleRef
from roost_models.rollout.lifecycle import Entry, Phase

MAX_BYTES = 64_000_000
"""Largest log that is read: some 100,000 moves."""


class LifecycleLog:
    """The log of one centre; `CentreLayout.lifecycle` says where."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def entries(self) -> list[Entry]:
        """All that was written, oldest first. Raises `Malformed` with the line that cannot be read."""
        try:
            with self._path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return []
        return _read(data, self._path)

    def phase(self, digest: str) -> Phase | None:
        """Where the bundle with this digest stands; None: never heard of."""
        return lifecycle.phase_of(self.entries(), digest)

    def move(
        self,
        task: str,
        bundle: BundleRef,
        to: Phase,
        *,
        author: str,
        at_ms: int,
        why: str = "",
        evidence: Mapping[str, str] | None = None,
        in_use: Sequence[str] = (),
    ) -> Entry:
        """Move a bundle to its next phase. Raises `NotLegal`, and then nothing is written."""
        return self._add(
            lambda entries: lifecycle.moved(
                entries, task, bundle, to, author=author, at_ms=at_ms, why=why, evidence=evidence, in_use=in_use
            )
        )

    def note(
        self,
        task: str,
        bundle: BundleRef,
        *,
        author: str,
        at_ms: int,
        why: str,
        evidence: Mapping[str, str] | None = None,
    ) -> Entry:
        """Add evidence without a move. Raises `NotLegal` for a bundle that was never heard of."""
        return self._add(
            lambda entries: lifecycle.noted(
                entries, task, bundle, author=author, at_ms=at_ms, why=why, evidence=evidence
            )
        )

    def publish(
        self,
        task: str,
        bundle: BundleRef,
        *,
        author: str,
        at_ms: int,
        report: str = "",
        without_evaluation: str = "",
        why: str = "",
    ) -> list[Entry]:
        """What publishing does: into development where it is new, and out of it into preproduction.

        `report` is the SHA-256 of the accepted assessment report. A bundle that is further on already stays there and
        gets no entry. Raises `NotLegal` without a report and without a reason.
        """
        shown = {lifecycle.REPORT: report} if report else {}
        if without_evaluation:
            shown[lifecycle.WITHOUT] = without_evaluation[:1000]
        made: list[Entry] = []
        with self._locked() as file:
            entries = self.entries()
            if lifecycle.phase_of(entries, bundle.digest) is None:
                made.append(lifecycle.moved(entries, task, bundle, "development", author=author, at_ms=at_ms, why=why))
            if lifecycle.phase_of([*entries, *made], bundle.digest) == "development":
                made.append(
                    lifecycle.moved(
                        [*entries, *made],
                        task,
                        bundle,
                        "preproduction",
                        author=author,
                        at_ms=at_ms,
                        why=why,
                        evidence=shown,
                    )
                )
            _append(file, b"".join(lifecycle.render(entry) for entry in made))
        return made

    def _add(self, make: Callable[[list[Entry]], Entry]) -> Entry:
        with self._locked() as file:
            entry = make(self.entries())
            _append(file, lifecycle.render(entry))
        return entry

    @contextmanager
    def _locked(self) -> Iterator[int]:
        make_folder(self._path.parent)
        new = not self._path.exists()
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if new:
                sync(self._path.parent)
            yield fd
        finally:
            os.close(fd)  # gives the lock back


def _read(data: bytes, path: Path) -> list[Entry]:
    if len(data) > MAX_BYTES:
        raise Malformed(f"{path} is over {MAX_BYTES} bytes.", "Move it away; the new one begins with the next move.")
    entries = []
    for number, line in enumerate(data.splitlines(keepends=True), 1):
        if not line.endswith(b"\n"):  # half a line, from a power cut
            break
        try:
            entries.append(lifecycle.parse(line))
        except Malformed as error:
            raise Malformed(f"{path}, line {number}: {error.problem}", "Restore it from a backup.") from error
    return entries


def _append(fd: int, lines: bytes) -> None:
    if not lines:
        return
    _cut_half_line(fd)
    left = memoryview(lines)
    while left:
        left = left[os.write(fd, left) :]
    os.fsync(fd)


def _cut_half_line(fd: int) -> None:
    size = os.fstat(fd).st_size
    tail = os.pread(fd, min(size, lifecycle.MAX_LINE), size - min(size, lifecycle.MAX_LINE))
    if tail and not tail.endswith(b"\n"):
        os.ftruncate(fd, size - len(tail) + tail.rfind(b"\n") + 1)
