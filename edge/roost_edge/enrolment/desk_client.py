"""The device's side of the connection to the enrolment desk: pinned to the fleet's authority, bounded, TLS 1.3."""

import contextlib
import http.client
import ssl
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import NamedTuple

from cryptography import x509

from roost_broker.errors import Malformed, PeerError
from roost_broker.printable import printable
from roost_edge.enrolment import trust, wire
from roost_edge.enrolment.clock_check import time_to_use
from roost_edge.enrolment.seed import address_of

NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which Python's `ssl` has no name for."""
_NOT_YET, _ENDED = 9, 10
"""Why OpenSSL refuses a certificate, where it is for its time alone."""
_MAX_TRUST = 200_000
_PIECE = 65_536


class Unreachable(PeerError):
    """Nobody answers, or not now: worth trying again."""


class Refused(PeerError):
    """The desk has said no, and why."""


class Answer(NamedTuple):
    """A body, and what the desk said the time is (None: it said nothing that can be read)."""

    body: bytes
    desk_time: datetime | None


class DeskClient:
    """Asks one desk, which must prove to be of the fleet whose roots are `believed`. One connection a question.

    `now`: this device's clock; `floor`: it is not earlier, whatever the clock says. `own`: the files of certificate
    and key, to renew. Raises `Unreachable`, `Refused`, `Distrusted`, `ClockWrong`, `Malformed`.
    """

    def __init__(
        self,
        url: str,
        believed: Sequence[x509.Certificate],
        *,
        now: datetime,
        floor: datetime,
        own: tuple[Path, Path] | None = None,
        timeout_s: float = 20,
    ) -> None:
        self._host, self._port = address_of(url)
        self._believed = list(believed)
        self._now, self._floor = now, floor
        self._own = own
        self._timeout_s = timeout_s
        self._hint: datetime | None = None

    @property
    def hint(self) -> datetime | None:
        """The desk's time, where this device's own clock could not be used; None where it could."""
        return self._hint

    def get(self, path: str) -> Answer:
        """Fetch something that is for everybody."""
        return self._ask("GET", path, None)

    def post(self, path: str, message: bytes) -> Answer:
        """Send a message."""
        return self._ask("POST", path, message)

    def _ask(self, method: str, path: str, body: bytes | None) -> Answer:
        if self._hint is None:
            try:
                return self._once(self._context(check_time=True), method, path, body)
            except _TimeRefused:
                self._hint = self._ask_time()
        return self._once(self._context(check_time=False), method, path, body)

    def _ask_time(self) -> datetime:
        """Says nothing to the desk and believes nothing but its time, by the rules of `clock_check`."""
        context = self._context(check_time=False)
        with _connection(self._host, self._port, context, self._timeout_s) as connection:
            shown = connection.sock.getpeercert(binary_form=True)
            answer = _exchange(connection, "GET", wire.TRUST, None, self._timeout_s)
        certificate = x509.load_der_x509_certificate(shown)
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        return time_to_use(self._now, self._floor, answer.desk_time or self._now, begins, ends)

    def _once(self, context: ssl.SSLContext, method: str, path: str, body: bytes | None) -> Answer:
        with _connection(self._host, self._port, context, self._timeout_s) as connection:
            return _exchange(connection, method, path, body, self._timeout_s)

    def _context(self, *, check_time: bool) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_verify_locations(cadata=trust.pem(self._believed))
        if not check_time:
            context.verify_flags |= NO_CHECK_TIME
        if self._own is not None:
            try:
                context.load_cert_chain(*self._own)
            except (OSError, ssl.SSLError) as error:
                raise Malformed(
                    f"This device's certificate or key cannot be used: {error}.",
                    "Enrol it again: roost enrol --again, with a new token.",
                ) from error
        return context


def fetch_trust(url: str, *, timeout_s: float = 20) -> list[x509.Certificate]:
    """The trust bundle of whoever answers there. Nothing of it may be believed before it was compared with a pin.

    Raises `Unreachable`, `Refused`, `Malformed`.
    """
    host, port = address_of(url)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is told to it, and what it says is compared with the pin
    with _connection(host, port, context, timeout_s) as connection:
        return trust.certificates(_exchange(connection, "GET", wire.TRUST, None, timeout_s, most=_MAX_TRUST).body)


class _TimeRefused(Exception):
    """OpenSSL minds the time of the desk's certificate, and nothing else so far."""


@contextlib.contextmanager
def _connection(host: str, port: int, context: ssl.SSLContext, timeout_s: float):  # type: ignore[no-untyped-def]
    connection = http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)
    where = f"{host}:{port}"
    try:
        connection.connect()
        yield connection
    except ssl.SSLCertVerificationError as error:
        if error.verify_code in (_NOT_YET, _ENDED):
            raise _TimeRefused from error
        raise trust.Distrusted(
            f"Who answers at {where} is not the enrolment desk of this fleet: {error.verify_message}.",
            "Check the address, and the authority in the seed; `roost pki serve --host` says which names it has.",
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(
            f"The enrolment desk at {where} does not answer: {printable(str(error)) or type(error).__name__}.",
            "Check the network, and that `roost pki serve` runs there.",
        ) from error
    finally:
        connection.close()


def _exchange(
    connection: http.client.HTTPSConnection,
    method: str,
    path: str,
    body: bytes | None,
    timeout_s: float,
    *,
    most: int = wire.MAX_ANSWER,
) -> Answer:
    headers = {"Content-Type": "application/json"} if body is not None else {}
    connection.request(method, path, body=body, headers=headers)
    response = connection.getresponse()
    data = bytearray()
    end = time.monotonic() + 3 * timeout_s
    while piece := response.read(_PIECE):
        data += piece
        if len(data) > most:
            raise Malformed(f"The desk's answer has more than {most} bytes.", "Is it an enrolment desk at all?")
        if time.monotonic() > end:
            raise TimeoutError("its answer takes too long")
    if response.status != http.HTTPStatus.OK:
        raise _refusal(response.status, bytes(data))
    return Answer(bytes(data), _date(response.headers.get("Date", "")))


def _refusal(status: int, body: bytes) -> PeerError:
    try:
        said = wire.read(body, wire.Refusal)
    except Malformed:
        return Unreachable(f"The desk answers with status {status}.", "Check the address: is it an enrolment desk?")
    kind = Unreachable if status in (408, 429) or status >= 500 else Refused
    return kind(f"The desk says: {printable(said.problem)[:500]}", printable(said.remedy)[:500])


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
