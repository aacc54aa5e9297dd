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
from collections.abc import Callable
from typing import Any

from roost_broker.buffered_socket import BufferedSocket
from roost_broker.packets import Acknowledged, Published, Unread, puback, read
from roost_broker.paho_import import Client

_ALL = 2**62


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
        self.failure: OSError | None = None
        """With what the last connection ended, where it was an error."""
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
        if self._sock is None or sock is not self._sock:
            return  # dropped before, and forgotten
        loop = asyncio.get_running_loop()
        loop.remove_reader(number)
        loop.remove_writer(number)
        self._writer = False
        self.failure = self._sock.failure
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
