"""Sends an errand by a child process (`sending`), and hears of each address as soon as it was told."""

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import AsyncGenerator

import msgspec

from roost_broker.errors import FrameUnavailable, PeerError
from roost_broker.frames import FrameStore
from roost_broker.messages import FrameRef
from roost_edge.alerts.thumbnail import thumbnail
from roost_edge.notify.addresses import Address
from roost_edge.notify.sending import Errand

_log = logging.getLogger(__name__)


async def carried(errand: Errand, timeout_s: float) -> AsyncGenerator[tuple[str, str], None]:
    """Key of an address, and what came of it. One that hangs is ended after `timeout_s`; the rest is not told."""
    command = (sys.executable, "-P", "-m", "roost_edge.notify.sending", "--die-with", str(os.getpid()))
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdin is not None  # noqa: S101 -- narrows the type: both are pipes
    assert process.stdout is not None  # noqa: S101 -- likewise
    try:
        async with asyncio.timeout(timeout_s):
            process.stdin.write(msgspec.json.encode(errand))
            with contextlib.suppress(ConnectionError):  # it has ended: then there is no line either
                await process.stdin.drain()
                process.stdin.close()
            while line := await process.stdout.readline():
                key, _, how = line.decode("ascii", "replace").strip().partition(" ")
                yield key, how
    except TimeoutError:
        _log.warning("a service has not answered for %g s", timeout_s)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await process.wait()


async def usable(addresses: tuple[Address, ...], timeout_s: float) -> tuple[Address, ...]:
    """Those that apprise understands; the others are named in the log by their line."""
    found = {key: how async for key, how in carried(Errand(addresses=addresses), timeout_s)}
    for address in addresses:
        if found.get(address.key) == "unknown":
            _log.error("apprise does not understand the address on %r", address)
    return tuple(address for address in addresses if found.get(address.key) == "sent")


def picture(frames: FrameStore, frame: FrameRef | None, *, width: int, max_bytes: int) -> tuple[bytes, str]:
    """The picture to attach, made anew (so nothing private is in its file); or none, and why."""
    if frame is None:
        return b"", ""
    try:
        return thumbnail(frames.read(frame), width=width, max_bytes=max_bytes), ""
    except FrameUnavailable as error:
        return b"", f"picture-{error.reason}"
    except (PeerError, OSError):
        return b"", "picture-failed"
