"""How long what the authority signs is valid (`authority.json`, written by `roost pki init`)."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta, Struct

from roost_broker.durable import write_durably
from roost_broker.errors import Malformed, Misuse
from roost_broker.identities import Kind
from roost_broker.topics import is_name

Days: TypeAlias = Annotated[int, Meta(ge=1, le=7300)]
MAX_FLEET = 32


class AuthoritySettings(Struct, tag_field="schema", tag="roost.authority/1", frozen=True, kw_only=True):
    """All in days. What lies in a hen house is short, what a person must carry on a stick is long."""

    fleet: str
    """Its name, in the names of roots and issuing authorities."""
    root_days: Days = 7300
    issuing_days: Days = 730
    device_days: Days = 30
    gateway_days: Days = 30
    operator_days: Days = 90
    watcher_days: Days = 90
    server_days: Days = 90
    crl_days: Days = 30
    """A broker whose revocation list is older lets nobody in: as long as a device may be without a link."""
    grace_days: Annotated[int, Meta(ge=0, le=365)] = 30
    """So long after its end a certificate may still be renewed: a device that was switched off for a winter."""
    overlap_days: Annotated[int, Meta(ge=0, le=90)] = 2
    """So long a new issuing authority is known before it signs: by then every broker has its revocation list, without
    which it would let nobody in who comes from there. Devices ask daily."""
    max_tokens: Annotated[int, Meta(ge=1, le=100_000)] = 1000
    """Tokens that are open at a time."""
    max_uses: Annotated[int, Meta(ge=1, le=100_000)] = 1000
    """Devices that one token may enrol."""
    max_token_days: Days = 90

    def __post_init__(self) -> None:
        if not is_name(self.fleet) or len(self.fleet) > MAX_FLEET:
            raise Misuse(
                f"{self.fleet[:80]!r} cannot be the name of a fleet.",
                f"Use letters, digits, '-' and '_', at most {MAX_FLEET}, beginning with a letter or digit.",
            )
        if self.issuing_days > self.root_days:
            raise Misuse("An issuing authority cannot outlive its root.", "Lower issuing_days.")

    def lifetime(self, kind: Kind) -> timedelta:
        """Of a certificate of this kind."""
        days = {
            "device": self.device_days,
            "gateway": self.gateway_days,
            "operator": self.operator_days,
            "watcher": self.watcher_days,
            "server": self.server_days,
        }
        return timedelta(days=days[kind])

    @property
    def grace(self) -> timedelta:
        """See `grace_days`."""
        return timedelta(days=self.grace_days)


def load(path: Path) -> AuthoritySettings:
    """Read them. Raises `Malformed`."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=AuthoritySettings)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"{path} cannot be read: {error}.", "Correct it, or restore it from a backup.") from error


def save(path: Path, settings: AuthoritySettings) -> None:
    """Write them, durably."""
    write_durably(path, msgspec.json.format(msgspec.json.encode(settings), indent=1) + b"\n")
