"""Shares of requests or of tag values, chosen by hash: everybody who asks gets the same answer, on any machine.

The hash of a name and a key is a number from 0 to just under 1; a key is in a share when its number is below it.
So shares are nested (who is in 10 % is in 20 % too) and differently named shares are independent of each other.
"""

from collections.abc import Mapping
from hashlib import sha256

_BITS = 53
"""As many as a float holds exactly, so that the number never rounds up to 1."""


def place(name: str, key: str) -> float:
    """Where this key stands for this name: at least 0, below 1, evenly spread."""
    digest = sha256(f"{name}\0{key}".encode(errors="surrogatepass")).digest()
    return (int.from_bytes(digest[:8]) >> (64 - _BITS)) / (1 << _BITS)


def in_share(name: str, key: str, share: float) -> bool:
    """Whether this key is among the `share` (0 to 1) of all keys that `name` takes."""
    return share >= 1 or (share > 0 and place(name, key) < share)


def draw(chances: Mapping[str, float], key: str) -> str:
    """The name that this key draws; `chances` add up to 1. The order in which they are given does not matter."""
    left = place("", key)
    names = sorted(chances)
    for name in names:
        left -= chances[name]
        if left < 0:
            return name
    return names[-1]  # the chances add up to a hair less than 1
