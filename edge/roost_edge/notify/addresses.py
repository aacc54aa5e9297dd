"""The addresses that notices go to: a file that nobody but its owner may read, one address of apprise on each line.

They hold passwords and tokens. So they stand neither in the settings nor on a command line, they are never logged, and
an address is spoken of as the line it stands on and its scheme. Under systemd the unit is handed the file
(`LoadCredential=notify:…`).
"""

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from roost_broker.errors import Misuse

_CREDENTIAL: Final = "notify"
_LONGEST = 100_000
_MOST = 50
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Address:
    """One of them."""

    line: int
    url: str

    @property
    def key(self) -> str:
        """What the queue calls it: always the same for the same address, and no way back to it."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:16]

    def __repr__(self) -> str:
        """For logs."""
        scheme, colon, _ = self.url.partition("://")
        return f"line {self.line} ({scheme[:20] if colon and scheme.isalnum() else 'no scheme'})"


def given(path: str) -> Path:
    """Where this process finds the file: what systemd handed it, else the settings' path."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    handed = Path(folder, _CREDENTIAL)
    return handed if folder and handed.is_file() else Path(path)


def load(path: Path) -> tuple[Address, ...]:
    """The addresses, each once. Raises `Misuse` for a file that is not there, not safe, or has none."""
    try:
        with path.open("rb") as file:
            about = os.fstat(file.fileno())
            text = file.read(_LONGEST + 1)
    except OSError as error:
        raise Misuse(
            f"The addresses for notices in {path} cannot be read: {error.strerror}.",
            f"Write one address of apprise on each line: install -m 600 /dev/null {path}, then edit it.",
        ) from error
    handed = os.environ.get("CREDENTIALS_DIRECTORY", "") == str(path.parent)  # systemd's own folder is safe
    if about.st_mode & _OTHERS and not handed:
        raise Misuse(f"Others than its owner may read {path}, and it holds secrets.", f"chmod 600 {path}")
    if len(text) > _LONGEST:
        raise Misuse(f"{path} is larger than {_LONGEST} bytes.", "It has one address on each line, and nothing else.")
    found = parse(text.decode("utf-8", "replace"))
    if not found:
        raise Misuse(f"{path} has no address.", "Write one of apprise on each line, such as mailto://….")
    if len(found) > _MOST:
        raise Misuse(f"{path} has {len(found)} addresses.", f"At most {_MOST} may be.")
    return found


def parse(text: str) -> tuple[Address, ...]:
    """Pure. Empty lines and those that begin with # are left out."""
    lines = ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1))
    found: dict[str, Address] = {}
    for number, line in lines:
        if line and not line.startswith("#"):
            found.setdefault(line, Address(number, line))
    return tuple(found.values())
