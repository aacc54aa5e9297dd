"""Somebody else answers where the desk should be: the device says so, believes nothing and tells no token."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from roost_broker.errors import RoostError
from roost_edge.enrolment import enrolling, trust
from roost_edge.enrolment.desk_client import Unreachable, fetch_trust
from roost_edge.enrolment.folder import IdentityFolder
from roost_edge.enrolment.seed import Seed, read_seed, write_seed
from roost_provisioning.pki import profile
from roost_provisioning.pki.files import save_key

NOW = datetime.now(UTC)
TOKEN = "12345678-abcdefghijklmnopqrstuvwxyz234567"  # noqa: S105 — it opens nothing


class FalseDesk:
    """Speaks TLS with a root of its own, and says the same bytes to everybody."""

    def __init__(self, folder: Path) -> None:
        key = generate_private_key(SECP256R1())
        self.root = profile.root("false", 1, key, NOW, 10)
        save_key(folder / "false.key", key, None)
        (folder / "false.pem").write_text(trust.pem([self.root]))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "false.pem", folder / "false.key")
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.says = b""
        self.heard = b""
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join(60)
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listening.accept()
            except OSError:
                return
            with plain, contextlib.suppress(OSError), self._context.wrap_socket(plain, server_side=True) as connection:
                connection.settimeout(60)
                self.heard += connection.recv(65_536)
                connection.sendall(self.says)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[FalseDesk]:
    made = FalseDesk(tmp_path)
    try:
        yield made
    finally:
        made.close()


def answer(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    "says",
    [
        b"",
        b"\x00" * 100,
        b"SSH-2.0-OpenSSH_9.2\r\n",
        answer(b""),
        answer(b"garbage"),
        answer(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        answer(b"{}", "500 No"),
        answer(b'{"problem": "\\u001b[2Jgo away", "remedy": "none"}', "403 Forbidden"),
        b"HTTP/1.1 302 Found\r\nLocation: https://elsewhere.example/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 300,
        answer(b"x" * 300_000),
    ],
)
@pytest.mark.parametrize("pin", ["fingerprint", "file"])
def test_whatever_a_stranger_says_nothing_is_told_and_nothing_kept(
    desk: FalseDesk, tmp_path: Path, says: bytes, pin: str
) -> None:
    own = profile.root("coops", 1, generate_private_key(SECP256R1()), NOW, 10)
    known = {"ca_sha256": trust.fingerprint(own)} if pin == "fingerprint" else {"ca": trust.pem([own])}
    seed = Seed(url=f"https://127.0.0.1:{desk.port}", token=TOKEN, **known)
    for said in (says, answer(trust.pem([desk.root]).encode())):
        desk.says = said
        write_seed(tmp_path / "card", seed)
        folder = IdentityFolder(tmp_path / "identity")
        with pytest.raises(RoostError) as caught:
            enrolling.enrol(tmp_path / "card", folder, NOW)
        assert caught.value.remedy
        assert "\x1b" not in str(caught.value)
        assert TOKEN.encode() not in desk.heard
        assert not folder.enrolled
        assert read_seed(tmp_path / "card").token == TOKEN


def test_a_stranger_who_only_keeps_the_line_open_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(Unreachable):
        fetch_trust(f"https://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.2)
