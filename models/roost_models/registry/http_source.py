"""A registry behind a web server: plain GET over HTTP/1.1, with a ceiling on everything.

* The whole answer, headers included, has a deadline: `patience_s`, and what its length allows at the least rate. A
  watchdog closes the socket then, so that a server that drips one byte at a time, anywhere, holds nobody up.
* A pause of `stall_s` ends it sooner.
* Redirections are not followed and proxies not asked: a registry is static files at one address, and everything else
  would be one more way to be led astray.

What it does not do: believe anything. TLS keeps others from reading along; what is true is signed.
"""

import http.client
import re
import socket
import ssl
import threading
import time
from collections.abc import Generator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote, urlsplit

from roost_broker.errors import Misuse
from roost_broker.version import VERSION
from roost_models.registry.errors import RegistryRefused, RegistryUnreachable
from roost_models.registry.limits import Limits
from roost_models.registry.sources import CHUNK, CannotResume, NotThere, bounded

_RANGE = re.compile(r"bytes (\d{1,19})-\d{1,19}/(?:\d{1,19}|\*)\Z")
_SAFE = "/%:@!$&'()*+,;=~"
"""Left as it is in a path: what is quoted already, and what a path may hold (RFC 3986, 3.3)."""


class HttpSource:
    """One registry at one address. A connection for each answer: a device asks seldom."""

    def __init__(self, location: str, limits: Limits, *, ca_file: Path | None = None) -> None:
        parts = urlsplit(location)
        try:
            port = parts.port
        except ValueError:
            port = 0
        if not parts.hostname or port == 0 or parts.query or parts.fragment or parts.username:
            raise Misuse(f"{location!r} is not the address of a registry.", "Write https://host[:port]/folder.")
        self._host, self._port = parts.hostname, port
        self._base = parts.path.rstrip("/")
        self._limits = limits
        self._tls = ssl.create_default_context(cafile=ca_file) if parts.scheme == "https" else None
        self._shown = f"{parts.scheme}://{parts.netloc}"

    def read(self, path: str, *, most: int, offset: int = 0) -> Generator[bytes, None, None]:
        """See `Source`."""
        connection = self._connection()
        allowed_s = self._limits.patience_s + most / self._limits.least_bytes_per_s
        watchdog = _Watchdog(connection, allowed_s)
        # Closed in any case: an answer that is half read would hold its socket as long as somebody holds the error.
        with closing(connection), watchdog, closing(self._answer(connection, path, offset, watchdog)) as pieces:
            try:
                yield from bounded(pieces, path, most)
            except (OSError, http.client.HTTPException, ValueError) as error:
                if watchdog.bitten or isinstance(error, TimeoutError):
                    raise self._slow(path) from error
                raise RegistryUnreachable(
                    f"{self._shown} did not answer for {path}: {error or type(error).__name__}.",
                    "Is the address right, and the link up? It is tried again by itself where an agent asks.",
                ) from error

    def _connection(self) -> http.client.HTTPConnection:
        seconds = self._limits.connect_s
        if self._tls is not None:
            return http.client.HTTPSConnection(self._host, self._port, timeout=seconds, context=self._tls)
        return http.client.HTTPConnection(self._host, self._port, timeout=seconds)

    def _answer(
        self, connection: http.client.HTTPConnection, path: str, offset: int, watchdog: "_Watchdog"
    ) -> Generator[bytes, None, None]:
        headers = {"Accept-Encoding": "identity", "User-Agent": f"roost/{VERSION}"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
        try:
            connection.connect()
        except TimeoutError as error:
            raise RegistryUnreachable(
                f"{self._shown} did not answer within {self._limits.connect_s:g} s.", "Is the link up?"
            ) from error
        if connection.sock is not None:
            connection.sock.settimeout(self._limits.stall_s)
        connection.request("GET", quote(f"{self._base}/{path}", safe=_SAFE), headers=headers)
        answer = connection.getresponse()
        with closing(answer):
            self._check(answer, path, offset)
            yield b""
            while piece := answer.read1(CHUNK):
                yield piece
            if watchdog.bitten:
                raise self._slow(path)
            if answer.length:  # bytes that were announced and did not come
                raise http.client.IncompleteRead(b"", answer.length)

    def _check(self, answer: http.client.HTTPResponse, path: str, offset: int) -> None:
        status = answer.status
        if status in (403, 404, 410):
            raise NotThere(path)
        if offset and status in (200, 416):
            raise CannotResume(path)
        begins = _RANGE.match(answer.getheader("Content-Range", "")) if offset else None
        if status == (206 if offset else 200) and (not offset or (begins and int(begins[1]) == offset)):
            return
        remedy = "Give the address it is moved to." if 300 <= status < 400 else "Look into the web server's log."
        raise RegistryUnreachable(f"{self._shown} answered {status} for {path}.", remedy)

    def _slow(self, path: str) -> RegistryRefused:
        return RegistryRefused(
            "slow",
            f"{self._shown} sends {path} too slowly: a pause of {self._limits.stall_s:g} s, "
            f"or less than {self._limits.least_bytes_per_s} bytes/s.",
            "Try another mirror, or a lower least_bytes_per_s where the link is that slow.",
        )


class _Watchdog:
    """Closes a connection's socket when the time is over, whatever the other thread waits for."""

    def __init__(self, connection: http.client.HTTPConnection, seconds: float) -> None:
        self._connection = connection
        self._ends = time.monotonic() + seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="registry-watchdog", daemon=True)
        self.bitten = False

    def __enter__(self) -> "_Watchdog":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        if self._over.wait(max(0.0, self._ends - time.monotonic())):
            return
        self.bitten = True
        while not self._over.wait(0.2):  # again and again: the connection may only just be made
            sock = self._connection.sock
            if sock is not None:
                with suppress(OSError):
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)  # under TLS: without its goodbye
