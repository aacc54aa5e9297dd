"""How to reach the central streams: addresses, and what we show and demand there."""

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from roost_broker.errors import Misuse, PeerError

if TYPE_CHECKING:
    import ssl

    from nats.aio.client import Client

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_DEFAULT_PORT = 4222


class NatsUnreachable(PeerError):
    """No server of the central streams can be reached, or none lets us in."""


class NatsAccess(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Addresses and credentials. Beyond loopback only with TLS and with something that says who we are."""

    urls: tuple[str, ...] = ("nats://127.0.0.1:4222",)
    """`nats://HOST:PORT`, or `tls://HOST:PORT`; of a cluster name several."""
    ca: str = ""
    """File with the authority that signed the servers' certificates (PEM)."""
    certificate: str = ""
    """File with our own certificate (PEM), with `key`."""
    key: str = ""
    credentials: str = ""
    """File with a NATS user's credentials (.creds)."""
    user: str = ""
    password_file: str = ""
    """File whose first line is the password."""
    check_name: bool = True
    """False: any certificate that `ca` signed will do. On loopback only, for a server of one's own."""
    connect_timeout_s: float = 5
    """Patience with one server."""

    def __post_init__(self) -> None:
        if not self.urls:
            raise Misuse("No address of the central streams is given.", 'For example urls = ["nats://127.0.0.1:4222"].')
        if bool(self.certificate) != bool(self.key):
            raise Misuse("certificate and key belong together.", "Give both or neither.")
        if bool(self.user) != bool(self.password_file):
            raise Misuse("user and password_file belong together.", "Give both or neither.")
        if not 0.1 <= self.connect_timeout_s <= 600:
            raise Misuse(f"connect_timeout_s is {self.connect_timeout_s}.", "Use seconds from 0.1 to 600.")
        for url in self.urls:
            self._check(url)

    def _check(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("nats", "tls") or not parts.hostname:
            raise Misuse(f"{url!r} is no address of a NATS server.", "For example tls://centre.example:4222.")
        if parts.username or parts.password:
            raise Misuse("An address must not hold a password: it is shown in logs.", "Use user and password_file.")
        if parts.hostname in LOOPBACK:
            return
        if not self.check_name:
            raise Misuse(f"check_name is false for {url}, beyond this machine.", "Leave it out.")
        if parts.scheme != "tls":
            raise Misuse(f"{url} is beyond this machine and not encrypted.", f"Use tls://{parts.netloc} and ca.")
        if not (self.certificate or self.credentials or self.user):
            raise Misuse(
                f"{url} is beyond this machine, and nothing says who we are.",
                "Give certificate and key, or credentials, or user and password_file.",
            )

    def tls(self) -> "ssl.SSLContext | None":
        """What the connection is encrypted with; None for a plain one on loopback. Raises `Misuse` (unusable files)."""
        if not self.ca and not any(url.startswith("tls:") for url in self.urls):
            return None
        import ssl

        try:
            context = ssl.create_default_context(cafile=self.ca or None)
            if not self.check_name:
                context.check_hostname = False
                context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # `ca` may be the very certificate
            if self.certificate:
                context.load_cert_chain(self.certificate, self.key)
        except OSError as error:  # ssl.SSLError is one
            raise Misuse(f"The TLS files cannot be used: {error}.", "Check ca, certificate and key.") from error
        return context

    def password(self) -> str | None:
        """The password, read when it is needed and kept nowhere. Raises `Misuse`."""
        if not self.password_file:
            return None
        try:
            return Path(self.password_file).read_text(encoding="utf-8").split("\n", 1)[0].strip()
        except OSError as error:
            raise Misuse(f"The password cannot be read: {error}.", "Check password_file.") from error


async def connect(access: NatsAccess, *, name: str) -> "Client":
    """A connection to the central streams; when it breaks later it is made again, for ever.

    Raises `NatsUnreachable`, `Misuse` (files that cannot be used).
    """
    from nats.aio.client import Client
    from nats.errors import Error

    causes: list[Exception] = []

    async def _noted(error: Exception) -> None:
        """Later on, what goes wrong is told by the calls that notice it."""
        if not connected:
            causes.append(error)

    client, connected = Client(), False
    try:
        # The library's own patience is for single steps, and none at all for some of them (a refused certificate).
        async with asyncio.timeout(2 * len(access.urls) * (access.connect_timeout_s + 1)):
            await client.connect(
                servers=list(access.urls),
                name=name,
                tls=access.tls(),
                user=access.user or None,
                password=access.password(),
                user_credentials=access.credentials or None,
                connect_timeout=max(1, round(access.connect_timeout_s)),
                # Every server is asked twice; one that is down now stays in the list for later.
                max_reconnect_attempts=1,
                reconnect_time_wait=0.2,  # type: ignore[arg-type]  # it is only slept for
                error_cb=_noted,
            )
        connected = True
    except (Error, OSError, TimeoutError) as error:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(1):
                await client.close()
        cause = causes[-1] if causes else error  # "no servers available" alone helps nobody
        raise NatsUnreachable(
            f"The central streams cannot be reached at {', '.join(access.urls)}: {cause or type(cause).__name__}.",
            "Is the centre running (`roost centre up`)? Check addresses and credentials.",
        ) from error
    client.options["max_reconnect_attempts"] = -1  # from now on for ever: a node that restarts is not given up
    client.options["reconnect_time_wait"] = 0.5
    return client


async def hang_up(client: "Client") -> None:
    """Close a connection of `connect` for good, also while it is being made again.

    The library stops its attempts by cancelling them, and on Python 3.11 an attempt that is refused in that very moment
    swallows the cancellation (asyncio.wait_for) and goes on for ever. So its patience ends first.
    """
    client.options["max_reconnect_attempts"] = 1
    await client.close()
