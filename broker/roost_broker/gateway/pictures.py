"""Pictures of mirrored inputs and alerts, as objects of the centre's bucket `frames`, named by their SHA-256.

* Lowest priority: while a message that may travel waits, no piece of a picture leaves.
* Each content once: what was sent is remembered, what the bucket has already is not sent again.
* Verified: the file must have the content it is named for, and the bucket's record of it must say the same.
* A picture that is gone (a budget took it, another device's), or that tells more than the picture (EXIF), is counted
  and forgotten.

The format is that of NATS' object stores, readable by every client. Pieces carry a name made of the picture's and the
outbox's: a transfer that was cut off is cleared away by its repetition, and two gateways do not mix theirs.
"""

import asyncio
import base64
import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from roost_broker.centre.lanes import FRAMES_BUCKET
from roost_broker.clock import SECOND, Clock
from roost_broker.frames import FrameStore
from roost_broker.gateway.budget import TokenBucket, frame_may_go
from roost_broker.gateway.settings import GatewaySettings
from roost_broker.private_data import may_leave
from roost_broker.worker import Worker

if TYPE_CHECKING:
    from nats.js.client import JetStreamContext

    from roost_broker.gateway.link import CentreLink
    from roost_broker.gateway.outbox import Outbox

_log = logging.getLogger(__name__)
_LOOK_S = 1.0
_PAUSE_S = 5.0
_STREAM = f"OBJ_{FRAMES_BUCKET}"


class Pictures:
    """See the module. `outbox` is used through `disk`, its one thread; `idle` says whether pictures may travel."""

    def __init__(
        self,
        link: "CentreLink",
        outbox: "Outbox",
        disk: Worker,
        stores: Sequence[FrameStore],
        settings: GatewaySettings,
        bucket: TokenBucket,
        *,
        clock: Clock,
        counts: Counter[str],
        idle: Callable[[], bool],
    ) -> None:
        self._link = link
        self._outbox = outbox
        self._disk = disk
        self._stores = tuple(stores)
        self._settings = settings
        self._bucket = bucket
        self._clock = clock
        self._counts = counts
        self._idle = idle
        self._kick = asyncio.Event()

    def look(self) -> None:
        """Something changed: there may be work."""
        self._kick.set()

    async def run(self) -> None:
        """Send what may be sent, until cancelled."""
        while True:
            self._kick.clear()
            try:
                worked = await self._one()
            except Exception as error:  # noqa: BLE001 - the bucket's trouble of any kind must not stop the messages
                self._counts["frames-failed"] += 1
                _log.info("A picture could not be sent now: %s.", str(error) or type(error).__name__)
                await asyncio.sleep(_PAUSE_S)
                continue
            if not worked:
                await self._rest()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(_LOOK_S):
                await self._kick.wait()
        except TimeoutError:
            return

    async def _one(self) -> bool:
        """Deal with the picture whose turn it is; False when there is nothing to do now."""
        streams = self._link.jetstream
        if streams is None or not self._outbox.pictures.count or not self._idle():
            return False
        every, alarmed_only = self._may_go(alarmed=False), self._may_go(alarmed=True)
        if not every and not alarmed_only:
            return False
        found = await self._disk.call(self._outbox.pictures.next, alarmed_only=not every)
        if found is None:
            return False
        name, size, _ = found
        data = await asyncio.to_thread(self._read, name, size)
        if data is None:
            self._counts["frames-missing"] += 1
            await self._disk.call(self._outbox.pictures.done, name, uploaded=False)
            return True
        if not may_leave(data):  # stored by somebody who did not clean it: it tells more than the picture
            self._counts["frames-private"] += 1
            await self._disk.call(self._outbox.pictures.done, name, uploaded=False)
            return True
        if await _is_there(streams, name, len(data)):
            self._counts["frames-known"] += 1
        else:
            await self._send(streams, name, data)
            self._counts["frames-sent"] += 1
            self._counts["frame-bytes"] += len(data)
        await self._disk.call(self._outbox.pictures.done, name, uploaded=True)
        return True

    def _may_go(self, *, alarmed: bool) -> bool:
        local = time.localtime(self._clock.wall_ns() // SECOND)
        minute = local.tm_hour * 60 + local.tm_min
        return frame_may_go(self._settings.frames, alarmed=alarmed, metered=self._settings.metered, minute=minute)

    def _read(self, name: str, size: int) -> bytes | None:
        """The picture from the first store that has it whole; None when none has."""
        for store in self._stores:
            try:
                data = store.bytes_of(name)
            except OSError:
                continue
            if len(data) >= size and sha256(data).hexdigest() == name:
                return data
        return None

    async def _send(self, streams: "JetStreamContext", name: str, data: bytes) -> None:
        """Put a picture into the bucket, piece by piece."""
        own = f"{name[:24]}{self._outbox.name[:8]}"
        pieces = f"$O.{FRAMES_BUCKET}.C.{own}"
        step = self._settings.frames.chunk_bytes
        count = 0
        for begin in range(0, len(data), step):
            piece = data[begin : begin + step]
            await self._turn(len(piece))
            # The first takes out what an earlier try left behind.
            headers = None if begin else {"Nats-Rollup": "sub"}
            await streams.publish(pieces, piece, stream=_STREAM, headers=headers)
            count += 1
        record = {
            "name": name,
            "bucket": FRAMES_BUCKET,
            "nuid": own,
            "size": len(data),
            "chunks": count,
            "digest": _digest(name),
            "mtime": datetime.now(UTC).isoformat(),
            "options": {"max_chunk_size": step},
        }
        subject = _record_subject(name)
        await streams.publish(subject, json.dumps(record).encode(), stream=_STREAM, headers={"Nats-Rollup": "sub"})

    async def _turn(self, size: int) -> None:
        """Wait until a piece of this size may leave: no message waits, and the budget has room."""
        while not self._idle():
            await self._rest()
            self._kick.clear()
        while not self._bucket.take(size, now := self._clock.monotonic_ns()):  # noqa: ASYNC110 - it is time that passes
            await asyncio.sleep(max(1, self._bucket.ready_at(size, now) - now) / SECOND)


async def _is_there(streams: "JetStreamContext", name: str, size: int) -> bool:
    """Whether the bucket holds this very content."""
    from nats.js.errors import NotFoundError

    try:
        found = await streams.get_last_msg(_STREAM, _record_subject(name))
    except NotFoundError:
        return False
    try:
        record = json.loads(found.data or b"")
    except ValueError:
        return False
    good = isinstance(record, dict) and record.get("size") == size and record.get("digest") == _digest(name)
    return good and not record.get("deleted", False)


def _record_subject(name: str) -> str:
    return f"$O.{FRAMES_BUCKET}.M.{base64.urlsafe_b64encode(name.encode()).decode()}"


def _digest(name: str) -> str:
    return f"SHA-256={base64.urlsafe_b64encode(bytes.fromhex(name)).decode()}"
