"""The HTTP server: who may connect, how long they may take, and what they are told when something is wrong.

1. Whatever happens, a caller gets JSON with a problem and a remedy, never a traceback.
2. Only this machine is served: besides the address listened on, the Host header must name it. (A page of some web
   site can point its own name at 127.0.0.1 and would pass for a local one.) A page of another origin is refused.
3. Connections, headers, bodies and the time they take are bounded; see `ProxySettings`.
"""

import asyncio
import contextlib
import logging
import os
import ssl
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from roost_broker.errors import PeerError
from roost_rendezvous.proxy import replies
from roost_rendezvous.proxy.refused import Refused
from roost_rendezvous.proxy.replies import JSON_TYPE, Reply
from roost_rendezvous.proxy.settings import ProxySettings

_log = logging.getLogger(__name__)
_LOCAL = frozenset({"127.0.0.1", "localhost", "[::1]", "::1"})
_MAX_HEADERS = 64
_LINGER_S = 2.0
"""How long what is left of a refused body is read and thrown away, so that its sender hears why."""
Refusing = Callable[[Refused], Reply]


class Front:
    """Serves `app`'s routes; the port is known after `start`.

    `host` and `tls` are for servers that have TLS and identities, which the proxy has not.
    """

    def __init__(
        self, app: web.Application, settings: ProxySettings, *, host: str = "", tls: ssl.SSLContext | None = None
    ) -> None:
        self._app = app
        self._settings = settings
        self._host = host or settings.host
        self._tls = tls
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listen; returns the port. Raises `PeerError` when it is taken."""
        settings = self._settings
        limits: dict[str, Any] = {
            "max_line_size": settings.max_header_bytes,
            "max_field_size": settings.max_header_bytes,
            "max_headers": _MAX_HEADERS,
            "keepalive_timeout": settings.header_timeout_ms / 1000,
            "lingering_time": _LINGER_S,
            "auto_decompress": False,  # a small body must not become a large one in here
            "access_log": None,
        }
        runner = self._runner = web.AppRunner(
            self._app, handler_cancellation=True, shutdown_timeout=settings.drain_ms / 1000, access_log=None
        )
        await runner.setup()
        manager = runner.server
        assert manager is not None  # noqa: S101 — `setup` has just made it
        loop = asyncio.get_running_loop()

        def connect() -> asyncio.BaseProtocol:
            if len(manager.connections) >= settings.max_connections:
                return _Full()
            return _Connection(manager, loop, settings.body_timeout_ms / 1000, **limits)

        handshake_s = settings.header_timeout_ms / 1000 if self._tls is not None else None
        try:
            self._server = await loop.create_server(
                connect, self._host, settings.port, ssl=self._tls, ssl_handshake_timeout=handshake_s
            )
        except OSError as error:
            raise PeerError(
                f"Nothing can listen on {self._host}:{settings.port}: {os.strerror(error.errno or 0)}.",
                "Choose another port; 0 takes any free one.",
            ) from error
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Take no new connection, give those that wait `drain_ms`, then close."""
        if self._server is not None:
            self._server.close()
        if self._runner is not None:
            await self._runner.cleanup()


class _Connection(web.RequestHandler):
    """A connection whose own errors (what is no HTTP at all) are told like all others, and that is given up when an
    answer is not taken.
    """

    __slots__ = ("_answer_s",)

    def __init__(self, manager: web.Server, loop: asyncio.AbstractEventLoop, answer_s: float, **limits: Any) -> None:
        super().__init__(manager, loop=loop, **limits)
        self._answer_s = answer_s

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Without a bound, whoever asks and reads nothing would keep one of the connections for ever."""
        try:
            async with asyncio.timeout(self._answer_s):
                return await super().finish_response(request, resp, start_time)
        except TimeoutError:
            if self.transport is not None:
                self.transport.abort()
            return resp, True

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What the parser refused (400), or a defect (500), which the log has in full."""
        if status >= 500:
            _log.error("answering failed", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun already")
        what = (message or "").splitlines()
        problem = f"This is no HTTP request: {what[0].strip()[:300]}" if what else "This is no HTTP request."
        reply = (
            replies.problem(status, problem, "See /docs for what can be asked, and how.") if status < 500 else _defect()
        )
        response = to_response(reply)
        response.force_close()
        return response


class _Full(asyncio.Protocol):
    """What a connection too many is told."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 — TCP has no other
        reply = replies.problem(503, "Too many connections are open already.", "Close one, or try again in a second.")
        head = f"HTTP/1.1 503 Service Unavailable\r\nContent-Type: {JSON_TYPE}\r\nRetry-After: 1\r\n"
        transport.write(f"{head}Connection: close\r\nContent-Length: {len(reply.payload)}\r\n\r\n".encode())
        transport.write(reply.payload)
        transport.close()


def to_response(reply: Reply) -> web.Response:
    """An HTTP answer; the headers keep a browser from guessing and from keeping."""
    headers = {"Server": "roost", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **reply.headers}
    return web.Response(status=reply.status, body=reply.payload, content_type=JSON_TYPE, headers=headers)


def guarding(refusing: Refusing, *, local: bool = True, help_at: str = "/docs") -> Middleware:
    """The middleware: rules 1 and 2 of the module. `refusing` writes what a refused caller is told.

    Not `local`: the Host header may name any machine, for callers prove who they are.
    """

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            _check_caller(request, local=local)
            return await handler(request)
        except Refused as refused:
            return to_response(refusing(refused))
        except web.HTTPMethodNotAllowed as error:
            allow = ", ".join(sorted(error.allowed_methods))
            said = Refused(405, f"{request.method[:20]} is not possible here.", f"Use {allow}.", allow=allow)
            return to_response(refusing(said))
        except web.HTTPException as error:
            if error.status < 400:
                raise
            reason = f"There is nothing at {request.path[:200]!r}." if error.status == 404 else f"{error.reason}."
            return to_response(replies.problem(error.status, reason, f"See {help_at} for what can be asked, and how."))
        except web.RequestPayloadError:
            return to_response(replies.problem(400, "The body ended too early, or is no body.", "Send it again."))
        except Exception:
            if request.writer.output_size > 0:
                raise
            _log.exception("answering %s %s failed", request.method, request.path)
            return to_response(_defect())

    return guard


def _check_caller(request: web.Request, *, local: bool) -> None:
    host = request.headers.get("Host", "")
    if local and host and _name(host) not in _LOCAL:
        raise Refused(421, f"This is not {host[:200]!r}.", "Ask http://127.0.0.1 or http://localhost.")
    origin = request.headers.get("Origin")
    if origin is not None and origin.partition("://")[2] != host:
        raise Refused(403, f"A page of {origin[:200]!r} may not ask this device.", "Use /docs, or a program.")


def _name(host: str) -> str:
    """A Host header without its port."""
    name = host.lower()
    with contextlib.suppress(ValueError):
        before, _, port = name.rpartition(":")
        if before and int(port) >= 0 and (before.startswith("[") or ":" not in before):
            return before
    return name


def _defect() -> Reply:
    return replies.problem(500, "Something went wrong in here.", "The log of the role `proxy` says what.")
