"""Who a certificate is for: its common name, `<kind>:<name>`, built and parsed here and nowhere else. Pure.

    operator:<person>   may order: schedules, requests, everything an operator does
    watcher:<person>    may look, and change nothing
    gateway:<node>      carries one device's messages
    device:<node>       one device itself, as client and as server of its own listener
    server:<host>       a service of the centre: streams, registry, enrolment desk

Mosquitto makes the common name the user name (`use_identity_as_username`). So it has none of `+`, `#` and `/`, with
which Mosquitto refuses every `pattern` rule. And it has a `:`, which no name in a password file can have: whoever
comes with a password is never taken for somebody who came with a certificate. X.509 allows a common name 64
characters, so a name has 54 at most.
"""

import re
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

from roost_broker.errors import Malformed, Misuse

Kind: TypeAlias = Literal["operator", "watcher", "gateway", "device", "server"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
MAX_NAME: Final = 54
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\Z")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?\Z")


class Identity(NamedTuple):
    """A kind and a name. Make it by `identity` or `parse`, which check both."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        """The common name, which is also the user name at the broker."""
        return f"{self.kind}:{self.name}"


def identity(kind: str, name: str) -> Identity:
    """An identity of this kind and name. Raises `Misuse` where one of them cannot be."""
    for known in KINDS:
        if known == kind:
            break
    else:
        raise Misuse(f"{kind!r} is no kind of identity.", f"There are: {', '.join(KINDS)}.")
    if len(name) > MAX_NAME or not (_HOST if known == "server" else _NAME).match(name):
        allowed = "letters, digits, '-' and '.'" if known == "server" else "letters, digits, '-' and '_'"
        raise Misuse(
            f"{name[:80]!r} cannot be the name of a {kind}.",
            f"Use {allowed}, at most {MAX_NAME}, beginning with a letter or digit.",
        )
    return Identity(known, name)


def parse(common_name: str) -> Identity:
    """The identity that a certificate's common name says. Raises `Malformed` when it says none."""
    kind, colon, name = common_name.partition(":")
    try:
        if colon:
            return identity(kind, name)
    except Misuse:
        pass
    raise Malformed(
        f"{common_name[:80]!r} is no identity of a fleet.",
        "Certificates of a fleet are issued by `roost pki` or its enrolment desk; this one is from elsewhere.",
    )
