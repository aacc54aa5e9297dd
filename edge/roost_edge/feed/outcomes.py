"""What an answer of the service means for a post: pure.

Rules:

1. What was certainly not posted and can work later is tried later; the service's own word on when is kept.
2. After an attempt whose end is not known, "you have said that already" means that it was posted.
3. Keys that are refused stop everything for a while: asking faster mends nothing, and may close the account.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Literal, TypeAlias

from roost_broker.clock import SECOND


@dataclass(frozen=True, slots=True)
class Posted:
    """It is there. `service_id` is empty where it is known to be there and not under which number."""

    service_id: str
    said_ms: int | None = None
    """The service's own time."""


@dataclass(frozen=True, slots=True)
class Refused:
    """It will never be there: `why` is what the service said."""

    reason: Literal["duplicate", "rejected"]
    why: str


@dataclass(frozen=True, slots=True)
class Later:
    """Not now. `wait_ns` is the service's word; None: ours. `unsure`: it may be there all the same."""

    reason: Literal["rate-limit", "service-down", "unreachable", "keys"]
    why: str
    wait_ns: int | None = None
    unsure: bool = False


Outcome: TypeAlias = Posted | Refused | Later

_LONGEST_WORD_NS = 7 * 86_400 * SECOND
"""A reset farther away than this is not believed."""
_LIMITS = ("x-rate-limit", "x-user-limit-24hour", "x-app-limit-24hour")
KEYS_PAUSE_NS = 3_600 * SECOND
_DUPLICATE_CODE = 187


def outcome_of(
    status: int, headers: Mapping[str, str], codes: tuple[int, ...], said: str, *, now_ms: int, creating: bool
) -> Outcome:
    """An answer that is not a success. Names of `headers` are in lower case. `creating`: it was the post itself."""
    why = f"{status} {said}".strip()[:500]
    if status >= 500:
        return Later("service-down", why, wait_ns=_retry_after(headers), unsure=creating)
    if status == 403 and (_DUPLICATE_CODE in codes or "duplicate" in said.lower()):
        return Refused("duplicate", why)
    if status == 429 or (status == 403 and _exhausted(headers)):
        return Later("rate-limit", why, wait_ns=wait_ns(headers, now_ms))
    if status in (401, 403):
        return Later("keys", why, wait_ns=KEYS_PAUSE_NS)
    if status in (408, 425) or 300 <= status < 400:
        return Later("service-down", why)
    return Refused("rejected", why)


def wait_ns(headers: Mapping[str, str], now_ms: int) -> int | None:
    """How long the service wants us to wait. By its own clock where it tells it: ours may be wrong."""
    told = said_ms(headers)
    now_s = (now_ms if told is None else told) // 1000
    waits = [
        reset - now_s
        for limit in _LIMITS
        if (reset := _number(headers.get(f"{limit}-reset", ""))) is not None
        and _number(headers.get(f"{limit}-remaining", "0")) == 0
    ]
    if after := _retry_after(headers):
        waits.append(after // SECOND)
    if not waits:
        return None
    return min(max(1, max(waits) + 1) * SECOND, _LONGEST_WORD_NS)


def said_ms(headers: Mapping[str, str]) -> int | None:
    """The service's time, by its Date header."""
    try:
        return int(parsedate_to_datetime(headers["date"]).timestamp() * 1000)
    except (KeyError, ValueError, TypeError, OverflowError):
        return None


def back_off_ns(failures: int, *, first_s: float, longest_s: float, spread: float) -> int:
    """Our own wait after so many failures in a row, from 1. `spread` (0 to 1) keeps devices from coming in step."""
    seconds = min(longest_s, first_s * 2.0 ** min(failures - 1, 30))
    return round(seconds * (0.75 + 0.5 * spread) * SECOND)


def settled(outcome: Outcome, *, unsure: bool) -> Outcome:
    """Rule 2: `unsure` says that an earlier attempt at this post may have worked."""
    if unsure and isinstance(outcome, Refused) and outcome.reason == "duplicate":
        return Posted("")
    return outcome


def _exhausted(headers: Mapping[str, str]) -> bool:
    return any(headers.get(f"{limit}-remaining") == "0" for limit in _LIMITS)


def _retry_after(headers: Mapping[str, str]) -> int | None:
    seconds = _number(headers.get("retry-after", ""))
    return None if seconds is None else min(seconds * SECOND, _LONGEST_WORD_NS)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None
