"""The enrolment desk: HTTPS in front of the authority. What it says and hears is in `roost_edge.enrolment.wire`.

1. TLS 1.3 only, with a certificate of the authority itself, signed anew before it ends. It never speaks without.
2. To enrol one needs a token. To renew one shows the certificate one has, and the connection proves its key.
   The trust bundle and the revocation lists are for everybody.
3. A certificate that has ended may still be shown: whether it may be renewed says the authority, not TLS.
4. Bodies, connections, times and how often one address may ask are bounded. Whatever comes, the answer is JSON.
5. One thread talks to the authority, one request after the other; more than a few that wait are sent away.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from typing import Any, TypeVar

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from roost_broker.clock import SECOND, Clock, SystemClock, looks_synced
from roost_broker.errors import Malformed, Misuse, PeerError, RoostError
from roost_broker.identities import identity
from roost_broker.worker import Worker
from roost_edge.enrolment import trust, wire
from roost_provisioning.pki.authority import Authority
from roost_provisioning.pki.files import save_key
from roost_provisioning.pki.throttle import Throttle
from roost_provisioning.pki.tokens import NameTaken, NotIssued
from roost_rendezvous.proxy import replies
from roost_rendezvous.proxy.bodies import Body, Memory
from roost_rendezvous.proxy.front import Front, guarding, to_response
from roost_rendezvous.proxy.refused import Refused
from roost_rendezvous.proxy.replies import Reply
from roost_rendezvous.proxy.settings import ProxySettings

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)
_log = logging.getLogger(__name__)
NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which Python's `ssl` has no name for."""
_MAX_WAITING = 32
_LOOK_S = 60.0
"""So often the desk looks whether its own certificate must be a new one."""
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PEM_HEADERS = {"Server": "roost", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Desk:
    """Serves an authority until `stop`; the port is known after `start`. `hosts`: names that devices know it by."""

    def __init__(
        self,
        authority: Authority,
        *,
        host: str = "127.0.0.1",
        port: int = 8443,
        hosts: tuple[str, ...] = (),
        per_minute: int = 60,
        clock: Clock | None = None,
    ) -> None:
        self._authority = authority
        self._hosts = hosts
        self._settings = ProxySettings(port=port, max_body_bytes=wire.MAX_REQUEST, body_memory_bytes=1_000_000)
        self._memory = Memory(self._settings.body_memory_bytes)
        self._clock = clock or SystemClock()
        self._throttle = Throttle(burst=max(10, per_minute // 2), per_minute=per_minute)
        self._waiting = 0
        self._worker = Worker("authority")
        self._ends = datetime.fromtimestamp(0, UTC)
        self._signed_by = 0
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_3
        self._tls.num_tickets = 0  # each connection proves its key anew
        self._front = Front(self._application(), self._settings, host=host, tls=self._tls)

    async def start(self) -> int:
        """Listen. Raises `PeerError` when the port is taken, `Misuse` when this machine's clock is not set."""
        await self._worker.call(self._make_ready)
        return await self._front.start()

    async def serve(self, stop: asyncio.Event) -> None:
        """Work until `stop`, after `start`."""
        try:
            while not stop.is_set():
                try:
                    async with asyncio.timeout(_LOOK_S):
                        await stop.wait()
                except TimeoutError:
                    await self._look()
        finally:
            await self._front.stop()
            self._worker.stop()

    async def _look(self) -> None:
        """What goes wrong here is tried again: half of the certificate's time is left for that."""
        try:
            await self._worker.call(self._make_ready)
        except (RoostError, OSError):
            _log.exception("the desk's own certificate could not be renewed")

    def _application(self) -> web.Application:
        guard = guarding(replies.of_refusal, local=False, help_at="docs/pki.md")
        app = web.Application(middlewares=[self._dating(), guard])
        app.router.add_post(wire.ENROL, self._enrol)
        app.router.add_post(wire.RENEW, self._renew)
        app.router.add_get(wire.TRUST, self._trust)
        app.router.add_get(wire.CRL, self._crl)
        return app

    def _dating(self) -> Middleware:
        """Answers are dated by the clock that certificates are dated by: devices without one go by it."""

        @web.middleware
        async def date(request: web.Request, handler: Handler) -> web.StreamResponse:
            answer = await handler(request)
            answer.headers["Date"] = formatdate(self._clock.wall_ns() // SECOND, usegmt=True)
            return answer

        return date

    def _now(self) -> datetime:
        wall = self._clock.wall_ns()
        if not looks_synced(wall):
            raise Misuse("This machine's clock is not set.", "Set it: certificates would be dated wrongly.")
        return datetime.fromtimestamp(wall // SECOND, UTC)

    def _make_ready(self) -> None:
        """The desk's own certificate: of the authority that signs now, and with more than half of its time left."""
        now = self._now()
        lifetime, signing = timedelta(days=7), self._authority.signing(now)
        if self._ends - now > lifetime / 2 and signing == self._signed_by:
            return
        key = generate_private_key(SECP256R1())
        host = next(iter(self._hosts), "localhost")
        issued = self._authority.issue(
            identity("server", host),
            key.public_key(),
            now,
            "the desk's own",
            hosts=(*self._hosts, *_LOOPBACK),
            lifetime=lifetime,
        )
        folder = self._authority.files.folder / "desk"
        save_key(folder / "desk.key", key, None)
        (folder / "desk.pem").write_text(issued.certificate, encoding="ascii")
        self._tls.load_cert_chain(folder / "desk.pem", folder / "desk.key")
        self._tls.verify_mode = ssl.CERT_OPTIONAL
        self._tls.verify_flags |= NO_CHECK_TIME  # rule 3
        self._tls.load_verify_locations(cadata=issued.trust)
        self._ends = trust.certificates(issued.certificate)[0].not_valid_after_utc
        self._signed_by = signing

    async def _enrol(self, request: web.Request) -> web.Response:
        asked = await self._read(request, wire.EnrolRequest)
        return await self._issue(request, lambda now: self._authority.enrol(asked, now))

    async def _renew(self, request: web.Request) -> web.Response:
        shown = _shown(request)
        asked = await self._read(request, wire.RenewRequest)
        return await self._issue(request, lambda now: self._authority.renew(shown, asked.csr, now))

    async def _trust(self, request: web.Request) -> web.Response:
        return _pem(await self._ask(request, self._authority.trust))

    async def _crl(self, request: web.Request) -> web.Response:
        return _pem(await self._ask(request, self._authority.crl))

    async def _issue(self, request: web.Request, work: Callable[[datetime], wire.Issued]) -> web.Response:
        try:
            issued = await self._ask(request, work)
        except Refused as error:
            _log.warning("%s refused: %s", request.remote, error.problem)
            raise
        _log.info("%s: a certificate for %s", request.remote, issued.name)
        return to_response(Reply(200, {}, msgspec.json.encode(issued)))

    async def _ask(self, request: web.Request, work: Callable[[datetime], T]) -> T:
        """Rules 4 and 5. Raises `Refused`."""
        if not self._throttle.lets(request.remote, self._clock.monotonic_ns()):
            raise Refused(429, "This address asks too often.", "Wait a minute.")
        if self._waiting >= _MAX_WAITING:
            raise Refused(503, "Too many wait for the authority.", "Try again in a few seconds.")
        self._waiting += 1
        future = self._worker.call(lambda: work(self._now()))
        future.add_done_callback(self._done)  # not when the caller goes away: the work goes on
        try:
            return await future
        except Malformed as error:
            raise Refused(400, error.problem, error.remedy) from error
        except NameTaken as error:
            raise Refused(409, error.problem, error.remedy) from error
        except NotIssued as error:
            raise Refused(403, error.problem, error.remedy) from error
        except (PeerError, Misuse) as error:
            _log.error("the authority cannot work: %s", error)
            raise Refused(503, error.problem, "Try again later; whoever runs the desk must mend it.") from error

    def _done(self, _: "asyncio.Future[Any]") -> None:
        self._waiting -= 1

    async def _read(self, request: web.Request, kind: type[S]) -> S:
        if request.content_type != "application/json":
            raise Refused(415, f"A body of {request.content_type[:50]!r} is not read here.", "Send application/json.")
        async with Body(request, self._settings, self._memory) as body:
            try:
                return wire.read(body, kind)
            except Malformed as error:
                raise Refused(400, error.problem, "Ask as `roost enrol` does.") from error


def _shown(request: web.Request) -> x509.Certificate:
    """The certificate that this connection has proved. Raises `Refused`."""
    tls = request.transport.get_extra_info("ssl_object") if request.transport is not None else None
    shown = tls.getpeercert(binary_form=True) if tls is not None else None
    if shown is None:
        raise Refused(401, "To renew, show the certificate you have.", "Or enrol, with a token.")
    return x509.load_der_x509_certificate(shown)


def _pem(text: str) -> web.Response:
    return web.Response(text=text, content_type="application/x-pem-file", headers=_PEM_HEADERS)
