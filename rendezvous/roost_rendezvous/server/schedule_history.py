"""Every schedule that was in force, with when, who and why: markers at which figures can be cut.

JSON lines in `schedules.jsonl` beside the answer journal, one line for each schedule that took effect:

    {"at":<ms>,"version":"…","schedule":{…},"author":"…","why":"…","before":"…","messageId":"…","totals":{…}}

`totals` are the requests and answers of the task by then, so the difference of two lines is what happened between
them. A line is written at once (a killed process loses none) and synced beside the loop (a power cut may cost the
last). Two servers may write, while one hands over to the other: a line stands once, by its message id. Bounded: the
oldest lines give way.
"""

import fcntl
import logging
import os
import threading
from collections import deque
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from roost_broker.durable import sync, write_durably
from roost_broker.errors import PeerError

_log = logging.getLogger(__name__)

FILE = "schedules.jsonl"
MAX_ENTRIES = 500
MAX_BYTES = 4_000_000
"""Of the file; beyond it the older half goes."""


class Entry(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A schedule that took effect."""

    at: int
    """Wall clock in ms."""
    version: str
    schedule: dict[str, Any]
    author: str = ""
    why: str = ""
    before: str = ""
    """Version that it replaced; the same version where somebody put the same schedule in force again."""
    message_id: str = ""
    totals: dict[str, int] = field(default_factory=dict)
    """Requests and answers by cause up to this moment, over all starts of the server."""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Entry)


def read(folder: Path) -> list[Entry]:
    """The history below a journal folder, oldest first; empty when there is none. What is no entry is skipped."""
    return _parse(_bytes(folder / FILE))


def to_go_back_to(entries: list[Entry], wanted: str = "") -> Entry:
    """The entry a roll-back puts in force: the one before, or the newest whose version begins with `wanted`.

    Raises `PeerError` when there is none.
    """
    if not entries:
        raise PeerError("No schedule of this task was ever in force here.", "Put one in force: roost schedule apply.")
    now = entries[-1].version
    others = [entry for entry in entries if entry.version != now]
    if not wanted:
        if not others:
            raise PeerError(
                f"There is no schedule before {now}: it is the first.", "roost schedule history shows what there was."
            )
        return others[-1]
    found = {entry.version: entry for entry in entries if entry.version.startswith(wanted)}
    if len(found) > 1:
        raise PeerError(f"{wanted!r} could be {', '.join(sorted(found))}.", "Give more of the version's digits.")
    if not found:
        raise PeerError(
            f"No schedule with a version that begins with {wanted!r} was in force here.",
            "roost schedule history shows the versions.",
        )
    (entry,) = found.values()
    if entry.version == now:
        raise PeerError(f"The schedule {now} is the one in force.", "Name an earlier one.")
    return entry


class ScheduleHistory:
    """The history of one task, for the server that writes it. A disk that refuses costs lines, never a schedule."""

    def __init__(self, folder: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self._path = folder / FILE
        self._max_bytes = max_bytes
        self._last: Entry | None = None
        self._ids: deque[str] | None = None  # of all messages: whole schedules would be too much to keep
        self._syncer = _Syncer(self._path)

    @property
    def last(self) -> Entry | None:
        """The schedule in force, as far as is known here."""
        self._load()
        return self._last

    def older(self, message_id: str) -> bool:
        """Whether this message's schedule was in force once and was replaced since."""
        ids = self._load()
        return message_id in ids and ids[-1] != message_id

    def add(self, entry: Entry) -> bool:
        """Append; False when this message is the newest line already (a repetition, or the other server wrote it)."""
        ids = self._load()
        if ids and ids[-1] == entry.message_id:
            return False
        ids.append(entry.message_id)
        self._last = entry
        try:
            self._append(entry)
        except OSError as error:
            _log.warning("The schedule history %s cannot be written: %s", self._path, error)
        return True

    def _append(self, entry: Entry) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        line = _encoder.encode(entry) + b"\n"
        with self._lock():
            before = _bytes(self._path)
            newest = _parse(before.rstrip(b"\n").rpartition(b"\n")[2])  # not all of it: requests wait meanwhile
            if newest and newest[0].message_id == entry.message_id:
                return
            if before.count(b"\n") >= MAX_ENTRIES or len(before) + len(line) > self._max_bytes:
                kept = _parse(before)[-MAX_ENTRIES // 2 :]
                while kept and sum(len(_encoder.encode(one)) + 1 for one in kept) > self._max_bytes // 2:
                    kept = kept[(len(kept) + 1) // 2 :]
                write_durably(self._path, b"".join(_encoder.encode(one) + b"\n" for one in kept) + line)
                return
            torn = b"\n" if before and not before.endswith(b"\n") else b""
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                if os.write(fd, torn + line) != len(torn + line):
                    os.ftruncate(fd, len(before))
                    raise OSError("no space for a whole line")
            finally:
                os.close(fd)
        self._syncer.soon()

    def _lock(self) -> "_Locked":
        return _Locked(self._path.with_name(f".{FILE}.lock"))

    def _load(self) -> "deque[str]":
        if self._ids is None:
            entries = _parse(_bytes(self._path))
            self._last = entries[-1] if entries else None
            self._ids = deque((entry.message_id for entry in entries), maxlen=MAX_ENTRIES)
        return self._ids


class _Locked:
    """One writer at a time, over processes; the holder does a small write and is gone."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        _log.warning("The schedule history %s cannot be read: %s", path, error)
        return b""


def _parse(data: bytes) -> list[Entry]:
    entries: list[Entry] = []
    for line in data.splitlines():
        try:
            entries.append(_decoder.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError):
            _log.warning("A line of the schedule history is no entry; skipped.")
    return entries


class _Syncer:
    """Syncs a file in one thread beside the loop that answers requests, however often it is asked to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._wanted = False
        self._runs = False

    def soon(self) -> None:
        """What is written by now reaches the card in a moment."""
        with self._lock:
            self._wanted = True
            if self._runs:
                return
            self._runs = True
        threading.Thread(target=self._run, name="schedule history", daemon=True).start()

    def _run(self) -> None:
        while self._again():
            try:
                sync(self._path)
            except OSError as error:
                _log.warning("The schedule history could not be synced: %s", error)

    def _again(self) -> bool:
        with self._lock:
            self._runs, self._wanted = self._wanted, False
            return self._runs
