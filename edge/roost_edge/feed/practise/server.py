"""The practise service over HTTP, on loopback: the service's endpoints, a page to look at, and what tests order.

    GET  /                    the timeline      POST /practise/reply   to, text[, author]
    GET  /practise/state      everything, JSON  POST /practise/fault   path, status[, times, after, headers, body]

Standard `http.server`: what is practised with should not need more than what it practises for.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from roost_broker.clock import SECOND, Clock, SystemClock
from roost_edge.feed.practise.endpoints import Asked, answered
from roost_edge.feed.practise.timeline import timeline
from roost_edge.feed.practise.world import Answer, Fault, World, problem

_MOST = 8_000_000
_LOCAL = ("127.0.0.1", "localhost", "[::1]")


class PractiseServer(ThreadingHTTPServer):
    """Serves one `World`. Port 0 takes a free one."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, world: World | None = None, clock: Clock | None = None) -> None:
        self.world = world or World()
        self.clock = clock or SystemClock()
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def served(port: int = 0, world: World | None = None, clock: Clock | None = None) -> Iterator[PractiseServer]:
    """A server that runs meanwhile. Raises OSError when the port is taken."""
    with PractiseServer(port, world, clock) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "roost-practise"
    server: PractiseServer

    def log_message(self, *_: Any) -> None:
        """Nothing: the timeline shows what happened."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        """By the service's own clock."""
        return super().date_time_string(self.server.clock.wall_ns() // SECOND if timestamp is None else timestamp)

    def do_GET(self) -> None:
        """As `http.server` calls it."""
        self._serve(b"")

    def do_POST(self) -> None:
        """As `http.server` calls it."""
        size = self.headers.get("Content-Length", "")
        if not size.isdigit() or int(size) > _MOST:
            self.close_connection = True
            self._answer(problem(413, "Payload Too Large", "A request has a length, of at most 8 MB."))
            return
        self._serve(self.rfile.read(int(size)))

    def _serve(self, body: bytes) -> None:
        parts = urlsplit(self.path)
        if self.headers.get("Host", "").rsplit(":", 1)[0] not in _LOCAL:  # a page of elsewhere, by a name of its own
            self._answer(problem(403, "Forbidden", "This service is for this machine alone."))
            return
        with self.server.lock:
            self.server.world.requests.append(f"{self.command} {parts.path}")
            answer = self._own(parts.path, body) or self._faulty(parts.path, parts.query, body)
        if answer is None:
            self.close_connection = True
        else:
            self._answer(answer)

    def _faulty(self, path: str, query: str, body: bytes) -> Answer | None:
        """As the service answers, or as a fault wants it; None: not at all."""
        world = self.server.world
        fault = world.fault(path, after=False)
        answer = None
        if fault is None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            origin = f"http://{self.headers['Host']}"
            pairs = tuple(parse_qsl(query, keep_blank_values=True))
            now_s, real_s = self.server.clock.wall_ns() // SECOND, SystemClock().wall_ns() // SECOND
            answer = answered(world, Asked(self.command, origin, path, pairs, headers, body, now_s, real_s))
            fault = world.fault(path, after=True)
        if fault is None:
            return answer
        if not fault.status:
            return None
        return Answer(fault.status, fault.body or problem(fault.status, "Fault", "ordered").body, dict(fault.headers))

    def _own(self, path: str, body: bytes) -> Answer | None:
        """What is not the service's."""
        world = self.server.world
        if self.command == "GET" and path == "/":
            return Answer(200, timeline(world), {"Content-Type": "text/html; charset=utf-8"})
        if self.command == "GET" and path.startswith("/i/web/status/"):
            return Answer(303, None, {"Location": f"/#{path.rpartition('/')[2]}"})
        if self.command == "GET" and path.startswith("/media/"):
            media = world.media.get(path.removeprefix("/media/").removesuffix(".jpg"))
            return None if media is None else Answer(200, media.data, {"Content-Type": "image/jpeg"})
        if self.command == "GET" and path == "/practise/state":
            return Answer(200, _state(world))
        if self.command == "POST" and path == "/practise/reply":
            return self._reply(_fields(self.headers.get("Content-Type", ""), body))
        if self.command == "POST" and path == "/practise/fault":
            world.faults.append(Fault(**_fields(self.headers.get("Content-Type", ""), body)))
            return Answer(200, {})
        return None

    def _reply(self, said: dict[str, Any]) -> Answer:
        world = self.server.world
        if said.get("to") not in world.tweets or not said.get("text"):
            return problem(400, "Invalid Request", "Say `to` (a post's number) and `text`.")
        author = str(said.get("author", "a_follower"))
        number = str(2000 + sum(map(ord, author)))
        made = world.say((number, author), str(said["text"]), said["to"], self.server.clock.wall_ns() // SECOND)
        return Answer(303, {"id": made.id}, {"Location": f"/#{made.id}"})

    def _answer(self, answer: Answer) -> None:
        body = answer.body
        if isinstance(body, str):
            data = body.encode()
        elif isinstance(body, bytes):
            data = body
        else:
            data = b"" if body is None else json.dumps(body).encode()
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json; charset=utf-8", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _fields(content_type: str, body: bytes) -> dict[str, Any]:
    if content_type.startswith("application/json"):
        found = json.loads(body)
        return found if isinstance(found, dict) else {}
    return dict(parse_qsl(body.decode("utf-8", "replace")))


def _state(world: World) -> dict[str, Any]:
    return {
        "tweets": [
            {"id": one.id, "author": one.author[1], "text": one.text, "media": one.media, "answers": one.answers}
            | {"conversation": one.conversation, "at": one.at_s}
            for one in world.tweets.values()
        ],
        "media": {one.id: {"bytes": len(one.data), "alt": one.alt} for one in world.media.values()},
        "requests": list(world.requests),
    }
