"""The page's one password: hashed with scrypt, in a file that only its owner can read.

People choose it, so a guess must cost something: 16 MB of memory and, on a small Pi, some tenths of a second.
"""

import hashlib
import hmac
import os
from pathlib import Path

import msgspec
from msgspec import Struct

from roost_broker.durable import write_durably
from roost_broker.errors import Misuse

SHORTEST, LONGEST = 10, 200
_SALT_BYTES = 16
_MAX_FILE = 2_000
_MAX_MEMORY = 64 * 1024 * 1024
_MOST_COST = 2**15
_MAKE = "Make one: roost page password."


class Hashed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is kept. `n`, `r` and `p` are those of scrypt (RFC 7914)."""

    salt: bytes
    digest: bytes
    n: int = 2**14
    r: int = 8
    p: int = 1

    @property
    def fingerprint(self) -> bytes:
        """Another password has another one; it says nothing of either."""
        return hashlib.sha256(self.salt + self.digest).digest()


def check_new(password: str) -> str:
    """A password that may be set. Raises `Misuse`."""
    if not SHORTEST <= len(password) <= LONGEST or not password.isprintable():
        raise Misuse(
            f"A password has {SHORTEST} to {LONGEST} printable characters.", "Three or four words in a row are good."
        )
    return password


def hashed(password: str, salt: bytes | None = None) -> Hashed:
    """As it is kept."""
    salt = os.urandom(_SALT_BYTES) if salt is None else salt
    empty = Hashed(salt=salt, digest=b"")
    return Hashed(salt=salt, digest=_scrypt(password, empty))


def is_password(password: str, known: Hashed) -> bool:
    """Whether it is the one. Slow, on purpose."""
    return len(password) <= LONGEST and hmac.compare_digest(_scrypt(password, known), known.digest)


def write(path: Path, password: str) -> None:
    """Set the password durably; the file belongs to whom its folder's folder belongs, for a role is to read it."""
    write_durably(path, msgspec.json.encode(hashed(check_new(password))), mode=0o600)
    if os.geteuid() == 0:  # run with sudo for a role that is no root
        owner = path.parent.parent.stat()
        for one in (path.parent, path):
            os.chown(one, owner.st_uid, owner.st_gid)


def read(path: Path) -> Hashed | None:
    """The password's hash; None where none was set. Raises `Misuse`."""
    try:
        mode = path.stat().st_mode
        data = path.read_bytes()[: _MAX_FILE + 1]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Misuse(f"The page's password in {path} cannot be read: {error.strerror}.", _MAKE) from error
    if mode & 0o077:
        raise Misuse(f"{path} can be read by others than its owner.", f"chmod 600 {path}")
    try:
        found = msgspec.json.decode(data, type=Hashed)
    except msgspec.DecodeError as error:
        raise Misuse(f"{path} holds no password.", _MAKE) from error
    if not (2 <= found.n <= _MOST_COST and 1 <= found.r <= 8 and 1 <= found.p <= 4 and found.salt and found.digest):
        raise Misuse(f"{path} holds no password that this Roost made.", _MAKE)
    return found


def _scrypt(password: str, known: Hashed) -> bytes:
    return hashlib.scrypt(
        password.encode(), salt=known.salt, n=known.n, r=known.r, p=known.p, maxmem=_MAX_MEMORY, dklen=32
    )
