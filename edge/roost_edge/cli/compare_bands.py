"""`roost compare --bands`: a comparison beside a canary, judged by those that were kept before it."""

from pathlib import Path
from typing import TYPE_CHECKING

from roost_broker.durable import write_durably
from roost_broker.errors import Misuse

if TYPE_CHECKING:
    from roost_rendezvous.analytics.comparison.comparing import Whole


def banded(whole: "Whole", path: Path) -> "Whole":
    """Judged by what is usual beside this canary, and kept for the next one. Raises `Misuse`: no such file."""
    import msgspec

    from roost_rendezvous.analytics.comparison.canary_bands import CanaryBands, Kept, judged, kept

    before: list[Kept] = []
    if path.exists():
        try:
            before = msgspec.json.decode(path.read_bytes(), type=list[Kept])
        except msgspec.DecodeError as error:
            raise Misuse(f"{path} holds no comparisons: {error}.", "Name another file; it is made.") from error
    known, new = CanaryBands(before), kept(whole, whole.found.one.name)
    whole = judged(whole, known, new)
    known.add(new)
    write_durably(path, msgspec.json.format(msgspec.json.encode(known.snapshot()), indent=1) + b"\n")
    return whole
