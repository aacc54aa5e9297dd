"""One-time tokens: what they look like, what is kept of them, and which name one gives. Pure.

    <id>-<secret>     8 hex digits that may be shown anywhere, and 32 characters (160 bits) that may not

Only a hash is kept. It needs no salt and no slow function: nobody guesses 160 random bits.
"""

import base64
import hashlib
from typing import NamedTuple

from roost_broker.errors import Misuse, PeerError
from roost_broker.identities import MAX_NAME, identity
from roost_broker.topics import is_name

_SHORTEST, _LONGEST = 6, 24
ENTROPY = 24
MAX_PREFIX = 40


class NotIssued(PeerError):
    """The authority does not sign: a token, a name or a certificate that is not good for it."""


class NameTaken(NotIssued):
    """Another key has the name, or this key has another name."""


class Token(NamedTuple):
    """What is kept of a token."""

    id: str
    hash: str
    name: str
    """The one name that it is for; empty with a prefix, or when any name will do."""
    prefix: str
    uses: int
    used: int
    until: int
    """Seconds since 1970."""


def new_text(entropy: bytes) -> str:
    """A token, from 24 random bytes."""
    if len(entropy) != ENTROPY:
        raise ValueError(f"a token takes {ENTROPY} bytes of entropy")
    return f"{entropy[:4].hex()}-{base64.b32encode(entropy[4:]).decode('ascii').lower()}"


def hash_of(text: str) -> str:
    """What is kept of it."""
    return hashlib.sha256(text.strip().encode("utf-8", errors="replace")).hexdigest()


def check_names(name: str, prefix: str, uses: int) -> None:
    """Raise `Misuse` where a token cannot be for this name, or this prefix."""
    if name and prefix:
        raise Misuse("A token is for one name or for a prefix.", "Give --name or --prefix.")
    if name:
        identity("device", name)
        if uses != 1:
            raise Misuse("One name is for one device.", "Leave --uses out, or give --prefix instead of --name.")
    if prefix and (len(prefix) > MAX_PREFIX or not is_name(prefix)):
        raise Misuse(
            f"{prefix[:80]!r} cannot begin the name of a device.",
            f"Use letters, digits, '-' and '_', at most {MAX_PREFIX}, beginning with a letter or digit.",
        )


def names_for(token: Token, wished: str, key_id: str) -> list[str]:
    """The names to try, in this order. Raises `NotIssued` when the wish does not suit the token.

    A suffix comes from the key: two clones of a card differ, and the same device gets the same name again.
    """
    stem = f"{token.prefix or 'roost'}-"
    if token.name:
        if wished not in ("", token.name, f"{token.name}-"):
            raise NotIssued(
                f"This token is for another name than {wished!r}.", "Leave the name out, or ask for another token."
            )
        return [token.name]
    if wished and wished != token.prefix and wished != stem:
        if token.prefix and not wished.startswith(stem):
            raise NotIssued(
                f"This token is for names that begin with {stem}.",
                "Leave the name out, or ask for another token.",
            )
        try:
            return [identity("device", wished).name]
        except Misuse as error:
            raise NotIssued(error.problem, error.remedy) from error
    digits = base64.b32encode(bytes.fromhex(key_id)).decode("ascii").lower()
    lengths = (length for length in range(_SHORTEST, _LONGEST + 1, _SHORTEST) if len(stem) + length <= MAX_NAME)
    return [stem + digits[:length] for length in lengths]
