"""paho's MQTT client on a socket of ours: connected without blocking the loop, read and written in large pieces.

paho alone connects with a blocking call, reads each packet with three system calls and writes each with one. Here the
event loop connects the socket, one `recv` fetches whatever has come, and all packets made in one turn of the loop
leave with one `send`.

Who reads what: the packets that nearly all traffic consists of are read here (see `packets`); every other one is lent
to paho, exactly its bytes, so that paho always begins and ends at a packet. Likewise publications and acknowledgements
are written here, and paho writes only what it makes itself (connecting, subscribing, pings, the goodbye); what it made
before leaves before. paho does not see our traffic, so it pings once in every keepalive: that is all it costs.

Two things are used that paho does not document: where it creates its socket (`_create_socket`), and where its packet
ids come from (`_mid_generate`), because its subscriptions and our publications share one number range. The contract
suite fails at once should either move.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any

from paho.mqtt.client import Client

from roost_broker.packets import Acknowledged, Published, Unread, puback, read

_READ_BYTES = 65_536
_WRITE_BYTES = 262_144
"""Beyond this much unsent paho keeps its packets in its own queue."""
_ALL = 2**62


class BufferedSocket:
    """A non-blocking TCP socket with a buffer on either side. Of what comes, paho sees only what is lent to it."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.data = b""
        """What has come; what lies before `at` is done with."""
        self.at = 0
        self.lent = 0
        """How many bytes from `at` on, come or not, are paho's."""
        self._ended: OSError | None = None
        self._eof = False
        self._out = bytearray()

    @property
    def ended(self) -> bool:
        """Whether nothing comes any more: the end, or an error."""
        return self._eof or self._ended is not None

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
        self.data = self.data[self.at :] + data
        self.at = 0

    @property
    def has_room(self) -> bool:
        """Whether the operating system takes what is sent, as far as one can tell."""
        if len(self._out) > _WRITE_BYTES:
            self.flush()
        return len(self._out) <= _WRITE_BYTES

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

    def append(self, packet: bytes) -> None:
        """Put a packet behind what waits. Bounded by the windows of MQTT (so many unacknowledged either way), and for
        QoS 0, which has none, by `has_room`.
        """
        self._out += packet

    # -- the shape paho expects ---------------------------------------------------------------------------------

    def recv(self, size: int) -> bytes:
        """At most `size` of the bytes fetched and lent; b"" at the end; BlockingIOError when there are none."""
        at = self.at
        size = min(size, self.lent)
        if at < len(self.data) and size > 0:
            data = self.data[at : at + size]
            self.at = at + len(data)
            self.lent -= len(data)
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

    def next_packet_id(self) -> int:
        """The next of the range 1 to 65,535 that paho uses too; it may still be in use by us."""
        return self._mid_generate()

    def _create_socket(self) -> Any:  # Any: paho's own protocol for sockets is not exported
        if self.prepared is None:
            raise ConnectionError("no socket was prepared")
        prepared, self.prepared = self.prepared, None
        return prepared


class Wire:
    """Joins a client to the running event loop: who reads, who writes, and when.

    `published` and `acknowledged` are called with what was read here, in the order it came.
    """

    def __init__(
        self,
        client: PahoClient,
        published: Callable[[Published], None],
        acknowledged: Callable[[Acknowledged], None],
    ) -> None:
        self._client = client
        self._published = published
        self._acknowledged = acknowledged
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

    @property
    def has_room(self) -> bool:
        """Whether what need not be sent may be: a peer that reads nothing must not fill our memory."""
        return self._sock is None or self._sock.has_room

    def write(self, packet: bytes) -> None:
        """Send one whole packet with the others of this turn; without a connection it is dropped."""
        if self._client.want_write():  # what paho made before goes before
            self._client.loop_write()
        if self._sock is None:
            return
        self._sock.append(packet)
        if not self._flush_due:
            self._flush_due = True
            asyncio.get_running_loop().call_soon(self.flush)

    def acknowledge(self, packet_id: int) -> None:
        """Tell the broker that a publication of its has been dealt with."""
        self.write(puback(packet_id))

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
            while self._sock is sock and self._read_one(sock):
                pass
        finally:
            self.flush()

    def _read_one(self, sock: BufferedSocket) -> bool:
        """Deal with the next packet; False when more bytes must come first."""
        there = sock.at < len(sock.data)
        if sock.lent:
            if there or sock.ended:
                self._client.loop_read()
                return True
            return False
        if there:
            found, end = read(sock.data, sock.at)
            if type(found) is Published:
                sock.at = end
                self._published(found)
                return True
            if type(found) is Acknowledged:
                sock.at = end
                self._acknowledged(found)
                return True
            if found is Unread.OTHER:
                sock.lent = end - sock.at if end else _ALL
                return True
        if sock.ended:
            sock.lent = _ALL  # paho shall see the end
        return sock.ended

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
