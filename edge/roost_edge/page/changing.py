"""What changes something: the login, corrections, the doctor's examination, settings, the support bundle.

Each is a form with its session's token (`visits.check_form`); the login's own token is bound to a cookie of its own.
"""

import asyncio
import hashlib
import hmac
import logging
import secrets
from typing import Any

from aiohttp import web

from roost_broker.cancellation import cancel_and_wait
from roost_broker.clock import SECOND
from roost_broker.errors import PeerError
from roost_broker.headers import new_header
from roost_broker.messages import Suggestion
from roost_edge.page import areas, settings_file, support
from roost_edge.page.door import same
from roost_edge.page.forms import form_of, is_hex, way_back
from roost_edge.page.house import House
from roost_edge.page.listening import Listening, Sender
from roost_edge.page.password import is_password
from roost_edge.page.settings_file import MAX_TEXT
from roost_edge.page.views import login, settings_form
from roost_edge.page.visits import FORM, PASSWORD, answer, check_form, cookie_name, new_token
from roost_rendezvous.proxy.bodies import Memory
from roost_rendezvous.proxy.refused import Refused
from roost_rendezvous.proxy.settings import ProxySettings

_log = logging.getLogger(__name__)
_DOOR = "roost-door"
_MAX_LABEL = 200
_GRACE_S = 60.0


class Changing:
    """See the module."""

    def __init__(self, house: House, listening: Listening, sender: Sender, limits: ProxySettings) -> None:
        self._house = house
        self._listening = listening
        self._sender = sender
        self._limits = limits
        self._memory = Memory(limits.body_memory_bytes)
        self._secret = secrets.token_bytes(32)
        self._saving = asyncio.Lock()
        self._examination: asyncio.Task[None] | None = None

    def routes(self) -> list[web.AbstractRouteDef]:
        """Addresses, and who answers."""
        return [
            web.get("/login", self.login_page),
            web.post("/login", self.log_in),
            web.post("/logout", self.log_out),
            web.post("/gallery/{task}/{request}", self.correct),
            web.post("/doctor", self.examine),
            web.post("/now/{camera}", self.take_picture),
            web.post("/support.zip", self.support),
            web.get("/settings", self.settings),
            web.post("/settings", self.save),
            web.get("/settings/areas/{camera}", self.areas),
            web.post("/settings/areas/{camera}", self.save_areas),
        ]

    def examining(self) -> bool:
        """Whether the doctor is at work for this page."""
        return self._examination is not None and not self._examination.done()

    async def stop(self) -> None:
        """Let go of what is under way."""
        if self._examination is not None:
            await cancel_and_wait(self._examination)

    # -- the login ---------------------------------------------------------------------------------------------------

    async def login_page(self, request: web.Request) -> web.Response:
        """The field for the password."""
        if not request[PASSWORD] or request[FORM]:
            raise web.HTTPSeeOther("/")
        return self._login(request, "", way_back(request.query.get("back", "/")))

    def _login(self, request: web.Request, problem: str, back: str, status: int = 200) -> web.Response:
        cookie = request.cookies.get(_DOOR, "") or new_token()
        shown = login.login(self._door_token(cookie), problem, back)
        response = answer(request, self._house, "Log in", shown, status=status)
        self._set_cookie(response, _DOOR, cookie)
        return response

    async def log_in(self, request: web.Request) -> web.Response:
        """A password was given."""
        house, address = self._house, request.remote or ""
        fields = await form_of(request, self._limits, self._memory)
        back = way_back(fields.get("back", "/"))
        door = request.cookies.get(_DOOR, "")
        if not door or not same(fields.get("door", ""), self._door_token(door)):
            return self._login(request, "This form was too old.", back, 403)
        known = house.password()
        if known is None:
            raise web.HTTPSeeOther("/")
        now = house.clock.monotonic_ns()
        waits = house.door.wait_ns(address, now)
        if waits:
            house.counts["logins-throttled"] += 1
            response = self._login(request, f"Too many tries. Wait {-(-waits // SECOND)} s.", back, 429)
            response.headers["Retry-After"] = str(-(-waits // SECOND))
            return response
        house.door.tries(now)
        # Failed until shown otherwise: who sends many at once gains nothing.
        house.door.failed(address, now)
        if not await house.worker.call(is_password, fields.get("password", ""), known):
            house.counts["logins-refused"] += 1
            _log.warning("a wrong password from %s", address)
            return self._login(request, "That is not the password.", back, 403)
        cookie = new_token()
        house.door.opened(address, cookie, new_token(), known.fingerprint, now)
        house.counts["logins"] += 1
        response = _go(back)
        self._set_cookie(response, cookie_name(house), cookie)
        return response

    async def log_out(self, request: web.Request) -> web.Response:
        """The session ends."""
        await self._fields(request)
        self._house.door.closed(request.cookies.get(cookie_name(self._house), ""))
        response = _go("/")
        response.del_cookie(cookie_name(self._house), path="/", secure=self._house.own.secure, httponly=True)
        return response

    def _door_token(self, cookie: str) -> str:
        return hmac.new(self._secret, cookie.encode(errors="surrogateescape"), hashlib.sha256).hexdigest()

    def _set_cookie(self, response: web.Response, name: str, value: str) -> None:
        response.set_cookie(name, value, path="/", httponly=True, samesite="Strict", secure=self._house.own.secure)

    async def _fields(self, request: web.Request) -> dict[str, str]:
        if not request[FORM]:  # before anything of the body is read
            check_form(request, {})
        fields = await form_of(request, self._limits, self._memory)
        check_form(request, fields)
        return fields

    # -- corrections -------------------------------------------------------------------------------------------------

    async def correct(self, request: web.Request) -> web.Response:
        """Somebody says what a picture shows."""
        house = self._house
        fields = await self._fields(request)
        task, name = request.match_info["task"], request.match_info["request"]
        window = house.windows.get(task)
        whole = await house.worker.call(window.whole, name) if window is not None and is_hex(name, 32) else None
        if whole is None:
            raise Refused(404, "This request is not in the archive.", "Search for it: /gallery")
        label = (fields.get("label", "") or fields.get("other", "")).strip()
        if not label or len(label) > _MAX_LABEL or not label.isprintable():
            raise Refused(400, "That is no label.", f"Write 1 to {_MAX_LABEL} printable characters.")
        head = new_header(house.clock, house.device.node, "page")
        said = Suggestion(
            **head._asdict(),
            request_id=name,
            frame=whole.seen.frame,
            label=label,
            author="somebody at the device's page",
            reason=f"official: {whole.seen.label}"[:300] if whole.seen.label else "",
            source="page",
            at=house.now_ms,
        )
        await house.worker.call(house.corrections.add, said, house.device.task(task).suggestions)
        house.counts["corrections"] += 1
        self._sender.wake()
        return _go(f"/gallery/{task}/{name}")

    # -- the doctor --------------------------------------------------------------------------------------------------

    async def examine(self, request: web.Request) -> web.Response:
        """Ask the desk; who asks meanwhile waits for the same answer."""
        await self._fields(request)
        if not self.examining():
            self._examination = asyncio.create_task(self._examine())
        return _go("/doctor")

    async def _examine(self) -> None:
        house = self._house
        try:
            house.report = await self._listening.examine(house.settings.desk.doctor_timeout_s + _GRACE_S)
            house.report_problem = None
        except PeerError as error:
            house.report_problem = (error.problem, error.remedy)
        finally:
            house.view.changes += 1
            self._listening.note()

    async def take_picture(self, request: web.Request) -> web.Response:
        """A camera is asked for a picture now; the page follows it like any other."""
        camera = self._camera(request)
        await self._fields(request)
        await self._listening.take_picture(camera)
        return _go("/")

    async def support(self, request: web.Request) -> web.Response:
        """One file for whoever helps."""
        await self._fields(request)
        house = self._house
        data = await house.worker.call(support.bundle, house)
        name = f"roost-{house.settings.node.name}-support.zip"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return web.Response(body=data, content_type="application/zip", headers=headers)

    # -- settings ----------------------------------------------------------------------------------------------------

    async def settings(self, request: web.Request) -> web.Response:
        """The file as it is."""
        file = self._house.file
        text = await self._house.worker.call(file.read) if request[FORM] and file.standing != "unknown" else ""
        return self._settings(request, text, settings_file.version(text))

    def _settings(self, request: web.Request, text: str, version: str, *more: Any, status: int = 200) -> web.Response:
        house = self._house
        frame = house.frame("", request[FORM], password=request[PASSWORD])
        return answer(
            request,
            house,
            "Settings",
            *more,
            settings_form.areas_of(house.settings.cameras),
            settings_form.editor(frame, text, house.file.standing, version),
            place="/settings",
            status=status,
        )

    async def save(self, request: web.Request) -> web.Response:
        """Check the text, and write it where nothing is wrong with it."""
        fields = await self._fields(request)
        text, begun = fields.get("text", ""), fields.get("version", "")
        if len(text) > MAX_TEXT:
            raise Refused(413, "These settings are too long.", f"Settings are below {MAX_TEXT} bytes.")
        async with self._saving:
            found = await self._house.file.check(text)
            shown = settings_form.findings(found, asked=True)
            if fields.get("do") != "save":
                return self._settings(request, text, begun, shown)
            if any(one.level == "error" for one in found):
                return self._settings(request, text, begun, shown, status=409)
            await self._house.worker.call(self._house.file.save, text, begun)
        standing = self._house.file.standing
        _log.warning("the settings were changed on the page (%s)", standing)
        version = settings_file.version(text) if standing == "writable" else begun
        return self._settings(request, text, version, settings_form.saved(standing), shown if found else None)

    async def areas(self, request: web.Request) -> web.Response:
        """Masks and zones of one camera, on its newest picture."""
        camera = self._camera(request)
        text = await self._house.worker.call(self._house.file.read) if request[FORM] else ""
        return await self._areas(request, camera, text, settings_file.version(text))

    async def _areas(
        self, request: web.Request, camera: str, text: str, version: str, *more: Any, written: str | None = None
    ) -> web.Response:
        house = self._house
        window = house.windows[house.settings.cameras[camera].task]
        seen = await house.worker.call(window.newest_of, camera) if window.there() else None
        picture = f"/picture/{house.settings.cameras[camera].task}/{seen.frame}.jpg?large" if seen is not None else ""
        frame = house.frame("", request[FORM], password=request[PASSWORD])
        lines = written if written is not None else areas.lines_of(text, camera) if text else ""
        shown = settings_form.areas(frame, camera, areas.KINDS, lines, picture, version)
        title = f"Masks and zones of {camera}"
        return answer(request, house, title, *more, shown, place="/settings", scripts=("areas.js",))

    async def save_areas(self, request: web.Request) -> web.Response:
        """Write the areas into the settings, as if somebody had typed them there."""
        camera = self._camera(request)
        fields = await self._fields(request)
        begun, lines = fields.get("version", ""), fields.get("areas", "")
        async with self._saving:
            before = await self._house.worker.call(self._house.file.read)
            text = areas.with_lines(before, camera, lines)
            found = await self._house.file.check(text)
            if any(one.level == "error" for one in found):
                shown = settings_form.findings(found, asked=True)
                return await self._areas(request, camera, before, begun, shown, written=lines)
            await self._house.worker.call(self._house.file.save, text, begun)
        standing = self._house.file.standing
        version = settings_file.version(text) if standing == "writable" else begun
        return await self._areas(request, camera, text, version, settings_form.saved(standing))

    def _camera(self, request: web.Request) -> str:
        camera = request.match_info["camera"]
        if camera not in self._house.settings.cameras:
            raise Refused(404, "There is no such camera.", "Choose one: /settings")
        return camera


def _go(place: str) -> web.Response:
    """See there; a form that was sent is not sent again by going back."""
    return web.Response(status=303, headers={"Location": place})
