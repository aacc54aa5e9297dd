"""What the commands about the authority share: its folder, the roots' keys, spans of time, this machine's clock."""

import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roost_broker.clock import looks_synced
from roost_broker.errors import Misuse

if TYPE_CHECKING:
    from roost_provisioning.pki.authority import Authority

AuthorityDir = Annotated[
    Path, typer.Option("--authority", "-a", metavar="DIR", envvar="ROOST_AUTHORITY", help="The authority's folder.")
]
DEFAULT_AUTHORITY = Path("authority")
RootKeys = Annotated[
    Path, typer.Option("--root-keys", metavar="DIR", help="Where the roots' private keys are: a stick, put away later.")
]
PhraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help="Its first line opens encrypted keys; else $ROOST_KEY_PASSPHRASE."),
]
_SPAN = re.compile(r"(\d{1,6})([dhm])\Z")
_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}


def authority_of(folder: Path) -> "Authority":
    """The authority in a folder. Raises `Misuse` when there is none."""
    from roost_provisioning.pki.authority import Authority

    return Authority(folder)


def span(text: str, option: str) -> timedelta:
    """`7d`, `12h`, `30m`. Raises `Misuse`."""
    match = _SPAN.match(text)
    if match is None:
        raise Misuse(f"{option} {text!r} is no span of time.", "Write 7d, 12h or 30m.")
    return int(match[1]) * _UNITS[match[2]]


def now() -> datetime:
    """The time, by this machine's clock. Raises `Misuse` when it cannot be right: everything signed would be wrong."""
    wall = time.time_ns()
    if not looks_synced(wall):
        raise Misuse("This machine's clock is not set.", "Set it first: timedatectl status")
    return datetime.fromtimestamp(wall / 1e9, UTC)
