"""Identifiers of 128 bits that sort by time (the layout of UUID version 7, RFC 9562 §5.7), as 32 hex digits."""

import os
import re

_HEX32 = re.compile(r"[0-9a-f]{32}\Z")


def new_id(wall_ns: int, entropy: bytes | None = None) -> str:
    """Make an id from a wall-clock reading and 10 random bytes.

    `entropy` is for simulations that must repeat exactly; leave it out everywhere else.
    """
    noise = os.urandom(10) if entropy is None else entropy
    if len(noise) != 10:
        raise ValueError("an id takes 10 bytes of entropy")
    stamp = (wall_ns // 1_000_000) & (2**48 - 1)
    tail = int.from_bytes(noise, "big")
    rand_a = tail >> 68  # 12 bits
    rand_b = tail & (2**62 - 1)
    return f"{(stamp << 80) | (0x7 << 76) | (rand_a << 64) | (0x2 << 62) | rand_b:032x}"


def is_id(text: str) -> bool:
    """Whether `text` is 32 lower-case hex digits."""
    return _HEX32.match(text) is not None
