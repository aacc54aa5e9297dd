"""Pictures and files: the handlers that give out bytes, and `/healthz`."""

import asyncio
import base64
import binascii
from functools import partial
from importlib import resources

from aiohttp import web

from roost_broker.version import VERSION
from roost_edge.page.forms import is_hex
from roost_edge.page.house import House
from roost_edge.page.pictures import LARGE, SMALL
from roost_rendezvous.proxy.refused import Refused

_STATIC = {
    "page.css": "text/css",
    "plots.css": "text/css",
    "page.js": "text/javascript",
    "areas.js": "text/javascript",
    "roost.svg": "image/svg+xml",
}
_WEEK = "private, max-age=604800, immutable"


class Giving:
    """See the module."""

    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[web.AbstractRouteDef]:
        """Addresses, and who answers."""
        return [
            web.get("/picture/{task}/{name}", self.picture),
            web.get("/snapshot/{camera}", self.snapshot),
            web.get("/static/{name}", self.static),
            web.get("/healthz", self.health),
        ]

    async def picture(self, request: web.Request) -> web.Response:
        """A frame of the archive; its address is its content, so it never changes."""
        window = self._house.windows.get(request.match_info["task"])
        name = request.match_info["name"].removesuffix(".jpg")
        if window is None or not is_hex(name, 64):
            raise Refused(404, "There is no such picture.", "Choose one of the gallery.")
        width = LARGE if request.query_string == "large" else SMALL
        data = await self._house.worker.call(self._house.pictures.get, window.frames, name, width)
        return web.Response(body=data, content_type="image/jpeg", headers={"Cache-Control": _WEEK})

    async def snapshot(self, request: web.Request) -> web.Response:
        """A camera's retained picture."""
        said = self._house.view.snapshots.get(request.match_info["camera"].removesuffix(".jpg"))
        try:
            data = base64.b64decode(said.picture, validate=True) if said is not None else b""
        except binascii.Error:
            data = b""
        if not data.startswith(b"\xff\xd8\xff"):
            raise Refused(404, "This camera has shown nothing yet.", "Wait until something moves before it.")
        return web.Response(body=data, content_type="image/jpeg")

    async def static(self, request: web.Request) -> web.Response:
        """What the page is drawn with."""
        name = request.match_info["name"]
        kind = _STATIC.get(name)
        if kind is None:
            raise Refused(404, "There is nothing here.", "Begin at the first page: /")
        data = await asyncio.to_thread(partial(_static, name))
        charset = None if kind.startswith("image/") else "utf-8"
        cached = _WEEK if request.query_string == VERSION else "no-cache"
        return web.Response(body=data, content_type=kind, charset=charset, headers={"Cache-Control": cached})

    async def health(self, _: web.Request) -> web.Response:
        """For machines; it says nothing that is secret."""
        return web.json_response({"ok": True, "broker": self._house.view.broker, "version": VERSION})


def _static(name: str) -> bytes:
    if name == "plots.css":  # the same in reports
        return resources.files("roost_rendezvous.analytics.faces").joinpath(name).read_bytes()
    return resources.files(__package__ or "").joinpath("static", name).read_bytes()
