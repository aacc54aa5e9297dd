"""Answers on disk, each written before it is published.

A rendezvous that is killed between the two finds here what it had decided; a request that is repeated gets the very
same bytes again, so nobody is ever told two things about one request. JSON lines, one file after the other:

    {"id":"<request id>","to":"<topic>","reply":"<response topic>","correlation":"<base64>","result":{…}}

Written without fsync: a killed process loses nothing, a power cut may lose the last moments (the request is then
answered anew, which is all one can do). A torn last line is cut off. Not kept for ever: two files for each slot, and
at most `remember` answers.

While one server hands over to another (see the package `handover`) both have the folder open. Each writes, cuts and
removes the files of its own slot alone and reads those of the other, so that whoever is asked gives the same bytes.
"""

import base64
import logging
import os
import re
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from roost_rendezvous.handover.slots import OTHER_SLOT

_log = logging.getLogger(__name__)


class Stored(Struct, frozen=True, gc=False):
    """A result as it went out: the bytes, where to, and what a requester from outside wanted back with it."""

    topic: str
    payload: bytes
    response_topic: str | None = None
    correlation: bytes | None = None


class _Line(Struct, omit_defaults=True):
    id: str
    to: str
    result: msgspec.Raw
    reply: str | None = None
    correlation: str | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Line)
_OFFSET_BITS, _LENGTH_BITS = 40, 20
_NUMBER_BITS = _OFFSET_BITS + _LENGTH_BITS
_FILE = re.compile(r"answers-([0-9]{6}|[1-9][0-9]{6,})(?:-([a-z]))?\.jsonl")


class AnswerJournal:
    """The newest answers below `folder`. Raises OSError when the folder cannot be used at all.

    A place is one number: file number, whether the file is the other slot's, offset and length.
    """

    def __init__(
        self, folder: Path, *, slot: str = "", remember: int = 10_000, segment_bytes: int = 16_000_000
    ) -> None:
        self._folder = folder
        self._slot = slot
        self._remember = remember
        self._segment_bytes = segment_bytes
        self._where: OrderedDict[bytes, int] = OrderedDict()
        self._read_fds: dict[int, int] = {}
        self._read_to: dict[int, int] = {}  # of the other slot's files: how far they are indexed
        self.failed_writes = 0
        folder.mkdir(parents=True, exist_ok=True)
        own, others = self._files()
        for file in own[:-2]:
            self._path(file).unlink()
        for file in self._oldest_first(own[-2:], others):
            self._load(file)
        self._open(own[-1] if own else 2)

    def __len__(self) -> int:
        return len(self._where)

    def ids(self) -> Iterator[str]:
        """Ids of the answered requests, oldest first."""
        return (key.hex() for key in self._where)

    def write(self, request_id: str, stored: Stored) -> bool:
        """Append one answer; False when the disk refuses (the answer goes out all the same, and this is counted)."""
        line = _encoder.encode(
            _Line(
                id=request_id,
                to=stored.topic,
                reply=stored.response_topic,
                correlation=base64.b64encode(stored.correlation).decode("ascii") if stored.correlation else None,
                result=msgspec.Raw(stored.payload),
            )
        )
        line += b"\n"
        try:
            if self._size + len(line) > self._segment_bytes or self._lines >= self._remember:
                self._rotate()
            self._append(line)
        except OSError as error:
            self.failed_writes += 1
            _log.warning("The answer journal %s cannot be written: %s", self._folder, error)
            return False
        self._index(request_id, self._file, self._size, len(line))
        self._size += len(line)
        self._lines += 1
        return True

    def refresh(self) -> None:
        """Index what the other slot's server has written since the last look."""
        _, others = self._files()
        for gone in self._read_to.keys() - set(others):
            self._forget_file(gone)
        for file in others:
            self._load(file)

    def find(self, request_id: str) -> Stored | None:
        """The stored answer, or None when it is not remembered (any more)."""
        key = _key(request_id)
        if key not in self._where:
            self.refresh()
        place = self._where.get(key)
        if place is None:
            return None
        length = place & (1 << _LENGTH_BITS) - 1
        offset = place >> _LENGTH_BITS & (1 << _OFFSET_BITS) - 1
        try:
            line = _decoder.decode(os.pread(self._reader(place >> _NUMBER_BITS), length, offset))
        except FileNotFoundError:  # the file was removed for newer ones
            del self._where[key]
            return None
        except (OSError, msgspec.DecodeError) as error:
            _log.warning("The answer to %s cannot be read back: %s", request_id, error)
            return None
        return Stored(
            topic=line.to,
            payload=bytes(line.result),
            response_topic=line.reply,
            correlation=base64.b64decode(line.correlation) if line.correlation else None,
        )

    def close(self) -> None:
        """Close the files."""
        os.close(self._fd)
        for fd in self._read_fds.values():
            os.close(fd)
        self._read_fds.clear()

    def _files(self) -> tuple[list[int], list[int]]:
        """Own files and the other slot's, each oldest first, as numbers whose last bit says whose they are."""
        own: list[int] = []
        others: list[int] = []
        for path in self._folder.iterdir():  # a copy by hand is nobody's business
            match = _FILE.fullmatch(path.name)
            if match is not None:
                mine = (match[2] or "") == self._slot
                (own if mine else others).append(int(match[1]) << 1 | (not mine))
        return sorted(own), sorted(others)

    def _oldest_first(self, own: list[int], others: list[int]) -> list[int]:
        """Whose newest file was written last goes last. By numbers within a slot, for the clock may have stepped."""
        if not own or not others:
            return own + others
        own_is_newer = self._path(own[-1]).stat().st_mtime_ns >= self._path(others[-1]).stat().st_mtime_ns
        return others + own if own_is_newer else own + others

    def _path(self, file: int) -> Path:
        slot = self._slot if not file & 1 else OTHER_SLOT[self._slot]
        return self._folder / f"answers-{file >> 1:06}{f'-{slot}' if slot else ''}.jsonl"

    def _open(self, file: int) -> None:
        fd = os.open(self._path(file), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._fd = fd
        self._file = file
        self._size = os.fstat(fd).st_size
        self._lines = sum(1 for place in self._where.values() if place >> _NUMBER_BITS == file)

    def _append(self, line: bytes) -> None:
        if os.write(self._fd, line) != len(line):
            os.ftruncate(self._fd, self._size)  # half a line would spoil the next one
            raise OSError("no space for a whole line")

    def _rotate(self) -> None:
        old = self._fd
        self._open(self._file + 2)
        os.close(old)
        gone = self._file - 4
        self._forget_file(gone)
        if gone > 0:
            self._path(gone).unlink(missing_ok=True)

    def _forget_file(self, file: int) -> None:
        """The file is gone, or goes now. Of its answers, those behind others' are dropped when they are asked for."""
        self._read_to.pop(file, None)
        reader = self._read_fds.pop(file, None)
        if reader is not None:
            os.close(reader)
        while self._where and next(iter(self._where.values())) >> _NUMBER_BITS == file:
            self._where.popitem(last=False)

    def _load(self, file: int) -> None:
        """Index one file, the other slot's from where the last look ended. A line that is no answer is skipped.

        An own file's torn tail is cut off; the other's may be a line that is being written at this moment.
        """
        path = self._path(file)
        offset = self._read_to.get(file, 0)
        try:
            size = path.stat().st_size
            if offset < size:
                offset = self._load_from(path, file, offset)
        except FileNotFoundError:  # the other slot's server has just removed it
            return
        if file & 1:
            self._read_to[file] = offset
        elif offset < size:
            os.truncate(path, offset)

    def _load_from(self, path: Path, file: int, offset: int) -> int:
        with path.open("rb") as stream:
            stream.seek(offset)
            for line in stream:
                if not line.endswith(b"\n"):
                    break
                try:
                    self._index(_decoder.decode(line).id, file, offset, len(line))
                except (msgspec.DecodeError, ValueError):
                    _log.warning("%s: a line at byte %d is no answer; skipped.", path, offset)
                offset += len(line)
        return offset

    def _index(self, request_id: str, file: int, offset: int, length: int) -> None:
        key = _key(request_id)
        self._where[key] = file << _NUMBER_BITS | offset << _LENGTH_BITS | length
        self._where.move_to_end(key)
        if len(self._where) > self._remember:
            self._where.popitem(last=False)

    def _reader(self, file: int) -> int:
        fd = self._read_fds.get(file)
        if fd is None:
            fd = self._read_fds[file] = os.open(self._path(file), os.O_RDONLY)
        return fd


def _key(request_id: str) -> bytes:
    return bytes.fromhex(request_id)
