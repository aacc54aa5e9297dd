"""The bucket of frames: JetStream's object store, each content once, an object's name is its SHA-256."""

import asyncio
import hashlib
import json
from typing import TYPE_CHECKING

from roost_broker.centre.access import NatsUnreachable
from roost_broker.centre.lanes import FRAMES_BUCKET
from roost_broker.centre.streams import FRAMES_META, FRAMES_STREAM
from roost_broker.errors import FrameUnavailable, Malformed

if TYPE_CHECKING:
    from nats.aio.client import Client

MAX_FRAME_BYTES = 32_000_000
_PATIENCE_S = 60.0
_DIGITS = frozenset("0123456789abcdef")


class FrameBucket:
    """Reads the bucket of a connection."""

    def __init__(self, client: "Client") -> None:
        self._client = client

    async def next(self, after: int) -> tuple[int, bytes] | None:
        """The first message about an object behind this number of the stream: its number and content.

        Not through a consumer: when an object is announced, NATS 2.9 moves waiting consumers beyond all that they
        have not been given yet. Raises `NatsUnreachable`.
        """
        from nats.errors import Error
        from nats.js.errors import NotFoundError

        js = self._client.jetstream(timeout=5)
        try:
            last = (await js.stream_info(FRAMES_STREAM)).state.last_seq
            start = after + 1 if after <= last else 1  # behind its end: it is another stream than it was
            found = await js.get_msg(FRAMES_STREAM, seq=start, subject=FRAMES_META, next=True)
        except NotFoundError:
            return None
        except (Error, TimeoutError, OSError) as error:
            raise NatsUnreachable(f"The bucket of frames does not answer: {error or 'no answer in time'}.") from error
        return found.seq or 0, found.data or b""

    async def get(self, sha256: str) -> bytes:
        """A frame, verified. Raises `FrameUnavailable` (missing, altered), `NatsUnreachable`."""
        from nats.errors import Error
        from nats.js.errors import Error as StreamError
        from nats.js.errors import NotFoundError

        try:
            # The library waits for ever for pieces that are gone.
            async with asyncio.timeout(_PATIENCE_S):
                bucket = await self._client.jetstream(timeout=10).object_store(FRAMES_BUCKET)
                data = (await bucket.get(sha256)).data or b""
        except NotFoundError as error:
            raise FrameUnavailable("missing", f"Frame {sha256[:12]}… is not in the bucket.") from error
        except StreamError as error:
            raise FrameUnavailable("altered", f"Frame {sha256[:12]}… cannot be read: {error}.") from error
        except (Error, TimeoutError, OSError) as error:
            raise NatsUnreachable(f"Frame {sha256[:12]}… did not come: {error or 'no answer in time'}.") from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise FrameUnavailable("altered", f"Frame {sha256[:12]}… does not have the content it is named for.")
        return data


def announced(payload: bytes) -> str | None:
    """The frame that a message about an object tells of; None when it was deleted. Raises `Malformed`."""
    try:
        about = json.loads(payload)
        name, size, deleted = about["name"], about.get("size", 0), about.get("deleted", False)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Malformed(f"Not about an object: {error}.") from error
    if deleted:
        return None
    if not isinstance(name, str) or len(name) != 64 or not _DIGITS.issuperset(name):
        raise Malformed("The object is not named by a SHA-256.")
    if not isinstance(size, int) or not 0 < size <= MAX_FRAME_BYTES:
        raise Malformed(f"A frame of {size!r} bytes; from 1 to {MAX_FRAME_BYTES} are taken.")
    return name
