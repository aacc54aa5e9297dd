"""Whether a request is signed by OAuth 1.0a (RFC 5849) with HMAC-SHA1, as the service checks it: pure."""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote

SKEW_S = 300
"""How far a signature's time may be off."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """An application's and an account's."""

    consumer_key: str
    consumer_secret: str
    access_token: str
    access_token_secret: str


@dataclass(frozen=True, slots=True)
class Signed:
    """A request, as far as its signature covers it."""

    method: str
    url: str
    """Scheme, host and path, without the query."""
    parameters: Sequence[tuple[str, str]]
    """Of the query, and of a body that is a form."""
    authorization: str


def read(authorization: str) -> dict[str, str]:
    """The header's parameters; empty for another scheme."""
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() != "oauth":
        return {}
    pairs = (part.strip().partition("=") for part in rest.split(","))
    return {unquote(name): unquote(value.strip('"')) for name, mark, value in pairs if mark}


def refusal(request: Signed, secrets: Secrets, now_s: int) -> str:
    """Why the request is refused; empty: it is signed as it must be. Whether its nonce is new is another question."""
    said = read(request.authorization)
    if said.get("oauth_signature_method") != "HMAC-SHA1":
        return "no OAuth 1.0a signature by HMAC-SHA1"
    if said.get("oauth_consumer_key") != secrets.consumer_key:
        return "unknown consumer key"
    if said.get("oauth_token") != secrets.access_token:
        return "unknown access token"
    stamp = said.get("oauth_timestamp", "")
    if not stamp.isdigit() or abs(int(stamp) - now_s) > SKEW_S:
        return "timestamp out of bounds"
    if not said.get("oauth_nonce"):
        return "no nonce"
    given = said.pop("oauth_signature", "")
    said.pop("realm", None)
    expected = signature(request.method, request.url, [*request.parameters, *said.items()], secrets)
    return "" if hmac.compare_digest(given.encode(), expected.encode()) else "the signature does not fit"


def signature(method: str, url: str, parameters: Sequence[tuple[str, str]], secrets: Secrets) -> str:
    """RFC 5849, 3.4."""
    pairs = sorted((_encoded(name), _encoded(value)) for name, value in parameters)
    joined = "&".join(f"{name}={value}" for name, value in pairs)
    base = "&".join((method.upper(), _encoded(url), _encoded(joined)))
    key = f"{_encoded(secrets.consumer_secret)}&{_encoded(secrets.access_token_secret)}"
    return base64.b64encode(hmac.new(key.encode(), base.encode(), hashlib.sha1).digest()).decode()


def headers_of(values: Mapping[str, str]) -> dict[str, str]:
    """Names in lower case."""
    return {name.lower(): value for name, value in values.items()}


def _encoded(text: str) -> str:
    return quote(text, safe="-._~")
