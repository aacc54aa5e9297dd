"""Password hashes as /etc/shadow has them: made with the system's libcrypt, and tried against what everybody guesses.

Python lost its `crypt` module with 3.13; the library is on every Debian.
"""

import ctypes
import hashlib
import secrets
import string

from roost_broker.errors import Misuse

GUESSES = (
    "", "raspberry", "pi", "password", "admin", "root", "toor", "roost", "debian", "ubuntu", "user", "changeme",
    "secret", "1234", "12345", "123456", "12345678", "letmein", "qwerty",
)  # fmt: skip
MIN_LENGTH, MAX_LENGTH = 8, 200
_SALT = string.ascii_letters + string.digits + "./"


def password_hash(plain: str) -> str:
    """A salted SHA-512 hash that every release's login understands. Raises `Misuse` for a password that is none."""
    if not MIN_LENGTH <= len(plain) <= MAX_LENGTH or not plain.isprintable():
        raise Misuse(
            f"a password has {MIN_LENGTH} to {MAX_LENGTH} printable characters on one line", "Choose another one."
        )
    if plain.casefold() in GUESSES:
        raise Misuse("this password is among the first that are tried", "Choose another one, or give only --ssh-key.")
    return _crypt(plain, "$6$" + "".join(secrets.choice(_SALT) for _ in range(16)))


def guessed(hashed: str) -> str | None:
    """The password that a hash is of, when it is one that everybody tries first; None where it is not."""
    try:
        return next((guess for guess in GUESSES if _crypt(guess, hashed) == hashed), None)
    except Misuse:
        return None  # a kind of hash this machine does not know; then nothing can be said of it


def wifi_key(ssid: str, passphrase: str) -> str:
    """What WPA makes of a network's name and passphrase: 64 hex digits. The passphrase itself need not be written.

    Raises `Misuse` for what cannot be a passphrase. 64 hex digits are taken as they are.
    """
    if len(passphrase) == 64 and not set(passphrase) - set(string.hexdigits):
        return passphrase.lower()
    if not 8 <= len(passphrase) <= 63 or not (passphrase.isascii() and passphrase.isprintable()):
        raise Misuse("a Wi-Fi passphrase has 8 to 63 printable ASCII characters", "Look at the file you gave.")
    return hashlib.pbkdf2_hmac("sha1", passphrase.encode(), ssid.encode(), 4096, 32).hex()


def _crypt(plain: str, setting: str) -> str:
    try:
        crypt = ctypes.CDLL("libcrypt.so.1").crypt
    except (OSError, AttributeError) as error:
        raise Misuse("this machine has no libcrypt", "Install it (apt install libcrypt1), or give the hash.") from error
    crypt.argtypes, crypt.restype = [ctypes.c_char_p, ctypes.c_char_p], ctypes.c_char_p
    said: bytes | None = crypt(plain.encode(), setting.encode("ascii", "replace"))
    if said is None or said.startswith(b"*"):
        raise Misuse("libcrypt does not know this kind of hash", "Use a $6$ or $y$ hash.")
    return said.decode("ascii")
