"""What is at which address. Each handler reads a request, asks the desk or the view, and writes the reply."""

from collections.abc import Callable
from functools import partial
from importlib import resources

import msgspec
from aiohttp import web

from roost_broker.version import VERSION
from roost_broker.worker import Worker
from roost_rendezvous.proxy import openapi, questions, replies, requests
from roost_rendezvous.proxy.bodies import Body, Memory
from roost_rendezvous.proxy.desk import Desk
from roost_rendezvous.proxy.device_view import DeviceView
from roost_rendezvous.proxy.front import guarding, to_response
from roost_rendezvous.proxy.questions import Limits
from roost_rendezvous.proxy.refused import Refused
from roost_rendezvous.proxy.replies import Reply
from roost_rendezvous.proxy.settings import ProxySettings
from roost_rendezvous.proxy.streaming import Stream


class Handlers:
    """Handlers of one proxy; `application` hangs them up at their addresses."""

    def __init__(self, desk: Desk, view: DeviceView, settings: ProxySettings, worker: Worker) -> None:
        self._desk = desk
        self._view = view
        self._settings = settings
        self._worker = worker
        self._limits = Limits(settings.max_pixels, settings.max_deadline_ms)
        self._memory = Memory(settings.body_memory_bytes)
        self._documents: dict[str, bytes] = {}

    def application(self) -> web.Application:
        """The routes."""
        app = web.Application(middlewares=[guarding(self._refusing)])
        app.router.add_post("/v1/tasks/{task}/requests", self._ask)
        app.router.add_post("/v1/tasks/{task}/stream", self._stream)
        app.router.add_put("/v1/tasks/{task}/stream", self._stream)  # `curl -T -` puts
        app.router.add_get("/v1/tasks", self._tasks)
        app.router.add_get("/v1/tasks/{task}", self._task_view)
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/openapi.json", self._openapi)
        app.router.add_get("/docs", self._docs)
        app.router.add_get("/", self._docs)
        return app

    async def _ask(self, request: web.Request) -> web.StreamResponse:
        task = self._task(request)
        content_type = request.headers.get("Content-Type", "")
        questions.media_type(content_type)  # before the body is read for nothing
        if self._desk.full:
            raise Refused(429, "Too many callers wait for an answer already.", "Ask again in a second.")
        async with Body(request, self._settings, self._memory) as body:
            headers = {name.lower(): value for name, value in request.headers.items()}
            question = questions.read(body, content_type, dict(request.query), headers, self._limits)
            reply = await self._desk.ask(
                task,
                question,
                key=request.headers.get("Idempotency-Key"),
                parent=requests.trace_parent(request.headers.get("traceparent")),
            )
        return to_response(reply)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        stream = Stream(
            self._desk,
            self._task(request),
            settings=self._settings,
            limits=self._limits,
            memory=self._memory,
            parent=requests.trace_parent(request.headers.get("traceparent")),
            refusing=self._refusing,
        )
        return await stream.run(request)

    async def _tasks(self, _: web.Request) -> web.Response:
        return _json(self._view.all_tasks())

    async def _task_view(self, request: web.Request) -> web.Response:
        return _json(self._view.task(self._task(request)))

    async def _health(self, _: web.Request) -> web.Response:
        health = self._view.health(broker=self._desk.connected, in_flight=self._desk.in_flight, version=VERSION)
        return _json(health, 200 if health.ok else 503)

    async def _openapi(self, _: web.Request) -> web.Response:
        document = await self._document("openapi", partial(openapi.rendered, self._view.tasks, self._settings))
        return to_response(Reply(200, {}, document))

    async def _docs(self, _: web.Request) -> web.Response:
        page = await self._document("page", _page)
        return web.Response(body=page, content_type="text/html", charset="utf-8", headers=_PAGE_HEADERS)

    async def _document(self, name: str, make: Callable[[], bytes]) -> bytes:
        """Made when first asked for, beside the event loop."""
        if name not in self._documents:
            self._documents[name] = await self._worker.call(make)
        return self._documents[name]

    def _task(self, request: web.Request) -> str:
        task = request.match_info["task"]
        if task not in self._view.tasks:
            raise Refused(404, f"There is no task {task[:100]!r} on this device.", "Ask one of `tasks`.")
        return task

    def _refusing(self, refused: Refused) -> Reply:
        return replies.of_refusal(refused, list(self._view.tasks) if refused.status == 404 else None)


def _json(value: object, status: int = 200) -> web.Response:
    return to_response(Reply(status, {}, msgspec.json.encode(value)))


def _page() -> bytes:
    return resources.files("roost_rendezvous.proxy").joinpath("docs_page.html").read_bytes()


# The page has everything in itself and talks to nobody but this server.
_PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
        "img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
