"""The page as a role: HTTP on one side, the device's topics and files on the other.

* It listens before the broker is there and while it is away: archive, traces and settings do not need it, and what
  does says that it is old.
* Beyond loopback it wants TLS and a password, or it does not begin.
* A defect on the bus side ends the process, loudly; one in an HTTP handler costs that caller a 500.
"""

import asyncio
import logging
import ssl
from functools import partial
from pathlib import Path
from typing import Any

from roost_broker.bus import Bus
from roost_broker.clock import Clock
from roost_broker.errors import Misuse
from roost_broker.presence import RolePresence
from roost_broker.starting import started_before
from roost_edge.page.handlers import application
from roost_edge.page.house import House
from roost_edge.page.listening import Listening, Sender
from roost_edge.page.password import read
from roost_edge.page.settings import PageSettings
from roost_edge.settings.device import Settings
from roost_rendezvous.proxy.front import Front
from roost_rendezvous.proxy.settings import ProxySettings

_log = logging.getLogger(__name__)
MAX_BODY = 3_200_000
"""Settings are below a million bytes; a form may take three for each."""
_REPORT_S = 30.0


class WebPage:
    """Shell of the role `page`. `bus` is not started yet; `file` is the settings' own, where it is known."""

    def __init__(
        self, bus: Bus, settings: Settings, *, clock: Clock, session: int, file: Path | None, role: str = "page"
    ) -> None:
        self.port = 0
        """Where it listens, once it does."""
        self._own = own = settings.page or PageSettings()
        self._bus = bus
        if not own.local and read(settings.layout.page_password) is None:
            raise Misuse(f"The page would be open to everybody at {own.host}.", "Set a password: roost page password.")
        tls = _tls(own)
        self.house = house = House(settings, own, file, clock)
        self._listening = Listening(bus, settings.topics, house.view, clock, house.counts, house.measured)
        self._sender = Sender(bus, house.corrections, house.worker, house.counts)
        limits = ProxySettings(
            port=own.port,
            max_body_bytes=MAX_BODY,
            body_memory_bytes=4 * MAX_BODY,
            max_connections=own.max_connections,
            drain_ms=500,
        )
        self._app = application(house, self._listening, self._sender, limits)
        self._front = Front(self._app, limits, host=own.host, tls=tls)
        counts = lambda: house.counts  # noqa: E731 — asked each time the state is published
        self._presence = RolePresence(bus, settings.topics, role, session=session, clock=clock, counts=counts)

    @property
    def address(self) -> str:
        """Where to look."""
        host = f"[{self._own.host}]" if ":" in self._own.host else self._own.host
        return f"http{'s' if self._own.secure else ''}://{host}:{self.port}"

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`. Raises `PeerError` when the port is taken, and whatever is a defect."""
        fatal: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._bus.on_error(partial(_end_loudly, fatal))
        aside: list[asyncio.Task[Any]] = []
        try:
            self.port = await self._front.start()
            _log.info("the page is at %s", self.address)
            self._presence.starting(self.address)
            aside.append(asyncio.create_task(self._sender.run()))
            if await started_before(self._bus, stop):
                self._presence.ready(self.address)
                aside.append(asyncio.create_task(self._report()))
                await _first(stop, fatal, *aside)
                self._presence.stopped()
        finally:
            fatal.cancel()
            for task in aside:
                task.cancel()
            await self._front.stop()
            await asyncio.gather(*aside, return_exceptions=True)
            await self.house.close()
            await self._bus.stop(forget=True)

    async def _report(self) -> None:
        """Counts in the retained state, when they have changed."""
        said = dict(self.house.counts)
        while True:
            await asyncio.sleep(_REPORT_S)
            if dict(self.house.counts) != said:
                said = dict(self.house.counts)
                self._presence.publish()


async def _first(stop: asyncio.Event, *others: "asyncio.Future[Any]") -> None:
    """Until told to stop, or one of the others failed."""
    stopping = asyncio.ensure_future(stop.wait())
    try:
        ended, _ = await asyncio.wait({stopping, *others}, return_when=asyncio.FIRST_COMPLETED)
        for one in ended:
            one.result()
    finally:
        stopping.cancel()


def _tls(own: PageSettings) -> ssl.SSLContext | None:
    """TLS 1.2 at least. Raises `Misuse`."""
    if not own.secure:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(own.tls_certificate, own.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise Misuse(
            f"The page's certificate {own.tls_certificate} cannot be used: {error}.",
            "Set page.tls_certificate to a chain and page.tls_key to its key, PEM, readable by the user roost.",
        ) from error
    return context


def _end_loudly(fatal: "asyncio.Future[None]", _sentence: str, error: BaseException) -> None:
    if not fatal.done():
        fatal.set_exception(error)
