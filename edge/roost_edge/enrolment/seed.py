"""The seed: what a card brings to a device's first boot, in a folder that a person can fill with a card reader.

    seed.toml   [enrol] url, token, ca_sha256, name, made
    ca.pem      certificates of the fleet's authority; may be left out where `ca_sha256` is given

Nothing in it is a key. The token is good for as many devices as the authority said (as a rule one) and for a few
days, and is taken out of the file once the device has enrolled.
"""

import json
import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct, structs

from roost_broker.durable import write_durably
from roost_broker.errors import Malformed, Misuse
from roost_broker.identities import MAX_NAME
from roost_broker.topics import is_name

SEED, CA = "seed.toml", "ca.pem"
MAX_BYTES = 100_000
_TOKEN = re.compile(r"[A-Za-z0-9_-]{20,200}\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


class Seed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where to enrol, and what with. Raises `Misuse` for values that cannot be."""

    url: str
    """The enrolment desk: `https://HOST:PORT`."""
    token: str = ""
    """As `roost pki token` printed it; empty once it was used."""
    ca_sha256: str = ""
    """SHA-256 of the root authority's certificate (DER), 64 hex digits: the desk is believed by this."""
    ca: str = ""
    """The same authority as PEM (the file `ca.pem`). At least one of the two is needed."""
    name: str = ""
    """The name wished for; must suit the token. Empty: the token's own name, or its prefix and a suffix."""
    made: datetime | None = None
    """When the seed was written: a device without a battery clock knows by it that it is not earlier."""

    def __post_init__(self) -> None:
        self.address  # noqa: B018 — looked at for its refusal
        if self.token and not _TOKEN.match(self.token):
            raise Misuse("The token is none.", "Take it over whole, as `roost pki token` printed it.")
        if self.ca_sha256 and not _SHA256.match(self.ca_sha256):
            raise Misuse(f"ca_sha256 {self.ca_sha256[:80]!r} is none.", "It has 64 hex digits, in lower case.")
        if not self.ca_sha256 and not self.ca:
            raise Misuse(
                "The seed does not say which authority to believe.",
                f"Give ca_sha256 (`roost pki status` shows it), or put the authority's {CA} beside it.",
            )
        if self.name and (len(self.name) > MAX_NAME or not is_name(self.name)):
            raise Misuse(
                f"{self.name[:80]!r} cannot be the name of a device.",
                f"Use letters, digits, '-' and '_', at most {MAX_NAME}, beginning with a letter or digit.",
            )
        if self.made is not None and self.made.tzinfo is None:
            raise Misuse("made has no time zone.", "Write it with Z at its end: 2026-11-20T10:30:00Z.")

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the desk. Raises `Misuse`."""
        return address_of(self.url)


def address_of(url: str) -> tuple[str, int]:
    """Host and port of an enrolment desk. Raises `Misuse` when `url` is the address of none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 8443
    except ValueError:
        host, port = None, 0
    if not host or parts.scheme != "https" or parts.path.strip("/") or parts.query or not url.isprintable():
        raise Misuse(f"{url[:200]!r} is no address of an enrolment desk.", "For example https://centre.example:8443.")
    return host, port


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    enrol: Seed


def read_seed(folder: Path) -> Seed:
    """The seed in this folder. Raises `Misuse` (none there, or values that cannot be), `Malformed` (no TOML)."""
    path = folder / SEED
    document = _document(path)
    section = document.get("enrol")
    beside = folder / CA
    if isinstance(section, dict) and not section.get("ca") and beside.is_file():
        section["ca"] = _bounded(beside).decode("ascii", errors="replace")
    try:
        return msgspec.convert(document, _File).enrol
    except msgspec.ValidationError as error:
        raise Malformed(f"{path}: {error}.", "Write it anew with `roost image personalise`, or mend it.") from error
    except Misuse as error:
        raise Misuse(f"{path}: {error.problem}", error.remedy) from error


def write_seed(folder: Path, seed: Seed) -> None:
    """Write a seed, durably: readable by its owner only, where the card's file system knows owners."""
    lines = ["# Written by Roost. The token is taken out when the device has enrolled.", "[enrol]"]
    for name in ("url", "token", "ca_sha256", "name"):
        if value := getattr(seed, name):
            # A JSON string is a TOML string, as long as nothing beyond ASCII is left as it is.
            lines.append(f"{name} = {json.dumps(value)}")
    if seed.made is not None:
        lines.append(f"made = {seed.made.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat()}Z")
    if seed.ca:
        write_durably(folder / CA, seed.ca.encode("ascii"), mode=0o644)
    write_durably(folder / SEED, ("\n".join(lines) + "\n").encode("ascii"), mode=0o600)


def forget_token(folder: Path) -> bool:
    """Take the token out of the seed; whether there was one. What it was may still be in the card's flash: it is used
    up all the same.
    """
    if not (folder / SEED).is_file():
        return False
    seed = read_seed(folder)
    if not seed.token:
        return False
    write_seed(folder, structs.replace(seed, token=""))
    return True


def _document(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(_bounded(path).decode("utf-8"))
    except FileNotFoundError as error:
        raise Misuse(f"There is no seed {path}.", "Name the folder it is in: --seed DIR.") from error
    except (ValueError, RecursionError) as error:
        raise Malformed(f"{path} is no TOML: {error}.", "Write it anew, or mend it.") from error


def _bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise Malformed(f"{path} has more than {MAX_BYTES} bytes.", "That is no seed.")
    return data
