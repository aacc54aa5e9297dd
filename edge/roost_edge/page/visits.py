"""One visit: who it is, what he may, and how an answer of this page looks.

1. Without a password everybody on this machine may look, and nobody may change anything.
2. With one nothing is shown without a session but the login, what it is drawn with, and `/healthz`; and `/metrics` to
   a program that has its token.
3. A form that changes something carries its session's token, or nothing happens.
4. Every answer says that nothing comes from elsewhere, that nobody may frame it and that nothing is to be kept.
"""

import logging
import secrets
from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from roost_broker.errors import FrameUnavailable, Malformed, Misuse, RoostError
from roost_edge.page import scraper_token
from roost_edge.page.door import same
from roost_edge.page.house import House
from roost_edge.page.views import login
from roost_edge.page.views.frame import document, part
from roost_edge.page.views.markup import Html
from roost_rendezvous.proxy.refused import Refused

_log = logging.getLogger(__name__)
FORM: web.RequestKey[str] = web.RequestKey("form", str)
"""The session's token for forms; empty: no session."""
PASSWORD: web.RequestKey[bool] = web.RequestKey("password", bool)
_OPEN = ("/login", "/healthz")
METRICS = "/metrics"
_HEADERS = {
    "Server": "roost",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not `no-referrer`: a browser would then say that its forms come from nowhere (`Origin: null`).
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}


def cookie_name(house: House) -> str:
    """With TLS a name that browsers bind to this host and to TLS."""
    return "__Host-roost" if house.own.secure else "roost-page"


def doorman(house: House) -> Middleware:
    """The middleware of rules 1 and 2."""

    @web.middleware
    async def let_in(request: web.Request, handler: Handler) -> web.StreamResponse:
        known = house.password()
        session = None
        if known is not None:
            cookie = request.cookies.get(cookie_name(house), "")
            session = house.door.session(cookie, known.fingerprint, house.clock.monotonic_ns())
        request[FORM] = session.form if session is not None else ""
        request[PASSWORD] = known is not None
        is_open = request.path in _OPEN or request.path.startswith("/static/")
        if request.path == METRICS:  # a program has no session, but may have the token for this and nothing else
            is_open = scraper_token.is_token(house.scraper_token, request.headers.get("Authorization", ""))
        if known is not None and session is None and not is_open:
            if request.method == "GET" and "text/html" in request.headers.get("Accept", ""):
                raise web.HTTPSeeOther(f"/login?back={quote(request.path_qs, safe='')}")
            raise Refused(401, "Nobody has logged in.", "Log in at /login.")
        return await handler(request)

    return let_in


def dressing(house: House) -> Middleware:
    """The middleware of rule 4; what is refused becomes a page like the others."""

    @web.middleware
    async def dress(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = await handler(request)
        except web.HTTPException as said:
            if said.status >= 400:
                what = "There is nothing here." if said.status == 404 else f"{said.reason}."
                response = sorry(request, house, said.status, what, "Begin at the first page: /")
                response.headers.update({name: said.headers[name] for name in ("Allow",) if name in said.headers})
            else:
                response = web.Response(status=said.status, headers={"Location": said.headers["Location"]})
        except RoostError as error:
            response = sorry(request, house, status_of(error), error.problem, error.remedy)
        if not response.prepared:
            for name, value in _HEADERS.items():
                response.headers.setdefault(name, value)
            if house.own.secure:
                response.headers["Strict-Transport-Security"] = "max-age=31536000"
        return response

    return dress


def status_of(error: RoostError) -> int:
    """The HTTP status that says the same."""
    if isinstance(error, Refused):
        return error.status
    if isinstance(error, FrameUnavailable):
        return 404
    return 400 if isinstance(error, Malformed) else 409 if isinstance(error, Misuse) else 503


def sorry(request: web.Request, house: House, status: int, problem: str, remedy: str) -> web.Response:
    """A page that says what is wrong."""
    if status >= 500:
        _log.warning("%s %s: %s", request.method, request.path[:200], problem)
    return answer(request, house, "Not done", login.refused(problem, remedy), status=status)


def answer(
    request: web.Request,
    house: House,
    title: str,
    *content: Html | None,
    place: str = "",
    live: bool = False,
    scripts: tuple[str, ...] = (),
    status: int = 200,
) -> web.Response:
    """A page; only its inside when a page that is open asks for that (`X-Part`)."""
    frame = house.frame(place, request.get(FORM, ""), password=request.get(PASSWORD, True))
    shown = [one for one in content if one is not None]
    heard = house.view.changes
    if request.headers.get("X-Part") == "main":
        text = part(frame, title, *shown)
    else:
        text = document(frame, title, *shown, live=heard if live else None, scripts=scripts)
    headers = {"X-Version": str(heard)}
    return web.Response(text=text, status=status, content_type="text/html", charset="utf-8", headers=headers)


def check_form(request: web.Request, fields: dict[str, str]) -> None:
    """Rule 3. Raises `Refused`."""
    token = request[FORM]
    if not token:
        if not request[PASSWORD]:
            raise Refused(403, "Without a password nothing can be changed here.", "Set one: roost page password.")
        raise Refused(401, "Nobody has logged in.", "Log in at /login.")
    if not same(fields.get("form", ""), token):
        raise Refused(403, "This form is not of this session.", "Open the page anew, and send the form again.")


def new_token() -> str:
    """256 bits as text."""
    return secrets.token_urlsafe(32)
