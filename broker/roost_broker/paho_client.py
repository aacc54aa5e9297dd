"""paho's MQTT client on a socket of ours: connected without blocking the loop, read and written in large pieces.

paho alone connects with a blocking call, reads each packet with three system calls and writes each with one. Here the
event loop connects the socket, one `recv` fetches whatever has come, and all packets made in one turn of the loop
leave with one `send`. The one thing used that paho does not document is where it creates its socket
(`_create_socket`); the contract suite fails at once should that move.
"""

import asyncio
import contextlib
import socket
from typing import Any

from paho.mqtt.client import Client

_READ_BYTES = 65_536
_WRITE_BYTES = 262_144
"""Beyond this much unsent the client keeps its packets in its own queue."""


class BufferedSocket:
    """A non-blocking TCP socket with a buffer on either side, in the shape paho expects."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._in = b""
        self._at = 0
        self._ended: OSError | None = None
        self._eof = False
        self._out = bytearray()

    @property
    def readable(self) -> bool:
        """Whether recv() has something to say: bytes, the end, or an error."""
        return self._at < len(self._in) or self._eof or self._ended is not None

    @property
    def unsent(self) -> int:
        """Bytes that wait for the operating system."""
        return len(self._out)

    def fill(self) -> None:
        """Fetch what has come, once."""
        try:
            data = self._sock.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._ended = error
            return
        self._eof = not data
        self._in = self._in[self._at :] + data
        self._at = 0

    def flush(self) -> None:
        """Hand over what waits, as far as the operating system takes it. Errors surface in recv()."""
        if not self._out:
            return
        try:
            sent = self._sock.send(self._out)
        except BlockingIOError:
            return
        except OSError as error:
            self._ended = error
            self._out.clear()
            return
        del self._out[:sent]

    def recv(self, size: int) -> bytes:
        """At most `size` of the bytes fetched; b"" at the end; BlockingIOError when there are none."""
        at = self._at
        if at < len(self._in):
            data = self._in[at : at + size]
            self._at = at + len(data)
            return data
        if self._ended is not None:
            raise self._ended
        if self._eof:
            return b""
        raise BlockingIOError

    def send(self, data: bytes | bytearray) -> int:
        """Take everything, or nothing when too much waits already (BlockingIOError)."""
        if len(self._out) > _WRITE_BYTES:
            raise BlockingIOError
        self._out += data
        return len(data)

    def close(self) -> None:
        """Send what can be sent, then close."""
        self.flush()
        self._sock.close()

    def fileno(self) -> int:
        """For the event loop."""
        return self._sock.fileno()

    def setblocking(self, flag: bool) -> None:
        """Always non-blocking here."""
        self._sock.setblocking(False)


class PahoClient(Client):
    """A client that uses the socket put into `prepared`."""

    prepared: BufferedSocket | None = None

    def _create_socket(self) -> Any:  # Any: paho's own protocol for sockets is not exported
        if self.prepared is None:
            raise ConnectionError("no socket was prepared")
        prepared, self.prepared = self.prepared, None
        return prepared


class Wire:
    """Joins a client to the running event loop: who reads, who writes, and when."""

    def __init__(self, client: PahoClient) -> None:
        self._client = client
        self._sock: BufferedSocket | None = None
        self._flush_due = False
        self._writer = False
        client.on_socket_open = self._on_open
        client.on_socket_close = self._on_close
        client.on_socket_register_write = self._on_register_write
        client.on_socket_unregister_write = _nothing

    @property
    def is_open(self) -> bool:
        """Whether there is a socket, greeted or not."""
        return self._sock is not None

    def flush(self) -> None:
        """Everything that was made in this turn of the loop leaves in one piece."""
        self._flush_due = False
        sock = self._sock
        if sock is None:
            return
        if self._client.want_write():
            self._client.loop_write()
            if self._sock is not sock:
                return  # that was the goodbye
        sock.flush()
        more = sock.unsent > 0 or self._client.want_write()
        if more != self._writer:
            self._writer = more
            loop = asyncio.get_running_loop()
            if more:
                loop.add_writer(sock.fileno(), self.flush)
            else:
                loop.remove_writer(sock.fileno())

    def drop(self) -> None:
        """Close without a word: the broker takes that for an abnormal end."""
        sock = self._sock
        if sock is not None:
            self._on_close(None, None, sock)
            sock.close()
        prepared, self._client.prepared = self._client.prepared, None
        if prepared is not None:
            prepared.close()

    def _on_open(self, client: Any, data: Any, sock: Any) -> None:
        self._sock = sock
        asyncio.get_running_loop().add_reader(sock.fileno(), self._on_readable)

    def _on_close(self, client: Any, data: Any, sock: Any) -> None:
        number = sock.fileno()
        if sock is not self._sock:
            return  # dropped before, and forgotten
        loop = asyncio.get_running_loop()
        loop.remove_reader(number)
        loop.remove_writer(number)
        self._writer = False
        self._sock = None

    def _on_readable(self) -> None:
        sock = self._sock
        if sock is None:
            return
        self._flush_due = True  # what handlers send in answer leaves with the flush below
        try:
            sock.fill()
            while self._sock is sock and sock.readable:
                self._client.loop_read()
        finally:
            self.flush()

    def _on_register_write(self, client: Any, data: Any, sock: Any) -> None:
        if not self._flush_due:
            self._flush_due = True
            asyncio.get_running_loop().call_soon(self.flush)


def _nothing(client: Any, data: Any, sock: Any) -> None:
    """paho must have this callback, else it writes by itself; `flush` knows when to stop."""


async def open_socket(host: str, port: int) -> BufferedSocket:
    """Connect to the first address of `host` that answers. Raises OSError."""
    loop = asyncio.get_running_loop()
    failure: OSError = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            # A request waits for nobody's full packet: 44 ms for a single message otherwise.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(sock, address)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:  # cancelled by a deadline
            with contextlib.suppress(OSError):
                sock.close()
            raise
        else:
            return BufferedSocket(sock)
    raise failure
