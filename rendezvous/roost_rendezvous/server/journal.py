"""Answers on disk, each written before it is published.

A rendezvous that is killed between the two finds here what it had decided; a request that is repeated gets the very
same bytes again, so nobody is ever told two things about one request. JSON lines, one file after the other:

    {"id":"<request id>","to":"<topic>","reply":"<response topic>","correlation":"<base64>","result":{…}}

Written without fsync: a killed process loses nothing, a power cut may lose the last moments (the request is then
answered anew, which is all one can do). A torn last line is cut off. Not kept for ever: two files, and at most
`remember` answers.
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
_FILE = re.compile(r"answers-([0-9]{6}|[1-9][0-9]{6,})\.jsonl")


class AnswerJournal:
    """The newest answers below `folder`. Raises OSError when the folder cannot be used at all."""

    def __init__(self, folder: Path, *, remember: int = 10_000, segment_bytes: int = 16_000_000) -> None:
        self._folder = folder
        self._remember = remember
        self._segment_bytes = segment_bytes
        self._where: OrderedDict[bytes, int] = OrderedDict()
        self._read_fds: dict[int, int] = {}
        self.failed_writes = 0
        folder.mkdir(parents=True, exist_ok=True)
        found = (_FILE.fullmatch(path.name) for path in folder.iterdir())  # a copy by hand is nobody's business
        numbers = sorted(int(match[1]) for match in found if match is not None)
        for number in numbers[:-2]:
            self._path(number).unlink()
        for number in numbers[-2:]:
            self._load(number)
        self._open(numbers[-1] if numbers else 1)

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
        self._index(request_id, self._number, self._size, len(line))
        self._size += len(line)
        self._lines += 1
        return True

    def find(self, request_id: str) -> Stored | None:
        """The stored answer, or None when it is not remembered (any more)."""
        place = self._where.get(_key(request_id))
        if place is None:
            return None
        length = place & (1 << _LENGTH_BITS) - 1
        offset = place >> _LENGTH_BITS & (1 << _OFFSET_BITS) - 1
        try:
            line = _decoder.decode(os.pread(self._reader(place >> _LENGTH_BITS + _OFFSET_BITS), length, offset))
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

    def _path(self, number: int) -> Path:
        return self._folder / f"answers-{number:06}.jsonl"

    def _open(self, number: int) -> None:
        fd = os.open(self._path(number), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._fd = fd
        self._number = number
        self._size = os.fstat(fd).st_size
        self._lines = sum(1 for place in self._where.values() if place >> _LENGTH_BITS + _OFFSET_BITS == number)

    def _append(self, line: bytes) -> None:
        if os.write(self._fd, line) != len(line):
            os.ftruncate(self._fd, self._size)  # half a line would spoil the next one
            raise OSError("no space for a whole line")

    def _rotate(self) -> None:
        old = self._fd
        self._open(self._number + 1)
        os.close(old)
        gone = self._number - 2
        reader = self._read_fds.pop(gone, None)
        if reader is not None:
            os.close(reader)
        while self._where and next(iter(self._where.values())) >> _LENGTH_BITS + _OFFSET_BITS <= gone:
            self._where.popitem(last=False)
        self._path(gone).unlink(missing_ok=True)

    def _load(self, number: int) -> None:
        """Index one file. A torn tail is cut off; a line that is no answer is skipped."""
        path = self._path(number)
        offset = 0
        with path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                try:
                    self._index(_decoder.decode(line).id, number, offset, len(line))
                except (msgspec.DecodeError, ValueError):
                    _log.warning("%s: a line at byte %d is no answer; skipped.", path, offset)
                offset += len(line)
        if offset < path.stat().st_size:
            os.truncate(path, offset)

    def _index(self, request_id: str, number: int, offset: int, length: int) -> None:
        key = _key(request_id)
        self._where[key] = number << _LENGTH_BITS + _OFFSET_BITS | offset << _LENGTH_BITS | length
        self._where.move_to_end(key)
        if len(self._where) > self._remember:
            self._where.popitem(last=False)

    def _reader(self, number: int) -> int:
        fd = self._read_fds.get(number)
        if fd is None:
            fd = self._read_fds[number] = os.open(self._path(number), os.O_RDONLY)
        return fd


def _key(request_id: str) -> bytes:
    return bytes.fromhex(request_id)
