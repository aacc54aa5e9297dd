"""A non-blocking socket with a buffer on either side, and how it comes about: by TCP, and by TLS 1.3 on top of it.

With TLS "readable" means a part of a record, not data: a look that finds nothing is no error. One read takes a whole
record (at most 16 kB), so nothing decrypted stays behind unseen.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable

from roost_broker.errors import PeerError
from roost_broker.refused import not_trusted
from roost_broker.settings import BrokerSettings

_READ_BYTES = 65_536
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_WRITE_BYTES = 262_144
"""Beyond this much unsent paho keeps its packets in its own queue."""


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
    def failure(self) -> OSError | None:
        """The error it ended with, if it did."""
        return self._ended

    @property
    def unsent(self) -> int:
        """Bytes that wait for the operating system."""
        return len(self._out)

    def fill(self) -> None:
        """Fetch what has come, once."""
        try:
            data = self._sock.recv(_READ_BYTES)
        except _NOT_NOW:
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
        except _NOT_NOW:
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


async def open_socket(settings: BrokerSettings) -> BufferedSocket:
    """Connect to the first address of the broker that answers, with TLS where the settings have a `ca`.

    Raises OSError, and `PeerError` where one of the two does not trust the other.
    """
    sock = await _connected(settings.host, settings.port)
    if not settings.ca:
        return BufferedSocket(sock)
    try:
        return BufferedSocket(await _secured(sock, settings))
    except BaseException:  # cancelled by a deadline, too
        sock.close()
        raise


async def _connected(host: str, port: int) -> socket.socket:
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
            return sock
    raise failure


async def _secured(sock: socket.socket, settings: BrokerSettings) -> ssl.SSLSocket:
    """TLS on a connected socket. The files are read each time: a renewed certificate counts from the next one on."""
    secure = _context(settings).wrap_socket(
        sock, server_hostname=settings.server_name or settings.host, do_handshake_on_connect=False
    )
    loop = asyncio.get_running_loop()
    try:
        while True:
            try:
                secure.do_handshake()
            except ssl.SSLWantReadError:
                await _ready(secure, loop.add_reader, loop.remove_reader)
            except ssl.SSLWantWriteError:
                await _ready(secure, loop.add_writer, loop.remove_writer)
            else:
                return secure
    except ssl.SSLError as error:
        secure.close()
        raise not_trusted(settings, error) from error
    except BaseException:
        secure.close()
        raise


async def _ready(
    sock: socket.socket, add: Callable[[int, Callable[[], None]], None], remove: Callable[[int], bool]
) -> None:
    """Return when the socket can be read from, or written to."""
    now = asyncio.Event()
    add(sock.fileno(), now.set)
    try:
        await now.wait()
    finally:
        remove(sock.fileno())


def _context(settings: BrokerSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # demands a certificate that is for the host
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_verify_locations(settings.ca)
        if settings.certificate:
            context.load_cert_chain(settings.certificate, settings.key)
    except OSError as error:  # ssl.SSLError is one
        files = ", ".join(path for path in (settings.ca, settings.certificate, settings.key) if path)
        raise PeerError(
            f"The certificates for the broker cannot be used: {error.strerror or error}.",
            f"See broker.ca, broker.certificate and broker.key ({files}), and who may read them.",
        ) from error
    return context
