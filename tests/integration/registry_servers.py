"""Web servers for a registry: one that behaves as a test says, and the real nginx."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

Misbehaviour = Callable[[socket.socket, bytes], bool]
"""Gets the connection and the request; True: it has answered, in its way."""


class RawServer:
    """Serves a folder with ranges, one request a connection, and lets a test answer some requests itself."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.misbehave: dict[str, Misbehaviour] = {}
        """By the end of a path."""
        self.requests: list[tuple[str, str]] = []
        """Path, and the Range that was asked for."""
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def over(self) -> threading.Event:
        """Set when the server ends: who drips waits on this."""
        return self._over

    def close(self) -> None:
        self._over.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive(), "a device holds its connection although it is done"
        self._listening.close()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._answer, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            request = b""
            while b"\r\n\r\n" not in request:
                piece = connection.recv(65_536)
                if not piece:
                    return
                request += piece
            path = request.split(b" ")[1].decode()
            asked = re.search(rb"\r\nRange: (bytes=(\d+)-)\r\n", request)
            self.requests.append((path, asked[1].decode() if asked else ""))
            for end, misbehave in self.misbehave.items():
                if path.endswith(end) and misbehave(connection, request):
                    return
            self._serve(connection, path, int(asked[2]) if asked else 0)

    def _serve(self, connection: socket.socket, path: str, offset: int) -> None:
        place = self._root / path.lstrip("/")
        if not place.is_file():
            connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            return
        data = place.read_bytes()
        head = b"HTTP/1.1 200 OK\r\n"
        if offset:
            head = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes %d-%d/%d\r\n" % (
                offset,
                len(data) - 1,
                len(data),
            )
        connection.sendall(head + b"Content-Length: %d\r\n\r\n" % (len(data) - offset) + data[offset:])


@contextlib.contextmanager
def raw_server(root: Path) -> Iterator[RawServer]:
    server = RawServer(root)
    try:
        yield server
    finally:
        server.close()


@contextlib.contextmanager
def nginx(root: Path, folder: Path, config: str) -> Iterator[str]:
    """The real nginx as this user on a free port of loopback; `config` is the page's, with PORT and ROOT to fill in."""
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    folder.mkdir()
    page = folder / "nginx.conf"
    places = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    server = config.replace("PORT", str(port)).replace("ROOT", str(root))
    user = "user root; " if os.geteuid() == 0 else ""  # else its worker is nobody, who may not read a test's folder
    page.write_text(
        f"{user}daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1; "
        f"events {{}} http {{ access_log off; {places} {server} }}"
    )
    child = subprocess.Popen([program, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(page)])
    try:
        _until_it_listens(child, port, folder)
        yield f"http://127.0.0.1:{port}"
    finally:
        child.terminate()
        child.wait(10)


def _until_it_listens(child: "subprocess.Popen[bytes]", port: int, folder: Path) -> None:
    pause = threading.Event()
    for _ in range(200):
        assert child.poll() is None, (folder / "error.log").read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        pause.wait(0.05)
    raise AssertionError("nginx does not listen")
