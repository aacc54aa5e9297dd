"""What comes in with a request: forms, searches, addresses. Bounded and checked. Pure, but for reading the body."""

from collections.abc import Mapping
from datetime import datetime, timedelta, tzinfo
from urllib.parse import parse_qs

from aiohttp import web

from roost_edge.page.archive import Wanted
from roost_rendezvous.proxy.bodies import Body, Memory
from roost_rendezvous.proxy.refused import Refused
from roost_rendezvous.proxy.settings import ProxySettings

_MAX_FIELDS = 20
_HEX = frozenset("0123456789abcdef")
_MAX_WORD = 200
SEARCHED = ("task", "label", "from", "to", "least", "most", "before")


async def form_of(request: web.Request, limits: ProxySettings, memory: Memory) -> dict[str, str]:
    """A form's fields, each once. Raises `Refused`."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise Refused(415, "That is no form of this page.", "Use the page's own forms.")
    async with Body(request, limits, memory) as body:
        try:
            found = parse_qs(
                body.decode("ascii"),
                keep_blank_values=True,
                strict_parsing=bool(body),
                max_num_fields=_MAX_FIELDS,
                errors="strict",
            )
        except ValueError as error:
            raise Refused(400, "That form cannot be read.", "Use the page's own forms.") from error
    return {name: values[-1].replace("\r\n", "\n") for name, values in found.items()}


def searched(query: Mapping[str, str]) -> dict[str, str]:
    """The fields of a search, as they were asked."""
    return {name: query.get(name, "").strip()[:_MAX_WORD] for name in SEARCHED}


def wanted(asked: Mapping[str, str], zone: tzinfo | None) -> Wanted:
    """What is looked for. Raises `Refused` (400)."""
    return Wanted(
        label=asked["label"],
        from_ms=_moment(asked["from"], zone),
        to_ms=_moment(asked["to"], zone, end=True),
        least=_score(asked["least"]),
        most=_score(asked["most"]),
        before=_arrival(asked["before"]),
    )


def way_back(text: str) -> str:
    """Where to go after the login: a place of this page, and none of another site."""
    fine = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable() and len(text) < 1_000
    return text if fine and "\\" not in text else "/"


def is_hex(text: str, length: int) -> bool:
    """Whether it is so many hex digits."""
    return len(text) == length and _HEX.issuperset(text)


def _moment(text: str, zone: tzinfo | None, *, end: bool = False) -> int | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        if end and len(text) <= 10:  # a day, and all of it
            at += timedelta(days=1)
        at = at if at.tzinfo is not None else at.replace(tzinfo=zone)
        return int(at.timestamp() * 1000)
    except (ValueError, OverflowError, OSError) as error:
        raise Refused(400, f"{text[:40]!r} is no date.", "Write it as 2026-05-31.") from error


def _score(text: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not -1e9 < value < 1e9:  # not a number is neither
        raise Refused(400, f"{text[:40]!r} is no score.", "Write it as 0.85.")
    return value


def _arrival(text: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise Refused(400, "That is no place in the archive.", "Begin the search anew.")
    return int(text)
