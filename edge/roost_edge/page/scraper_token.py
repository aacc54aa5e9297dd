"""A token for programs that read `/metrics`: a password is for people, and costs time to check.

256 random bits, so its plain SHA-256 is enough to be kept; whoever has the file has no token. It opens `/metrics` and
nothing else.
"""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from roost_broker.durable import write_durably

_MOST = 200


def make(path: Path) -> str:
    """A new token, said once; the one before ends. The file belongs to whom its folder's folder belongs."""
    token = secrets.token_urlsafe(32)
    write_durably(path, _hash(token).encode(), mode=0o600)
    if os.geteuid() == 0:  # run with sudo for a role that is no root
        owner = path.parent.parent.stat()
        for one in (path.parent, path):
            os.chown(one, owner.st_uid, owner.st_gid)
    return token


def is_token(path: Path, authorization: str) -> bool:
    """Whether this header carries the token of this file. No file: no token."""
    kind, _, token = authorization.partition(" ")
    if kind.lower() != "bearer" or not 0 < len(token) <= _MOST:
        return False
    try:
        known = path.read_text(encoding="ascii")[:_MOST].strip()
    except (OSError, UnicodeDecodeError):
        return False
    return len(known) == 64 and hmac.compare_digest(_hash(token.strip()), known)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()
