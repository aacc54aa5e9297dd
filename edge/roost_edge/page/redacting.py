"""Taking secrets out of what leaves the device. Pure.

1. Of the settings whatever is called like a secret is blotted out, whatever it is; of addresses no more is left than
   where they point to, because services put their keys into them.
2. What was blotted out is then looked for in everything else, and so is what looks like a secret wherever it stands.
"""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

BLOT = "(left out)"
_SECRET = re.compile(
    r"pass(word|phrase|wd)?|secret|token|credential|auth|bearer|api_?key|private|cookie|pin\b|apprise|services?|urls?$"
    r"|^keys?$|_keys?$|consumer|access",
    re.IGNORECASE,
)
_PLAIN_SCHEMES = frozenset({"http", "https", "rtsp", "rtsps", "mqtt", "mqtts", "nats", "tls", "ws", "wss", "rtmp"})
_ADDRESS = re.compile(r"\b([a-z][a-z0-9+.-]{1,20})://[^\s\"'<>]+", re.IGNORECASE)
_SAID = re.compile(
    r"(?i)\b(pass(?:word|phrase|wd)?|secret|(?:access_|refresh_)?token|authorization|bearer|api[_-]?key)\b"
    r"([\"']?\s*[:=]\s*[\"']?|\s+)(?:(?:bearer|basic)\s+)?(?!is\b|was\b|of\b|in\b|from\b|for\b|the\b|and\b|that\b|may\b)([^\s\"',;}]{4,})"
)
_PEM = re.compile(r"-----BEGIN [A-Z0-9 ]+-----.*?(-----END [A-Z0-9 ]+-----|\Z)", re.DOTALL)
_LONG = re.compile(
    r"(?<![A-Za-z0-9_/+.-])(?=[A-Za-z0-9_+/-]*[0-9])(?=[A-Za-z0-9_+/-]*[G-Zg-z])[A-Za-z0-9_+/-]{32,}={0,2}"
)
"""Long and of letters beyond hexadecimal ones with digits among them: a key, more often than not. Digests stay."""
_SHORTEST = 4


def settings(document: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """Settings without secrets, and the texts that were taken out."""
    taken: set[str] = set()
    return _table(document, taken), taken


def text(said: str, secrets: Iterable[str]) -> str:
    """Words without these secrets, and without what looks like one."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            said = said.replace(secret, BLOT)
    said = _PEM.sub(BLOT, said)
    said = _ADDRESS.sub(lambda found: _address(found[0]), said)
    said = _SAID.sub(lambda found: f"{found[1]}{found[2]}{BLOT}", said)
    return _LONG.sub(BLOT, said)


def _table(table: dict[str, Any], taken: set[str]) -> dict[str, Any]:
    return {name: _value(name, value, taken) for name, value in table.items()}


def _value(name: str, value: Any, taken: set[str]) -> Any:
    if isinstance(value, dict):
        return _table(value, taken)
    if isinstance(value, list):
        return [_value(name, one, taken) for one in value]
    if not isinstance(value, str) or not value:
        return value
    if "://" in value:
        shown = _address(value)
        if shown != value:
            taken.add(value)
            taken.update(part for part in re.split(r"[/:@?&=]+", value)[1:] if len(part) >= 8 and part not in shown)
        return shown
    if _SECRET.search(name):
        taken.add(value)
        return BLOT
    return value


def _address(address: str) -> str:
    """Scheme, host and port; of a service's own scheme not even those, since its host may be a key."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return BLOT
    if parts.scheme.lower() not in _PLAIN_SCHEMES:
        return f"{parts.scheme}://{BLOT}"
    rest = f"/{BLOT}" if parts.username or parts.password or parts.path not in ("", "/") or parts.query else ""
    return f"{parts.scheme}://{host}{port}{rest}"
