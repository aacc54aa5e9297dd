"""A guest's serial line: lines with the time they came, what they mean, and the last of them for a report. Pure.

Bounded: the newest `_KEPT` lines, each of `_WIDEST` letters at most.
"""

import codecs
import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from roost_broker.clock import SECOND
from roost_broker.printable import printable

_KEPT: Final = 2_000
_WIDEST: Final = 400
_CONTROLS = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[@-_]|\r")
_STAMP = re.compile(r"^\[ *\d+\.\d+\] ")
_FATAL: Final = (
    ("Kernel panic", "The kernel panicked."),
    ("Unable to mount root fs", "The kernel found no root file system."),
    ("ALERT!", "The initial ramdisk did not find the root file system."),
    ("You are in emergency mode", "systemd gave up and started its emergency shell."),
    ("Give root password for maintenance", "systemd gave up and started its emergency shell."),
)
_FAILED = re.compile(r"(?:Failed to start|Dependency failed for) (.+?)\.?$")


@dataclass(frozen=True, slots=True)
class Line:
    """One line, `at_ns` after the power was switched on."""

    at_ns: int
    text: str

    def __str__(self) -> str:
        """As a person reads it."""
        return f"{self.at_ns / SECOND:7.1f} s  {self.text}"


class Console:
    """Feed it what the guest wrote; ask it what that was. `markers` are words whose first line is remembered."""

    def __init__(self, markers: Iterable[str] = ()) -> None:
        self._lines: deque[Line] = deque(maxlen=_KEPT)
        self._rest = ""
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        self._markers = tuple(markers)
        self._first: dict[str, Line] = {}
        self._failed: dict[str, None] = {}
        self.fatal = ""
        """Why there is no use in waiting any longer; empty while there is."""

    def feed(self, data: bytes, at_ns: int) -> None:
        """Some bytes, in whatever pieces they come."""
        *whole, rest = (self._rest + self._decode(data)).split("\n")
        self._rest = rest[-_WIDEST * 4 :]
        for raw in whole:
            if text := _clean(raw):
                self._lines.append(Line(at_ns, text))
                self._read(Line(at_ns, text))
        if text := _clean(self._rest):  # a prompt ends no line
            self._note(Line(at_ns, text))

    def first(self, marker: str) -> Line | None:
        """The first line that held this one of the markers."""
        return self._first.get(marker)

    @property
    def failed_units(self) -> tuple[str, ...]:
        """What systemd said it could not start, each once."""
        return tuple(self._failed)

    def last(self, count: int) -> tuple[Line, ...]:
        """The newest whole lines."""
        return tuple(self._lines)[-count:]

    def last_words(self) -> str:
        """The newest line without the time the guest put before it; for a progress line."""
        return _STAMP.sub("", self._lines[-1].text) if self._lines else "nothing on the console yet"

    def _read(self, line: Line) -> None:
        self._note(line)
        if failed := _FAILED.search(line.text):
            self._failed[failed[1]] = None
        for sign, meaning in _FATAL:
            if not self.fatal and sign in line.text:
                self.fatal = meaning

    def _note(self, line: Line) -> None:
        for marker in self._markers:
            if marker not in self._first and marker in line.text:
                self._first[marker] = line


def _clean(raw: str) -> str:
    return printable(_CONTROLS.sub("", raw).replace("\t", " ")).strip()[:_WIDEST]
