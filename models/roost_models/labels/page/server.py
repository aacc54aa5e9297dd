"""The label page's server: routes, and the thread on which the review desk works.

1. Everything that changes something is a POST with a JSON body: a form of another site cannot send one, and a script
   of another origin is refused (`proxy.front`).
2. Pictures are given out by digest and verified; what is no picture is not given out as one.
3. Bodies, connections and times are bounded as the proxy's are.
"""

import asyncio
import logging
from importlib import resources
from typing import Any

import msgspec
from aiohttp import web

from roost_broker.errors import FrameUnavailable, Malformed, Misuse
from roost_broker.version import VERSION
from roost_broker.worker import Worker
from roost_models.labels.desk import Desk
from roost_models.labels.page import wire
from roost_models.labels.page.access import Access
from roost_rendezvous.proxy import replies
from roost_rendezvous.proxy.bodies import Body, Memory
from roost_rendezvous.proxy.front import Front, guarding, to_response
from roost_rendezvous.proxy.refused import Refused
from roost_rendezvous.proxy.replies import Reply
from roost_rendezvous.proxy.settings import ProxySettings

_log = logging.getLogger(__name__)
_MAGIC = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"RIFF", "image/webp"),
)
_HEX = frozenset("0123456789abcdef")


class LabelPage:
    """Serves one desk until `stop`; the port is known after `start`."""

    def __init__(self, desk: Desk, access: Access | None = None, *, port: int = 8480) -> None:
        self._desk = desk
        self._access = access or Access()
        self._settings = ProxySettings(port=port, max_body_bytes=wire.MAX_BODY, body_memory_bytes=64 * wire.MAX_BODY)
        self._memory = Memory(self._settings.body_memory_bytes)
        self._worker = Worker("labels")
        self._front = Front(self._application(), self._settings, host=self._access.host, tls=self._access.tls)

    async def start(self) -> int:
        """Listen. Raises `PeerError` when the port is taken."""
        return await self._front.start()

    async def serve(self, stop: asyncio.Event) -> None:
        """Work until `stop`, after `start`."""
        try:
            await stop.wait()
        finally:
            await self._front.stop()
            self._worker.stop()

    def _application(self) -> web.Application:
        app = web.Application(middlewares=[guarding(replies.of_refusal, local=self._access.local, help_at="/")])
        app.router.add_get("/", self._page)
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/v1/review", self._review)
        app.router.add_get("/v1/pictures/{picture}", self._picture)
        app.router.add_get("/v1/pictures/{picture}/history", self._history)
        app.router.add_post("/v1/judgements", self._judge)
        app.router.add_post("/v1/undo", self._undo)
        return app

    async def _page(self, _: web.Request) -> web.Response:
        page = await self._worker.call(resources.files(__package__ or "").joinpath("page.html").read_bytes)
        return web.Response(body=page, content_type="text/html", charset="utf-8", headers=_PAGE_HEADERS)

    async def _health(self, _: web.Request) -> web.Response:
        return _json({"ok": True, "version": VERSION})

    async def _review(self, request: web.Request) -> web.Response:
        author = self._author(request, request.query.get("author", ""))
        found = await self._worker.call(self._desk.queue, author)
        labels = await self._worker.call(self._desk.labels, found)
        totals = await self._worker.call(self._desk.told)
        fixed = bool(self._access.tokens)
        body = wire.review(found, task=self._desk.task, author=author, fixed_author=fixed, labels=labels, totals=totals)
        return to_response(Reply(200, {}, body))

    async def _picture(self, request: web.Request) -> web.Response:
        self._let_in(request)
        try:
            data = await self._worker.call(self._desk.picture, _digest(request))
        except FrameUnavailable as error:
            raise Refused(404, error.problem, "The archive has given it up, or it is damaged.") from error
        kind = next((name for magic, name in _MAGIC if data.startswith(magic)), None)
        if kind is None:
            raise Refused(404, "These bytes are no picture that a browser could show.", "Mark it as not usable.")
        headers = {**_PICTURE_HEADERS, "ETag": f'"{_digest(request)}"'}
        return web.Response(body=data, content_type=kind, headers=headers)

    async def _history(self, request: web.Request) -> web.Response:
        self._let_in(request)
        return _json({"entries": await self._worker.call(self._desk.history, _digest(request))})

    async def _judge(self, request: web.Request) -> web.Response:
        asked = wire.judgement(await self._body(request))
        author = self._author(request, asked.author)
        work = self._worker.call(self._desk.judge, asked.picture, author, asked.kind, asked.label, asked.reason)
        return await _written(work)

    async def _undo(self, request: web.Request) -> web.Response:
        asked = wire.undoing(await self._body(request))
        author = self._author(request, asked.author)
        return await _written(self._worker.call(self._desk.undo, asked.entry, author))

    async def _body(self, request: web.Request) -> bytes:
        self._let_in(request)  # before anything of it is read
        if request.content_type != "application/json":
            raise Refused(415, f"A body of {request.content_type[:50]!r} is not read here.", "Send application/json.")
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            raise Refused(403, "Another site asks for this.", "Use this server's own page.")
        async with Body(request, self._settings, self._memory) as body:
            return body

    def _author(self, request: web.Request, claimed: str) -> str:
        return self._access.author(request.headers.get("Authorization", ""), claimed)

    def _let_in(self, request: web.Request) -> None:
        self._author(request, "anybody")


async def _written(work: "asyncio.Future[Any]") -> web.Response:
    try:
        entry = await work
    except FrameUnavailable as error:
        raise Refused(404, error.problem, "Choose another picture.") from error
    except (Misuse, Malformed) as error:
        raise Refused(409, error.problem, error.remedy) from error
    _log.info("%s: %s %s", entry.author, entry.kind, entry.label or "")
    return _json({"entry": entry})


def _digest(request: web.Request) -> str:
    digest = request.match_info["picture"]
    if len(digest) != 64 or not _HEX.issuperset(digest):
        raise Refused(404, "There is no such picture.", "A picture's address is its SHA-256, 64 hex digits.")
    return digest


def _json(value: object) -> web.Response:
    return to_response(Reply(200, {}, msgspec.json.encode(value)))


_PICTURE_HEADERS = {
    "Server": "roost",
    "Cache-Control": "private, max-age=3600, immutable",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# The page has everything in itself and talks to nobody but this server.
_PAGE_HEADERS = {
    "Server": "roost",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
        "img-src blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
