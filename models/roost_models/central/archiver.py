"""From the central streams to the archive. Shell: the connection, one thread for the disk, timers.

Rules:

1. A message is acknowledged after it is on the disk, never before. What is delivered again is recognised.
2. What no gateway can have sent is kept aside with the reason (`refused`, bounded) and not delivered again.
3. A disk that is full stops the reading, not the archiver: the streams keep what comes, then the gateways do.
4. Frames are fetched when the bucket tells of them, verified, and stored by content; one that cannot be read now
   comes again, one that is not what it is named for is refused.
5. From a stream that is getting full is taken out what is archived (`trim_above`), nothing else.
"""

import asyncio
import fcntl
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar

import msgspec

from roost_broker.cancellation import cancel_and_wait, within
from roost_broker.centre import applying, credible
from roost_broker.centre.access import NatsUnreachable
from roost_broker.centre.envelope import Envelope
from roost_broker.centre.frames import FrameBucket, announced
from roost_broker.centre.lanes import LANES, Lane
from roost_broker.centre.pulling import Pulled, Puller
from roost_broker.centre.streams import ARCHIVE, FRAMES_STREAM
from roost_broker.clock import Clock, SystemClock
from roost_broker.durable import write_durably
from roost_broker.errors import FrameUnavailable, Malformed, Misuse
from roost_broker.frames import FrameStore
from roost_broker.worker import Worker
from roost_models.central import compaction
from roost_models.central.settings import ArchiverSettings
from roost_models.central.staging import ArchiveFull, Refusal, Staging

if TYPE_CHECKING:
    from nats.aio.client import Client

LOCK = "archive.lock"
FRAMES = "frames"
_LOOK_S = 1.0
_COMPACT_S = 60.0
_TRIM_S = 60.0
_RETRY_S = 5.0
T = TypeVar("T")


class ArchiverStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What an archiver has done since it began."""

    stored: int
    duplicate: int
    refused: int
    frames: int
    frames_refused: int
    files: int
    trimmed: int
    full: bool
    """The disk takes no more at this moment."""


class Archiver:
    """Reads every lane and the frames of a connection into the archive below `root`, until stopped.

    `stored` is called after each commit with the messages that were new, and after each frame; `say` with sentences
    for an operator. Raises `Misuse` when another one writes this archive.
    """

    def __init__(
        self,
        client: "Client",
        root: Path,
        settings: ArchiverSettings | None = None,
        *,
        base: str = "roost",
        trim_above: float = 1.0,
        clock: Clock | None = None,
        stored: Callable[[int], None] | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._client = client
        self._settings = settings or ArchiverSettings()
        self._base = base
        self._trim_above = trim_above
        self._clock = clock or SystemClock()
        self._stored = stored
        self._say = say or (lambda _: None)
        self.counts: Counter[str] = Counter()
        self._full = False
        self._frames_read = 0
        self._lock = _locked(root)
        try:
            for path in compaction.unfinished(root):
                path.unlink(missing_ok=True)
            self._staging = Staging(root, base=base)
        except BaseException:
            self._lock.close()
            raise
        self._frames = FrameStore(root / FRAMES)
        self._bucket = FrameBucket(client)
        self._disk = Worker("archive")

    @property
    def status(self) -> ArchiverStatus:
        """What was done so far."""
        staged = self._staging.counts
        return ArchiverStatus(
            stored=staged["stored"],
            duplicate=staged["duplicate"],
            refused=staged["refused"],
            frames=self.counts["frames"],
            frames_refused=self.counts["frames-refused"],
            files=self.counts["files"],
            trimmed=self.counts["trimmed"],
            full=self._full,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Archive until `stop`. What is in hand is finished; the rest waits in the streams."""
        work = [
            *(self._lane(lane, stop) for lane in LANES.values()),
            self._all_frames(stop),
            self._compact_now_and_then(stop),
            self._trim_now_and_then(stop),
        ]
        tasks = [asyncio.ensure_future(one) for one in work]
        try:
            await asyncio.gather(*tasks)
        finally:
            await cancel_and_wait(*tasks)
            await self._disk.call(self._staging.close)
            self._disk.stop()
            self._lock.close()

    async def compact(self) -> int:
        """Write what belongs to closed days now; how many files were written."""
        written = 0
        while True:
            now_ms = self._clock.wall_ns() // 1_000_000
            files = await self._disk.call(
                compaction.compact,
                self._staging,
                now_ms,
                close_after_ms=self._settings.close_after_ms,
                rows=self._settings.file_rows,
                limit=1,  # one at a time, so that what arrives meanwhile gets its turn
            )
            if not files:
                return written
            written += len(files)
            self.counts["files"] += len(files)
            for one in files:
                self._say(f"Written: {one.path}, {one.rows} messages, {one.bytes} bytes.")

    async def _lane(self, lane: Lane, stop: asyncio.Event) -> None:
        async with Puller(self._client, lane.stream, ARCHIVE, batch=self._settings.batch) as puller:
            while not stop.is_set():
                messages = await _unless(stop, puller.next(_LOOK_S))
                if messages and await self._keep(lane, messages, stop):
                    await puller.acknowledge(messages)
            await self._confirmed()

    async def _keep(self, lane: Lane, messages: Sequence[Pulled], stop: asyncio.Event) -> bool:
        """Have these on the disk; False when it was stopped before there was room."""
        rows: list[Envelope] = []
        refused: list[Refusal] = []
        for one in messages:
            try:
                envelope = credible.read(one.subject, one.headers, one.payload, one.stored_ms, base=self._base)
            except Malformed as error:
                refused.append(
                    Refusal(lane.stream, one.stream_seq, error.problem, one.stored_ms, one.headers, one.payload)
                )
            else:
                rows.append(envelope)
        while True:
            try:
                new = await self._disk.call(self._staging.put, rows, refused)
            except ArchiveFull as error:
                self._tell_full(error)
                if await _stopped_within(stop, _RETRY_S):
                    return False
            else:
                self._full = False
                if self._stored is not None:
                    self._stored(new)
                return True

    async def _all_frames(self, stop: asyncio.Event) -> None:
        seq = self._frames_read = await self._disk.call(self._staging.cursor, FRAMES_STREAM)
        while not stop.is_set():
            try:
                found = await self._bucket.next(seq)
                if found is None:
                    await _stopped_within(stop, _LOOK_S)
                    continue
                await self._frame(found[1])
                await self._disk.call(self._staging.read_to, FRAMES_STREAM, found[0])
                seq = self._frames_read = found[0]
            except NatsUnreachable:
                self.counts["frames-later"] += 1
                await _stopped_within(stop, _LOOK_S)
            except (ArchiveFull, OSError) as error:
                self._tell_full(error)
                await _stopped_within(stop, _RETRY_S)

    async def _frame(self, about: bytes) -> None:
        """Have the frame that was announced on the disk; one that will never be right is refused."""
        try:
            sha256 = announced(about)
            if sha256 is None or self._frames.path(sha256).is_file():
                return
            data = await self._bucket.get(sha256)
        except (Malformed, FrameUnavailable) as error:
            self.counts["frames-refused"] += 1
            self._say(f"A frame was refused: {error.problem}")
            return
        await self._disk.call(write_durably, self._frames.path(sha256), data)
        self.counts["frames"] += 1
        if self._stored is not None:
            self._stored(0)

    async def _compact_now_and_then(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self.compact()
            except (ArchiveFull, OSError) as error:
                self._tell_full(error)
            await _stopped_within(stop, _COMPACT_S)

    async def _trim_now_and_then(self, stop: asyncio.Event) -> None:
        streams = [*(lane.stream for lane in LANES.values()), FRAMES_STREAM]
        while not await _stopped_within(stop, _TRIM_S):
            try:
                trimmed = await applying.trim(
                    self._client,
                    streams,
                    consumer=ARCHIVE,
                    above=self._trim_above,
                    floors={FRAMES_STREAM: self._frames_read},
                )
            except NatsUnreachable:
                continue
            for stream, count in trimmed.items():
                self.counts["trimmed"] += count
                self._say(f"The stream {stream} is getting full: {count} archived messages were taken out.")

    def _tell_full(self, error: Exception) -> None:
        if not self._full:
            self._say(str(error))
        self._full = True

    async def _confirmed(self) -> None:
        """Acknowledgements leave before the connection does."""
        if self._client.is_connected:
            try:
                await self._client.flush(timeout=2)
            except Exception:  # noqa: BLE001  # what was not acknowledged comes again and is recognised
                self.counts["unflushed"] += 1


def _locked(root: Path) -> IO[str]:
    root.mkdir(parents=True, exist_ok=True)
    lock = (root / LOCK).open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise Misuse(
            f"Another process writes the archive in {root}.", "Stop the other `roost centre up`, or use --centre DIR."
        ) from error
    return lock


async def _stopped_within(stop: asyncio.Event, seconds: float) -> bool:
    try:
        await within(stop.wait(), seconds)
    except TimeoutError:
        return False
    return True


async def _unless(stop: asyncio.Event, work: Coroutine[object, object, T]) -> T | None:
    """What `work` gives, or None when it was stopped meanwhile."""
    doing = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({doing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return doing.result() if doing.done() else None
    finally:
        stopping.cancel()
        if not doing.done():
            doing.cancel()
