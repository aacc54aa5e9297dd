"""A child's stderr in a file of bounded size: the current one and one before it."""

from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_MAX_LINE = 16_000


class ChildLog:
    """Appends lines to `path`; at `limit_bytes` the file becomes `<name>.1` and a new one begins.

    A medium that is full costs lines of the file, never the role: `last_lines` has them all the same.
    """

    def __init__(self, path: Path, *, limit_bytes: int = 1_000_000, keep_lines: int = 50) -> None:
        self._path = path
        self._limit = limit_bytes
        self._last: deque[str] = deque(maxlen=keep_lines)
        self._rest = b""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = path.open("ab", buffering=0)

    def feed(self, data: bytes) -> list[str]:
        """Take bytes as they came from the pipe; returns the lines that are complete now."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _MAX_LINE:  # a child that never ends its line must not fill our memory
            whole.append(self._rest)
            self._rest = b""
        return [self._take(line) for line in whole]

    def last_lines(self, count: int) -> list[str]:
        """The newest `count` lines."""
        return list(self._last)[-count:]

    def end(self) -> list[str]:
        """A process has ended: what is left becomes its last line. The next process may follow."""
        lines = [self._take(self._rest)] if self._rest else []
        self._rest = b""
        return lines

    def close(self) -> None:
        """Close the file; `last_lines` goes on working."""
        self._file.close()

    def _take(self, line: bytes) -> str:
        with suppress(OSError):
            self._file.write(line + b"\n")
            if self._file.tell() >= self._limit:
                self._path.replace(self._path.with_name(f"{self._path.name}.1"))
                fresh = self._path.open("ab", buffering=0)
                self._file.close()
                self._file = fresh
        text = line.decode(errors="replace")
        self._last.append(text)
        return text
