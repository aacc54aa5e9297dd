"""Who may come in: sessions, and how long after a wrong password the next one is not even looked at. Pure.

1. A session is 256 random bits in a cookie; only its hash is kept. It ends some time after its last use, with another
   password, and with the process.
2. Each session has a token for its forms. A form without it changes nothing.
3. Wrong passwords from one address make it wait: twice as long each time, up to five minutes. All addresses together
   may try so many a minute, because each try costs memory and time.
"""

import hashlib
import hmac
from collections import OrderedDict, deque
from dataclasses import dataclass

from roost_broker.clock import SECOND

_FREE_TRIES = 3
_FIRST_WAIT_NS = 2 * SECOND
_LONGEST_WAIT_NS = 300 * SECOND
_FORGIVEN_NS = 3_600 * SECOND
_ADDRESSES = 256
_TRIES_A_MINUTE = 30


@dataclass(slots=True)
class Session:
    """Somebody who knew the password."""

    used_ns: int
    password: bytes
    """Fingerprint of the one it was."""
    form: str
    """What its forms carry."""


@dataclass(slots=True)
class _Failures:
    count: int
    last_ns: int


class Door:
    """See the module. Times are nanoseconds of the monotonic clock."""

    def __init__(self, *, idle_ns: int, most: int) -> None:
        self._idle_ns = idle_ns
        self._most = most
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self._tries: deque[int] = deque(maxlen=_TRIES_A_MINUTE)

    def wait_ns(self, address: str, now: int) -> int:
        """How long this address has to wait before a password of it is looked at; 0: not at all."""
        waits = 0
        if len(self._tries) == _TRIES_A_MINUTE:
            waits = self._tries[0] + 60 * SECOND - now
        known = self._failures.get(address)
        if known is not None and known.count >= _FREE_TRIES:
            doubled: int = _FIRST_WAIT_NS << min(known.count - _FREE_TRIES, 16)
            waits = max(waits, known.last_ns + min(doubled, _LONGEST_WAIT_NS) - now)
        return max(0, waits)

    def tries(self, now: int) -> None:
        """A password is about to be looked at."""
        self._tries.append(now)

    def failed(self, address: str, now: int) -> None:
        """It was the wrong one."""
        known = self._failures.pop(address, None)
        if known is None or now - known.last_ns > _FORGIVEN_NS:
            known = _Failures(0, now)
        self._failures[address] = _Failures(known.count + 1, now)
        while len(self._failures) > _ADDRESSES:
            self._failures.popitem(last=False)

    def opened(self, address: str, cookie: str, form: str, password: bytes, now: int) -> None:
        """It was the right one: `cookie` is a session from now on."""
        self._failures.pop(address, None)
        self._sessions[_hash(cookie)] = Session(now, password, form)
        while len(self._sessions) > self._most:
            self._sessions.popitem(last=False)

    def session(self, cookie: str, password: bytes, now: int) -> Session | None:
        """The session of this cookie, if it still is one."""
        key = _hash(cookie)
        found = self._sessions.get(key)
        if found is None:
            return None
        if now - found.used_ns > self._idle_ns or not hmac.compare_digest(found.password, password):
            del self._sessions[key]
            return None
        found.used_ns = now
        self._sessions.move_to_end(key)
        return found

    def closed(self, cookie: str) -> None:
        """Its owner leaves."""
        self._sessions.pop(_hash(cookie), None)

    def __len__(self) -> int:
        return len(self._sessions)


def same(one: str, other: str) -> bool:
    """Compare in constant time what came from outside."""
    return hmac.compare_digest(one.encode(errors="surrogateescape"), other.encode())


def _hash(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode(errors="surrogateescape")).digest()
