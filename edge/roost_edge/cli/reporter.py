"""Progress of long work, on stderr: a live bar on a terminal, plain lines into a pipe or a journal."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Reporter(Protocol):
    """Told how far the work is; knows nothing of the work."""

    def progress(self, done: int, total: int | None) -> None:
        """`done` of `total` (None: nobody knows how many)."""
        ...

    def note(self, text: str) -> None:
        """A sentence worth reading while it goes on."""
        ...


class PlainReporter:
    """A line every few seconds, so that a log stays readable."""

    def __init__(self, title: str, *, stream: TextIO | None = None, every_s: float = 5.0) -> None:
        self._title = title
        self._stream = stream or sys.stderr
        self._every_ns = int(every_s * 1e9)
        self._next = time.monotonic_ns() + self._every_ns

    def progress(self, done: int, total: int | None) -> None:
        """See `Reporter`."""
        now = time.monotonic_ns()
        if now >= self._next:
            self._next = now + self._every_ns
            self.note(f"{self._title}: {done}" + (f" of {total}" if total is not None else ""))

    def note(self, text: str) -> None:
        """See `Reporter`."""
        print(text, file=self._stream, flush=True)


class LiveReporter:
    """A bar with the time that is left."""

    def __init__(self, title: str, progress: "Progress") -> None:
        self._progress = progress
        self._task: TaskID = progress.add_task(title, total=None)

    def progress(self, done: int, total: int | None) -> None:
        """See `Reporter`."""
        self._progress.update(self._task, completed=done, total=total)

    def note(self, text: str) -> None:
        """See `Reporter`."""
        self._progress.console.print(text)


@contextmanager
def reporting(title: str) -> Iterator[Reporter]:
    """The reporter that suits stderr."""
    if not sys.stderr.isatty():
        yield PlainReporter(title)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield LiveReporter(title, progress)
