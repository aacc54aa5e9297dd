"""Thousands of gateways in one process: of each its connection to the centre, and the messages that wait in its outbox.

A message is published with the subject, the headers and the inbox that `roost_broker.gateway.link` gives it, and is
published again after each reconnection until the centre has acknowledged it.
"""

import json
import re
from typing import Any

from many_devices import ManyDevices, Member

from roost_broker.centre.envelope import Envelope, headers_of
from roost_broker.centre.lanes import subject_of

_MESSAGE = re.compile(rb"MSG \S+\.(\d+) +\d+ +(\d+)\r\n")
_CONNECT = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True, "lang": "roost-test"}


class GatewayMember(Member):
    """`wait` puts one more message into its outbox; it is sent when there is a connection."""

    def __init__(self, fleet: "ManyDevices[Any]", number: int) -> None:
        super().__init__(fleet, number)
        self._outbox = f"{number:032x}"
        self.sent = 0
        self.waiting: dict[int, bytes] = {}
        self.repeated = 0
        """Acknowledgements that said: this one was there already."""
        self.deaf = False
        """It hears no acknowledgements, as when they are lost with the link."""

    def wait(self) -> None:
        self.sent += 1
        topic = f"roost/{self.name}/event"
        envelope = Envelope(topic, b"{}", self.name, self._outbox, "devices", self.sent, 1)
        head = "".join(f"{key}: {value}\r\n" for key, value in headers_of(envelope).items())
        headers = f"NATS/1.0\r\n{head}\r\n".encode()
        sizes = f"{len(headers)} {len(headers) + len(envelope.payload)}"
        line = f"HPUB {subject_of(topic, 'devices')} _INBOX.{self.name}.{self.sent} {sizes}\r\n".encode()
        self.waiting[self.sent] = line + headers + envelope.payload + b"\r\n"
        if self.transport is not None and self._up:
            self.transport.write(self.waiting[self.sent])

    def read(self, data: bytes) -> bytes:
        while b"\r\n" in data:
            if data.startswith(b"MSG"):
                found = _MESSAGE.match(data)
                assert found is not None, data[:200]
                end = found.end() + int(found[2])
                if len(data) < end + 2:
                    break
                self._acknowledged(int(found[1]), json.loads(data[found.end() : end]))
                data = data[end + 2 :]
            else:
                line, data = data.split(b"\r\n", 1)
                self._told(line)
        return data

    def _told(self, line: bytes) -> None:
        assert not line.startswith(b"-ERR"), f"{self.name} was refused: {line!r}"
        if line.startswith(b"INFO"):
            hello = f"CONNECT {json.dumps(_CONNECT)}\r\nSUB _INBOX.{self.name}.* 1\r\nPING\r\n"
            self.transport.write(hello.encode())
        elif line == b"PONG":
            self.greeted()
            self.connected()
            self.transport.writelines(self.waiting.values())
        elif line == b"PING":
            self.transport.write(b"PONG\r\n")

    def _acknowledged(self, number: int, said: dict[str, Any]) -> None:
        if said.get("stream") is None or self.deaf:  # no leader yet: it stays in the outbox, and is sent again
            self.fleet.heard["missed"] += self.deaf
            return
        self.repeated += bool(said.get("duplicate"))
        if self.waiting.pop(number, None) is not None:
            self.fleet.heard["acknowledged"] += 1
