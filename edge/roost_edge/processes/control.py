"""The supervisor's ear: a Unix socket in the data folder, for its user alone. One JSON line in, one JSON line out.

{"do": "roles"}                                           → {"ok": true, "roles": [{"name", "pid", "state"}, …]}
{"do": "start", "role": "rendezvous-nest-b", "python": …} → {"ok": true}
{"do": "remove", "role": "rendezvous-nest"}               → {"ok": true}, when its process has ended
anything else                                             → {"ok": false, "problem": …, "remedy": …, "misuse": …}
"""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from roost_broker.errors import Misuse, PeerError, RoostError

Answer: TypeAlias = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]

_LONGEST_LINE = 64_000
_PATIENCE_S = 5.0
_KEPT: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
"""Since Python 3.13 a server that ends removes its socket's file, whoever made that."""


class Control:
    """Listens until `close`. Another supervisor of the same folder keeps its socket; then there is none here."""

    def __init__(self, path: Path, answer: Answer) -> None:
        self._path = path
        self._answer = answer
        self._server: asyncio.Server | None = None
        self._stack = contextlib.ExitStack()
        self._given = False

    async def open(self, given: socket.socket | None = None) -> bool:
        """Whether this supervisor listens now. Raises OSError when the folder cannot be used.

        `given` listens already, for whoever keeps it when this one is gone (a socket unit of systemd).
        """
        if given is not None:
            self._server = await asyncio.start_unix_server(self._serve, sock=given, limit=_LONGEST_LINE, **_KEPT)
            self._given = True
            return True
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if await _is_served(self._path):
            return False
        self._path.unlink(missing_ok=True)
        address = self._stack.enter_context(_short(self._path))
        listener = socket.socket(socket.AF_UNIX)
        try:
            listener.bind(address)
            self._path.chmod(0o600)  # before listen(): until then nobody can connect
            self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=_LONGEST_LINE)
        except BaseException:
            listener.close()
            self._stack.close()
            raise
        return True

    async def close(self) -> None:
        """Listen no more. Harmless when repeated."""
        if self._server is not None:
            server, self._server = self._server, None
            server.close()
            if not self._given:
                self._path.unlink(missing_ok=True)
            self._stack.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                line = await reader.readline()
            writer.write(msgspec.json.encode(await self._reply(line)) + b"\n")
            async with asyncio.timeout(_PATIENCE_S):
                await writer.drain()
        except (OSError, TimeoutError, ValueError):
            pass  # a caller that hangs, hangs up, or never ends its line has had its chance
        finally:
            writer.close()

    async def _reply(self, line: bytes) -> dict[str, Any]:
        try:
            request = msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return {"ok": False, "problem": "That is no JSON object.", "remedy": ""}
        try:
            return {"ok": True, **await self._answer(request)}
        except RoostError as error:
            misuse = isinstance(error, Misuse)
            return {"ok": False, "problem": error.problem, "remedy": error.remedy, "misuse": misuse}
        except OSError as error:
            return {"ok": False, "problem": str(error), "remedy": ""}


async def ask(path: Path, request: dict[str, Any], *, timeout_s: float) -> dict[str, Any] | None:
    """The supervisor's answer; None when no supervisor listens.

    Raises `Misuse` for what it says cannot be, and `PeerError` when it refuses otherwise or says nothing.
    """
    try:
        with _short(path) as address:
            reader, writer = await asyncio.open_unix_connection(address, limit=_LONGEST_LINE)
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    try:
        writer.write(msgspec.json.encode(request) + b"\n")
        async with asyncio.timeout(timeout_s):
            line = await reader.readline()
        reply = msgspec.json.decode(line, type=dict[str, Any])
    except (OSError, TimeoutError, ValueError) as error:
        raise PeerError("The supervisor did not answer.", "See what `roost up` says, and try again.") from error
    finally:
        writer.close()
    if reply.get("ok") is not True:
        kind = Misuse if reply.get("misuse") is True else PeerError
        raise kind(str(reply.get("problem", "The supervisor refused.")), str(reply.get("remedy", "")))
    return reply


async def _is_served(path: Path) -> bool:
    try:
        return await ask(path, {"do": "roles"}, timeout_s=_PATIENCE_S) is not None
    except RoostError:
        return True  # somebody is there, if not a friendly one


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """An address of the socket that fits into the 107 bytes which a Unix address may have, however deep the folder."""
    if len(os.fsencode(path)) <= 100 or not Path("/proc/self/fd").is_dir():
        yield str(path)
        return
    fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{fd}/{path.name}"
    finally:
        os.close(fd)
