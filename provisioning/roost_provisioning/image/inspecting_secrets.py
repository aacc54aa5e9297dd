"""What must not be in an image that becomes more than one card. Pure: paths, modes and contents in, findings out.

Three levels. `must-not`: whoever has one card has all of them, or two cards are taken for one. `personal`: belongs on
a card for one device, not in an image that is handed round. `note`: worth knowing. The venv is not looked into.
"""

import re
import tomllib

import msgspec

from roost_provisioning.image.card_passwords import guessed

MUST_NOT, PERSONAL, NOTE = "must-not", "personal", "note"
MAX_LOOK = 64 << 10  # bytes; a key, a token or a password file is smaller
LOOKED_AT = ("/etc", "/root", "/home", "/srv", "/opt", "/var/lib")
NOT_ENTERED = frozenset({"/opt/roost/venv", "/etc/ssl/certs", "/var/lib/dpkg", "/var/lib/apt", "/var/lib/ucf"})

_PRIVATE_KEY = re.compile(
    rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|AGE-SECRET-KEY-1|PuTTY-User-Key-File-"
)
_SHADOW_LOCKED = re.compile(r"[!*]")
_WIFI = re.compile(rb"^\s*(?:psk|password|wep-key\d)\s*[=:]\s*\S", re.MULTILINE)
_URL_PASSWORD = re.compile(rb"https?://[^/\s:@]+:[^/\s@]+@")
_USER_PASSWORD = re.compile(
    r"""^\s*-?\s*["']?(passwd|hashed_passwd|plain_text_passwd)["']?\s*:\s*["']?([^"'\s]+)""", re.M
)
_BLANK_IDS = {b"", b"uninitialized"}
_LOGINS = {".netrc", ".pypirc", ".git-credentials", ".pgpass"}


class Finding(msgspec.Struct, frozen=True):
    """Something that was seen. `where` is a path in the image, `remedy` the next step."""

    level: str
    what: str
    where: str
    remedy: str = ""


def of_file(path: str, mode: int, content: bytes) -> list[Finding]:
    """What a file of the root or data file system gives away. `path` as the running device has it."""
    name, found = path.rsplit("/", 1)[-1], []
    open_to_all = ", and everybody on the device may read it" if mode & 0o044 else ""
    if path == "/etc/shadow":
        return [finding for line in content.decode("utf-8", "replace").split("\n") for finding in _shadow(line)]
    if path in {"/etc/machine-id", "/var/lib/dbus/machine-id"}:
        return [] if content.strip() in _BLANK_IDS else [_must(_SAME_ID, path, f"Empty {path} before imaging.")]
    if path == "/var/lib/systemd/credential.secret":
        return [_must("the key that this machine's credentials are sealed with", path, _REMOVE)]
    if path == "/var/lib/systemd/random-seed":
        found.append(Finding(NOTE, "a random seed that all cards would begin with", path, _REMOVE))
    if _PRIVATE_KEY.search(content):
        found.append(_must(_kind_of_key(path, name) + open_to_all, path, _REMOVE_KEY))
    if path.startswith("/etc/roost/broker/passwords/") or name.endswith(".passwd"):
        found.append(_must("passwords of the local broker" + open_to_all, path, "They are made on the device."))
    if "/etc/NetworkManager/" in path or "/etc/netplan/" in path or name.startswith("wpa_supplicant"):
        found += (
            [_must(_A_WIFI, path, "Give it to each card: --wifi with personalise.")] if _WIFI.search(content) else []
        )
    if path.startswith("/etc/apt/") and (
        _URL_PASSWORD.search(content) or ("/auth.conf" in path and b"password" in content)
    ):
        found.append(_must("a login for a package archive", path, _REMOVE))
    if name in _LOGINS and content.strip():
        found.append(_must("a login for another machine", path, _REMOVE))
    if name == "authorized_keys" and content.strip():
        keys = [
            line.split()[-1]
            for line in content.decode("utf-8", "replace").split("\n")
            if line.strip()[:1] not in ("", "#")
        ]
        found.append(Finding(NOTE, f"who holds one of these keys may log in: {', '.join(keys)[:200]}", path))
    if name in {".bash_history", ".python_history", ".viminfo"} and content.strip():
        found.append(Finding(NOTE, "what somebody typed", path, _REMOVE))
    return found


def of_boot_file(path: str, content: bytes) -> list[Finding]:
    """What a file of the boot partition gives away: everybody who holds the card can read all of it."""
    name, where = path.rsplit("/", 1)[-1].lower(), f"/boot/firmware/{path}"
    text = content.decode("utf-8", "replace")
    found = []
    if _PRIVATE_KEY.search(content):
        found.append(_must(_kind_of_key(where, name), where, _REMOVE_KEY))
    if path.lower() == "roost/seed.toml":
        found += _seed(text, where)
    if name == "user-data":
        for kind, value in _USER_PASSWORD.findall(text):
            found += _password("a user", value, where) if kind != "plain_text_passwd" else [_must(_PLAIN, where, _HASH)]
    if name in {"userconf", "userconf.txt"} and ":" in text:
        found += _password(text.split(":")[0], text.strip().split(":", 1)[1], where)
    if name == "firstrun.sh":
        for user, value in re.findall(r"userconf['\"]? ['\"]?([a-z0-9_-]+)['\"]? ['\"]?(\$[^'\"\s]+)", text):
            found += _password(user, value, where)
    if name in {"network-config", "wpa_supplicant.conf"} and _WIFI.search(content):
        found.append(Finding(PERSONAL, _A_WIFI, where, _NOT_ROUND))
    if path.lower().startswith("roost/") and name.endswith(".nmconnection") and _WIFI.search(content):
        found.append(Finding(PERSONAL, _A_WIFI, where, _NOT_ROUND))
    return found


def must_not_be(findings: list[Finding], *, public: bool) -> list[Finding]:
    """Those that make an image unfit: for one device, or (`public`) to be handed round."""
    return [one for one in findings if one.level == MUST_NOT or (public and one.level == PERSONAL)]


def _seed(text: str, where: str) -> list[Finding]:
    try:
        section = tomllib.loads(text).get("enrol")
    except tomllib.TOMLDecodeError as error:
        return [Finding(NOTE, f"a seed that is no TOML: {error}", where, "Write it anew with personalise.")]
    if not isinstance(section, dict) or not section.get("token"):
        return []
    name = section.get("name") or "a device that takes its name from the token"
    return [Finding(PERSONAL, f"a token to enrol with, for {str(name)[:80]}", where, _NOT_ROUND)]


def _shadow(line: str) -> list[Finding]:
    user, _, rest = line.partition(":")
    value = rest.split(":")[0] if rest else "*"
    if _SHADOW_LOCKED.match(value):
        return []
    return [
        _must(f"{_password_words(user, value)}: all cards would have it", "/etc/shadow", f"Lock it: passwd -l {user}.")
    ]


def _password_words(user: str, value: str) -> str:
    if not value:
        return f"{user} logs in without a password"
    known = guessed(value)
    return f"the password of {user} is {known!r}" if known is not None else f"{user} has a password"


def _password(user: str, value: str, where: str) -> list[Finding]:
    if _SHADOW_LOCKED.match(value):
        return []
    if not value or guessed(value) is not None:
        return [_must(_password_words(user, value), where, "Write the card again with another password.")]
    return [Finding(PERSONAL, f"the hash of {user}'s password", where, _NOT_ROUND)]


def _kind_of_key(path: str, name: str) -> str:
    if name.startswith("ssh_host_"):
        return "an ssh host key: all cards would have the same"
    if path.startswith("/var/lib/roost/identity/"):
        return "a device's private key: all cards would be the same device"
    return "a private key"


def _must(what: str, where: str, remedy: str) -> Finding:
    return Finding(MUST_NOT, what, where, remedy)


_SAME_ID = "a machine id: all cards would be taken for one machine"
_A_WIFI = "the key of a Wi-Fi network"
_PLAIN = "a password in plain text"
_HASH = "Give only its hash: --password-file with personalise."
_REMOVE = "Take the file out before imaging."
_REMOVE_KEY = "Take it out before imaging; if the image left your hands, treat the key as lost and replace it."
_NOT_ROUND = "Right on a card for one device. Do not hand this image round."
