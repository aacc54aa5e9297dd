"""Reading bodies: bounded in size, in time, and all together in memory."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from types import TracebackType

from aiohttp import StreamReader, web

from roost_rendezvous.proxy.refused import Refused
from roost_rendezvous.proxy.settings import ProxySettings


class Memory:
    """Bytes of bodies that may be in memory at a time."""

    def __init__(self, most: int) -> None:
        self._free = most

    def take(self, count: int) -> bool:
        """Whether there was room for so many more."""
        if count > self._free:
            return False
        self._free -= count
        return True

    def give_back(self, count: int) -> None:
        """They are gone."""
        self._free += count


class Body:
    """`async with Body(…) as body`: the whole body; its memory is given back at the end of the block."""

    def __init__(self, request: web.Request, settings: ProxySettings, memory: Memory) -> None:
        self._request = request
        self._settings = settings
        self._memory = memory
        self._taken = 0

    async def __aenter__(self) -> bytes:
        check_encoding(self._request)
        try:
            async with asyncio.timeout(self._settings.body_timeout_ms / 1000):
                return await self._read()
        except TimeoutError:
            self._memory.give_back(self._taken)
            raise Refused(
                408, f"The body did not arrive within {self._settings.body_timeout_ms} ms.", "Send it faster."
            ) from None
        except BaseException:
            self._memory.give_back(self._taken)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._memory.give_back(self._taken)

    async def _read(self) -> bytes:
        most = self._settings.max_body_bytes
        announced = self._request.content_length
        if announced is not None and announced > most:
            raise too_large(announced, most)
        data = bytearray()
        async for chunk in self._request.content.iter_any():
            if len(data) + len(chunk) > most:
                raise too_large(len(data) + len(chunk), most)
            if not self._memory.take(len(chunk)):
                raise crowded()
            self._taken += len(chunk)
            data += chunk
        return bytes(data)


async def lines(
    content: StreamReader, settings: ProxySettings, memory: Memory, room: Callable[[int], Awaitable[None]]
) -> AsyncGenerator[bytes, None]:
    """The lines of a body as they come, without their ends; empty ones are left out.

    What has come of a line is taken from `memory` by `room`, which may wait, and given back when the line is whole.
    Raises `Refused`: 413 for a line too long, 408 when nothing comes for `stream_idle_ms`.
    """
    kept = bytearray()
    try:
        while True:
            try:
                async with asyncio.timeout(settings.stream_idle_ms / 1000):
                    chunk = await content.readany()
            except TimeoutError:
                raise Refused(
                    408, f"The stream said nothing for {settings.stream_idle_ms} ms.", "Begin a new one."
                ) from None
            ended = not chunk and content.at_eof()
            *whole, rest = (b"\n" if ended else chunk).split(b"\n")
            for part in whole:
                line = bytes(kept + part).strip()
                memory.give_back(len(kept))
                kept.clear()
                if len(line) > settings.max_body_bytes:
                    raise too_large(len(line), settings.max_body_bytes)
                if line:
                    yield line
            if ended:
                return
            if len(kept) + len(rest) > settings.max_body_bytes:
                raise too_large(len(kept) + len(rest), settings.max_body_bytes)
            await room(len(rest))
            kept += rest
    finally:
        memory.give_back(len(kept))


def check_encoding(request: web.Request) -> None:
    """Compressed bodies are not unpacked in here. Raises `Refused`."""
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding != "identity":
        raise Refused(415, f"A body in {encoding[:50]!r} is not unpacked.", "Send it as it is.")


def too_large(size: int, most: int) -> Refused:
    """413."""
    return Refused(413, f"{size} bytes are over the limit of {most}.", "Send a smaller picture.")


def crowded() -> Refused:
    """429, for want of memory."""
    return Refused(429, "The bodies of other requests fill the memory.", "Ask again in a second.")
