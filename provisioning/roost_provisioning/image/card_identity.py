"""What makes one card differ from another: name, seed, login, Wi-Fi, settings. Values, checked when they are made."""

import re

import msgspec

from roost_broker.errors import Misuse
from roost_broker.identities import MAX_NAME
from roost_edge.enrolment.seed import Seed

MAX_KEYS, MAX_KEY = 20, 8000
MAX_FILE = 100_000
RESERVED_USERS = frozenset({"root", "roost", "roost-model", "mosquitto", "daemon", "nobody"})
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\Z")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,30}\Z")
_KEY = re.compile(
    r"(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp\d+|sk-[a-z0-9@.-]+) [A-Za-z0-9+/]{40,}={0,3}(?: [^\"'`$\\]*)?\Z"
)
_HASH = re.compile(r"\$(?:6|y|5)\$[A-Za-z0-9./$=,]{20,200}\Z")
_WIFI_KEY = re.compile(r"[0-9a-f]{64}\Z")
_FILE = re.compile(r"(?:roost|schedules/[A-Za-z0-9][A-Za-z0-9_-]{0,62})\.toml\Z")


class Wifi(msgspec.Struct, frozen=True, kw_only=True):
    """A network. `key` is what `wifi_key` makes of the passphrase, empty for an open one; `country` two letters."""

    ssid: str
    key: str = ""
    country: str
    hidden: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.ssid.encode()) <= 32 or not self.ssid.isprintable() or self.ssid != self.ssid.strip():
            raise Misuse(
                f"{self.ssid[:40]!r} cannot be the name of a Wi-Fi network here",
                "It has 1 to 32 bytes, printable, without a blank at its ends.",
            )
        if self.key and not _WIFI_KEY.match(self.key):
            raise Misuse("the Wi-Fi key is not 64 hex digits", "Give the passphrase's file; the key is made from it.")
        if not re.fullmatch("[A-Z]{2}", self.country):
            raise Misuse(
                f"{self.country!r} is no country", "Give two capital letters, --wifi-country DE: radio rules differ."
            )


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """Who may log in: by key, by password (only its hash is kept), or both."""

    user: str
    keys: tuple[str, ...] = ()
    password: str = ""

    def __post_init__(self) -> None:
        if not _USER.match(self.user) or self.user in RESERVED_USERS:
            raise Misuse(
                f"{self.user[:40]!r} cannot be the user to log in as", "Use small letters, for example: keeper."
            )
        if not self.keys and not self.password:
            raise Misuse(f"nothing lets {self.user} in", "Give --ssh-key FILE, or --password-file FILE, or both.")
        if len(self.keys) > MAX_KEYS:
            raise Misuse(f"more than {MAX_KEYS} ssh keys", "Give fewer.")
        for key in self.keys:
            if len(key) > MAX_KEY or not key.isprintable() or not _KEY.match(key):
                raise Misuse(
                    f"{key[:30]!r}… is no public ssh key", "Give the file that ends in .pub, never the other one."
                )
        if self.password and not _HASH.match(self.password):
            raise Misuse("that is no hash of a password", "Give --password-file; the hash is made from it.")


class CardIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """One card. `files` are settings that go with the seed: `roost.toml`, `schedules/NAME.toml`.

    Without a name the host keeps the image's, and the device gets the name that its token gives.
    """

    name: str = ""
    seed: Seed | None = None
    login: Login | None = None
    wifi: Wifi | None = None
    files: dict[str, bytes] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name and (not _HOST.match(self.name) or len(self.name) > MAX_NAME):
            raise Misuse(
                f"{self.name[:80]!r} cannot be the name of a device and of its host",
                f"Use small letters, digits and '-', at most {MAX_NAME}, with a letter or digit at both ends.",
            )
        for path, content in self.files.items():
            if not _FILE.match(path):
                raise Misuse(f"{path[:80]!r} is no file of settings", "roost.toml and schedules/NAME.toml are.")
            if len(content) > MAX_FILE:
                raise Misuse(f"{path} has more than {MAX_FILE} bytes", "That is no file of settings.")
