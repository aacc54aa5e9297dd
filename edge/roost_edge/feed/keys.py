"""The account's four OAuth keys: a TOML file that nobody but its owner may read.

Under systemd the unit is handed the file (`LoadCredential=feed:…`), so that no other role can read it; an empty one
means that there are no keys yet. The keys are never logged, and never stand on a command line.
"""

import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from roost_broker.durable import write_durably
from roost_broker.errors import Misuse

NAMES: Final = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
_CREDENTIAL: Final = "feed"
_LONGEST: Final = 10_000


class Keys(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As the service's developer page names them. Bad values raise ValueError."""

    consumer_key: str
    consumer_secret: str
    access_token: str
    access_token_secret: str

    def __post_init__(self) -> None:
        for name in NAMES:
            value = getattr(self, name)
            if not value or not value.isascii() or not value.isprintable() or " " in value:
                raise ValueError(f"{name} is empty, or has a character that no key has")

    def __repr__(self) -> str:
        return "Keys(…)"  # whatever logs it


def given(path: str) -> Path:
    """Where this process finds the file: what systemd handed it, else the settings' path."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    handed = Path(folder, _CREDENTIAL)
    return handed if folder and handed.is_file() else Path(path)


def load(path: Path) -> Keys | None:
    """The keys; None while there are none (no file, or an empty one). Raises `Misuse` for a file that is not safe.

    Whoever may read the file may post in the account's name; whoever may write into its folder may exchange it.
    """
    try:
        with path.open("rb") as file:
            about = os.fstat(file.fileno())
            text = file.read(_LONGEST)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise Misuse(f"{path} cannot be read by this user.", f"Make it the user's own: chown … {path}.") from error
    if os.environ.get("CREDENTIALS_DIRECTORY", "") != str(path.parent):  # systemd's own folder is safe, and shown so
        _check_mode(path, about)
    if not text.strip():
        return None
    try:
        return of(tomllib.loads(text.decode("utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):  # their own words would quote what stands there
        why = "it is no TOML"
    except ValueError as error:
        why = str(error)
    remedy = "Write it anew: roost feed keys. It has four lines: " + ", ".join(f'{name} = "…"' for name in NAMES)
    raise Misuse(f"The keys in {path} cannot be used: {why}.", f"{remedy}.")


def of(values: Mapping[str, object]) -> Keys:
    """The keys of these values. Raises ValueError, which repeats nothing of them: a key may stand in a wrong place."""
    missing = [name for name in NAMES if name not in values]
    if missing:
        raise ValueError(f"there is no {missing[0]}")
    if len(values) != len(NAMES):
        raise ValueError("there are other lines than the four")
    found = {name: value for name, value in values.items() if isinstance(value, str)}
    if len(found) != len(NAMES):
        raise ValueError("a key is no text in quotes")
    return Keys(**found)


def check(path: Path) -> bool:
    """Whether the file is there; without reading it, for whoever may not. Raises `Misuse` as `load` does."""
    try:
        _check_mode(path, path.stat())
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _check_mode(path: Path, about: os.stat_result) -> None:
    """Raises `Misuse` where others than its owner may read or exchange the file."""
    mode = stat.S_IMODE(about.st_mode)
    if mode & 0o077:
        raise Misuse(
            f"{path} holds secret keys, and others may use it (mode {mode:04o}).",
            f"chmod 600 {path}; if others have been on this machine, make new keys on the service's developer page.",
        )
    if about.st_uid not in (os.geteuid(), 0):
        raise Misuse(f"{path} belongs to another user (number {about.st_uid}).", f"chown {os.geteuid()} {path}.")
    folder = stat.S_IMODE(path.parent.stat().st_mode)
    if folder & 0o022 and not folder & stat.S_ISVTX:
        raise Misuse(
            f"Others may exchange files in {path.parent} (mode {folder:04o}), the keys among them.",
            f"chmod go-w {path.parent}.",
        )


def save(path: Path, keys: Keys) -> None:
    """Write the file, readable by its owner alone from its first moment on. Raises OSError."""
    body = "".join(f'{name} = "{_escaped(getattr(keys, name))}"\n' for name in NAMES)
    write_durably(path, f"# Keys of the feed's account. Nobody else may read this.\n{body}".encode(), mode=0o600)
    path.chmod(0o600)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
