"""What the commands about the centre and the fleet share: the folder, its settings, moments in time."""

import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roost_broker.errors import Misuse

if TYPE_CHECKING:
    from roost_models.central.settings import CentreSettings

CentreFolder = Annotated[Path, typer.Option("--centre", "-c", envvar="ROOST_CENTRE", help="The centre's folder.")]
DEFAULT_CENTRE = Path("roost-centre")
_AGO = re.compile(r"(\d{1,5})([smhd])\Z")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def settings_of(centre: Path, *, must_exist: bool = True) -> "CentreSettings":
    """The centre's settings. Raises `Misuse` when there is no such centre, or its settings are wrong."""
    from roost_broker.centre.layout import CentreLayout
    from roost_models.central.settings import load

    layout = CentreLayout(centre)
    if must_exist and not layout.settings.is_file():
        raise Misuse(f"There is no centre in {centre}.", f"Start one: roost centre up --centre {centre}")
    return load(layout)


def moment(text: str, option: str) -> int | None:
    """Milliseconds since 1970 of `2026-11-20`, `2026-11-20T10:30` (UTC, or with an offset), `2h` (ago); None: empty."""
    if not text:
        return None
    if ago := _AGO.match(text):
        return int((time.time() - int(ago[1]) * _UNIT_S[ago[2]]) * 1000)
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise Misuse(
            f"{option} {text!r} is no moment.", "For example 2026-11-20, 2026-11-20T10:30, or 2h for two hours ago."
        ) from error
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)


def age(ms: int) -> str:
    """How long that is, in one word: 12s, 5m, 3h, 2d."""
    seconds = max(0, ms) // 1000
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def amount(size: int) -> str:
    """Bytes in one word: 812 B, 4.1 MB."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
