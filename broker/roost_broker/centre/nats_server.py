"""NATS servers as processes, and private ones for demo, tests and benchmarks.

What one node cannot promise: JetStream (2.9) writes without fsync, so a power cut of a single node can lose what came
in the last moments before it; kill -9 of the process loses nothing. Three nodes with three replicas lose nothing
while two of them live.
"""

import http.client
import json
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from roost_broker.centre.access import NatsAccess
from roost_broker.centre.nats_settings import NatsSettings, address, render
from roost_broker.errors import Misuse, PeerError
from roost_broker.private_process import PrivateProcess, find_program, free_port, listens_on

__all__ = ["NatsServer", "NatsSettings", "PrivateNats", "find_nats_server", "render"]

_INSTALL = "Install it: apt-get install nats-server (Debian, Ubuntu), then try again."
_ATTEMPTS = 5
_HEALTH = "/healthz?js-server-only=true"
"""Of the server, not of every stream and consumer: NATS 2.9 calls an idle consumer's copy "not current" for minutes
after its node was killed, though it works."""


def find_nats_server(folders: str | None = None) -> str:
    """Path of the program, on PATH or in `folders` (separated by colons). Raises `Misuse` when it is nowhere."""
    found = find_program("nats-server", folders)
    if found is None:
        raise Misuse("The NATS server is not installed.", _INSTALL)
    return found


class NatsServer:
    """One server process with its folder (configuration and log beside the streams' store).

    It does not outlive its owner, even one killed with -9: it ends with the thread that called start() (Linux), so
    call that from a thread that lives as long as the server shall.
    """

    def __init__(self, settings: NatsSettings, *, start_timeout_s: float = 10) -> None:
        self.settings = settings
        self._start_timeout_s = start_timeout_s
        self._process = PrivateProcess(f"The NATS server {settings.name}", self.folder / "nats-server.log")

    @property
    def url(self) -> str:
        """Where clients connect."""
        scheme = "tls" if self.settings.certificate else "nats"
        return f"{scheme}://{address(self.settings.host, self.settings.port)}"

    @property
    def folder(self) -> Path:
        """Configuration, log and store."""
        return Path(self.settings.folder)

    @property
    def log_file(self) -> Path:
        """What the server said, of all starts."""
        return self._process.log_file

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process.running

    def start(self) -> None:
        """Start it and return when it accepts connections. Raises `Misuse` (not installed), `PeerError` (no start)."""
        self._process.check_free()
        program = find_nats_server()
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "nats.conf"
        configuration.write_text(render(self.settings), encoding="utf-8")
        port = self.settings.port
        command = [program, "-c", str(configuration)]
        if not self._process.start(command, lambda: listens_on(self.pid, port), self._start_timeout_s):
            why = self._process.last_words()
            raise PeerError(f"The NATS server did not start on port {port}: {why}", f"See {self.log_file}.")

    def stop(self, timeout_s: float = 10) -> None:
        """End it in order; killed when it takes longer than `timeout_s`."""
        self._process.stop(timeout_s)

    def kill(self) -> None:
        """End it with SIGKILL, as a power cut would."""
        self._process.kill()


class PrivateNats:
    """`nodes` servers (1 or 3) below `folder`. Use it as a context manager, or start() and stop().

    start() returns when JetStream takes orders (a cluster has chosen its leader). Nodes are counted from 0; each can
    be killed and started again while the others go on. A second start() continues with what is stored. The servers
    do not outlive their owner (see `NatsServer`).
    """

    def __init__(self, folder: Path, *, nodes: int = 1, start_timeout_s: float = 30) -> None:
        if nodes not in (1, 3):
            raise Misuse(f"A private NATS of {nodes} nodes.", "Use 1, or 3 for a cluster that outlives one of them.")
        self.folder = folder.absolute()
        self._count = nodes
        self._timeout_s = start_timeout_s
        self._servers: list[NatsServer] = []

    @property
    def nodes(self) -> tuple[NatsServer, ...]:
        """The servers, running or not."""
        if not self._servers:
            raise Misuse("A private NATS has no servers before its first start.", "Call start() first.")
        return tuple(self._servers)

    @property
    def urls(self) -> tuple[str, ...]:
        """Where clients connect."""
        return tuple(server.url for server in self.nodes)

    def access(self) -> NatsAccess:
        """How to reach it."""
        return NatsAccess(urls=self.urls)

    def start(self) -> None:
        """Start all nodes and wait until they can be used. Raises `Misuse` (not installed), `PeerError` (no start)."""
        for attempt in range(_ATTEMPTS):
            fresh = not self._servers
            if fresh:
                self._servers = self._planned()
            try:
                for server in self._servers:
                    server.start()
            except PeerError:
                self.stop()
                if not fresh or attempt == _ATTEMPTS - 1:
                    raise
                self._servers = []  # somebody took a port between our look and the server's
            else:
                break
        try:
            self.wait_until_ready()
        except PeerError:
            self.stop()
            raise

    def stop(self) -> None:
        """End all nodes in order."""
        for server in self._servers:
            server.stop()

    def kill(self, node: int = 0) -> None:
        """End one node with SIGKILL."""
        self.nodes[node].kill()

    def restart(self, node: int = 0) -> None:
        """Start a node that has ended, and return when all that run can be used."""
        self.nodes[node].start()
        self.wait_until_ready()

    def leader(self) -> int | None:
        """The node that leads JetStream now; None while there is none (or one node says nothing of leading)."""
        for number, server in enumerate(self.nodes):
            report = _asked(server, "/jsz") if server.running else None
            name = (report or {}).get("meta_cluster", {}).get("leader")
            if report is not None and self._count == 1:
                return number
            for index, other in enumerate(self.nodes):
                if name and other.settings.name == name and other.running:
                    return index
        return None

    def wait_until_ready(self) -> None:
        """Return when every running node takes orders. Raises `PeerError` after the start's timeout."""
        end = time.monotonic() + self._timeout_s
        while time.monotonic() < end:
            if self._ready():
                return
            time.sleep(0.02)
        raise PeerError(f"NATS below {self.folder} is not ready after {self._timeout_s:g} s.", "See its logs there.")

    def __enter__(self) -> "PrivateNats":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _ready(self) -> bool:
        running = [server for server in self.nodes if server.running]
        if self._count > 1 and self.leader() is None:
            return False
        return bool(running) and all(_asked(server, _HEALTH) is not None for server in running)

    def _planned(self) -> list[NatsServer]:
        clients, monitors, routes = ([free_port() for _ in range(self._count)] for _ in range(3))
        plans = [
            NatsSettings(
                name=f"n{number + 1}",
                port=clients[number],
                monitor_port=monitors[number],
                folder=str(self.folder / f"n{number + 1}"),
                max_store_bytes=1_000_000_000_000,  # a bound of the plan, not of this disk
            )
            for number in range(self._count)
        ]
        if self._count > 1:
            plans = [
                msgspec.structs.replace(
                    plan,
                    cluster="roost",
                    cluster_port=routes[number],
                    routes=tuple(f"127.0.0.1:{port}" for port in routes),
                )
                for number, plan in enumerate(plans)
            ]
        return [NatsServer(plan, start_timeout_s=self._timeout_s) for plan in plans]


def _asked(server: NatsServer, path: str) -> dict[str, Any] | None:
    """What a server's monitor says; None when it says nothing, or that it is not well."""
    connection = http.client.HTTPConnection("127.0.0.1", server.settings.monitor_port, timeout=2)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return body if answer.status == 200 and isinstance(body, dict) else None
