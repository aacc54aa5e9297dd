"""Secrets of the broker's users: made, read, and hashed as Mosquitto keeps them.

A secret is 256 random bits that no person chose and none has to remember. So the number of iterations protects
nothing: nobody tries 2^256 of them, and each connection and each reload would pay for it, for every user.
"""

import base64
import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from roost_broker.errors import Misuse

_ITERATIONS = 101
"""What `mosquitto_passwd` takes."""
_SALT_BYTES = 12
_MAX_BYTES = 1000


def new_secret() -> str:
    """256 bits as text."""
    return secrets.token_urlsafe(32)


def read_secret(path: Path) -> str:
    """The secret in a file. Raises `Misuse` where none can be read."""
    try:
        text = path.read_bytes()[: _MAX_BYTES + 1].decode("ascii").strip()
    except PermissionError as error:
        raise Misuse(
            f"This user may not read the broker's password in {path}.",
            "Run this as root (sudo), or as a service that systemd gives the password (LoadCredential=mqtt:…).",
        ) from error
    except OSError as error:
        raise Misuse(
            f"The broker's password in {path} cannot be read: {error.strerror}.",
            "Make the passwords, as root: roost broker setup.",
        ) from error
    except UnicodeDecodeError:
        text = ""
    if not text or len(text) > _MAX_BYTES or not text.isprintable():
        raise Misuse(f"{path} holds no password.", "Delete it, and make it anew: roost broker setup.")
    return text


def hashed(secret: str, salt: bytes) -> str:
    """As Mosquitto writes it: `$7$` is PBKDF2 with SHA-512."""
    digest = hashlib.pbkdf2_hmac("sha512", secret.encode(), salt, _ITERATIONS, 64)
    return f"$7${_ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def is_hash_of(secret: str, text: str) -> bool:
    """Whether `text` is a hash of this secret, of the form that `hashed` makes."""
    try:
        _, kind, iterations, salt, _ = text.split("$")
        if kind != "7" or int(iterations) != _ITERATIONS:
            return False
        return hmac.compare_digest(hashed(secret, base64.b64decode(salt, validate=True)), text)
    except ValueError:
        return False


def password_file(users: Mapping[str, str], old: str) -> str:
    """Mosquitto's password file for `users` (secret by user); hashes in the `old` one that are right are kept."""
    known = dict(line.split(":", 1) for line in old.splitlines() if ":" in line)
    lines = []
    for user in sorted(users):
        kept = known.get(user, "")
        if not is_hash_of(users[user], kept):
            kept = hashed(users[user], os.urandom(_SALT_BYTES))
        lines.append(f"{user}:{kept}\n")
    return "".join(lines)
