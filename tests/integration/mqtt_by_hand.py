"""Just enough MQTT 5, byte by byte, to say what a well-behaved client cannot."""

import socket
import ssl


def text(value: str) -> bytes:
    data = value.encode()
    return len(data).to_bytes(2, "big") + data


def packet(kind: int, body: bytes) -> bytes:
    length, head = len(body), bytearray([kind])
    while length > 0x7F:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    return bytes(head) + body


def connect(client_id: str, user: str = "", password: str = "", *, will: str = "", payload: bytes = b"will") -> bytes:
    """A CONNECT with a clean session; `will` is a topic, retained with QoS 1."""
    flags = 0x02 | (0xC0 if user else 0) | (0x04 | 0x08 | 0x20 if will else 0)
    body = text("MQTT") + bytes([5, flags]) + (60).to_bytes(2, "big") + b"\0" + text(client_id)
    if will:
        body += b"\0" + text(will) + len(payload).to_bytes(2, "big") + payload
    if user:
        body += text(user) + text(password)
    return packet(0x10, body)


class Hand:
    """A connection that says what it is told to, and hangs up without a word."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None, server_name: str = "") -> None:
        plain = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.sock = context.wrap_socket(plain, server_hostname=server_name) if context is not None else plain

    def greeted(self, hello: bytes) -> int:
        """The reason code of the greeting; -1 when the connection ended instead."""
        try:
            self.sock.sendall(hello)
            head = self._exactly(2)
            body = self._exactly(head[1])
        except (OSError, EOFError):
            return -1
        return body[1]

    def close(self) -> None:
        self.sock.close()

    def _exactly(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            piece = self.sock.recv(count - len(found))
            if not piece:
                raise EOFError
            found += piece
        return found


def greeting(port: int, hello: bytes, context: ssl.SSLContext | None = None, server_name: str = "") -> int:
    """One attempt: the reason code, or -1 when there was none."""
    try:
        hand = Hand(port, context, server_name)
    except (OSError, ssl.SSLError):
        return -1
    try:
        return hand.greeted(hello)
    finally:
        hand.close()
