"""Who may use the page.

1. On loopback anybody who is on this machine, and says who they are.
2. Anywhere else only over TLS, and only with a token; the token says who it is, so that nobody labels as somebody else.
3. Tokens lie in a file that only its owner can read, one `author token` a line. They are never logged.
"""

import hmac
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from roost_broker.errors import Misuse
from roost_rendezvous.proxy.refused import Refused

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_SHORTEST = 24
_BEARER = "Bearer "
MAX_AUTHOR = 100


@dataclass(frozen=True, slots=True)
class Access:
    """Where the page listens and who may use it. `tokens` (token → author) empty: anybody on this machine."""

    host: str = "127.0.0.1"
    tls: ssl.SSLContext | None = None
    tokens: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        if not self.local and (self.tls is None or not self.tokens):
            raise Misuse(
                f"The label page would be open to everybody at {self.host}.",
                "Give --tls-cert, --tls-key and --tokens; or leave --host out, and use a tunnel (ssh -L).",
            )

    @property
    def local(self) -> bool:
        """Whether only this machine can connect."""
        return self.host in _LOOPBACK

    def author(self, authorization: str, claimed: str) -> str:
        """Who is asking. Raises `Refused`: 401 without a valid token, 400 without a name."""
        if self.tokens:
            token_given = authorization.removeprefix(_BEARER) if authorization.startswith(_BEARER) else ""
            given = token_given.encode(errors="surrogateescape")  # a header's bytes need not be UTF-8
            found = ""
            for token, author in self.tokens.items():  # all of them, so that time says nothing
                if hmac.compare_digest(token.encode(), given):
                    found = author
            if not found:
                raise Refused(401, "This page wants a token.", "Enter the token that you were given.")
            return found
        return check_author(claimed)


def check_author(name: str) -> str:
    """A name fit to stand beside labels. Raises `Refused` (400)."""
    author = name.strip()
    if not author or len(author) > MAX_AUTHOR or not author.isprintable():
        raise Refused(400, "Nobody says who this is.", f"Give `author`: 1 to {MAX_AUTHOR} printable characters.")
    return author


def read_tokens(file: Path) -> dict[str, str]:
    """Authors by token. Raises `Misuse`."""
    try:
        mode = file.stat().st_mode
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Misuse(f"The tokens in {file} cannot be read: {error}.", _how()) from error
    if mode & 0o077:
        raise Misuse(f"{file} can be read by others than its owner.", f"chmod 600 {file}")
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        author, _, token = line.strip().rpartition(" ")
        if not author.strip() or len(token) < _SHORTEST or token in found or len(author) > MAX_AUTHOR:
            raise Misuse(f"{file}, line {number} is no author and a token of {_SHORTEST} characters or more.", _how())
        found[token] = author.strip()
    if not found:
        raise Misuse(f"{file} has no tokens.", _how())
    return found


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """For a server, TLS 1.2 at least. Raises `Misuse`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise Misuse(
            f"The certificate {certificate} cannot be used: {error}.", "Give a chain and its key, PEM."
        ) from error
    return context


def _how() -> str:
    return f"Write lines of an author and a token, for example: anna {secrets.token_urlsafe(24)}"
