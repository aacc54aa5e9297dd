"""The newest look at each model's inputs (M11), as the device keeps and shows it. Light: no numpy behind this import.

    <data>/features/<task>/<model>.json     a `KeptFeatures`: the findings, and the whole report beside them

A file is old or new, never torn; who writes it is `roost features`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from roost_broker.durable import write_durably
from roost_broker.enumeration import first_of

DAY_MS = 86_400_000
_MAX_BYTES = 20_000_000
_MOST = 200
"""Models that are told of."""
_NAMED = 6


class KeptFeatures(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag="roost.features/1", rename="camel"
):
    """What one run of `roost features` found."""

    task: str
    model: str
    bundle: str
    """Its digest: another bundle needs another look."""
    title: str
    """Name and version of the bundle."""
    made_at_ms: int
    requests: int
    """Archived requests that were asked again; 0: none could be, and `why_not` says why."""
    why_not: str = ""
    dead: list[str] = []
    """Variables that no score depended on."""
    same: list[tuple[str, str, float]] = []
    """Two that say the same, and their r."""
    follows: list[str] = []
    """Those that follow from all others together."""
    report: Any = None
    """Everything, as `roost features --json` prints it."""


class FeatureReports:
    """The folder. Reading never fails: what cannot be read is not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def newest(self, task: str, model: str) -> KeptFeatures | None:
        """Of one model; None: nobody looked yet."""
        return _read(self._path(task, model))

    def all(self) -> Iterator[KeptFeatures]:
        """Of every model, by task and name."""
        for path in sorted(self._folder.glob("*/*.json"))[:_MOST]:
            found = _read(path)
            if found is not None:
                yield found

    def keep(self, found: KeptFeatures) -> None:
        """Durable when this returns. Raises OSError."""
        write_durably(self._path(found.task, found.model), msgspec.json.format(msgspec.json.encode(found), indent=1))

    def _path(self, task: str, model: str) -> Path:
        return self._folder / task / f"{model}.json"


def due(kept: KeptFeatures | None, bundle: str, every_days: float, now_ms: int) -> bool:
    """Whether it is time for another look: another bundle, nothing found yet, or the last one is so old.

    A clock that went back counts as time.
    """
    if kept is None or kept.bundle != bundle or not kept.requests:
        return True
    return not 0 <= now_ms - kept.made_at_ms < every_days * DAY_MS


def lines(reports: FeatureReports, now_ms: int) -> list[str]:
    """Every model in a sentence or two; where nobody looked yet, how somebody does."""
    found = [told(one, now_ms) for one in reports.all()]
    return found or ["Not looked at yet: `roost features` does it, under systemd by itself once a month."]


def told(found: KeptFeatures, now_ms: int) -> str:
    """A model in a sentence or two, with how old that is."""
    head = f"{found.task}/{found.model} ({found.title}), {age(found.made_at_ms, now_ms)}"
    if not found.requests:
        return f"{head}: not enough history: {found.why_not}"
    said = []
    if found.dead:
        said.append(f"no score depended on {first_of(found.dead, _NAMED)}")
    if found.same:
        said.append(
            "the same is said by "
            + first_of([f"{one} and {other} (r {r:.2f})" for one, other, r in found.same], _NAMED)
        )
    if found.follows:
        said.append(f"{first_of(found.follows, _NAMED)} follow{'s' if len(found.follows) == 1 else ''} from the others")
    return f"{head}, {found.requests:,} requests: {'; '.join(said) or 'every input that varies changes scores'}."


def age(then_ms: int, now_ms: int) -> str:
    """How long ago, in whole hours or days."""
    hours = (now_ms - then_ms) // 3_600_000
    if hours < 0:
        return "the clock was ahead"
    return f"{hours} h ago" if hours < 48 else f"{hours // 24} days ago"


def _read(path: Path) -> KeptFeatures | None:
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(_MAX_BYTES), type=KeptFeatures)
    except (OSError, msgspec.DecodeError, ValueError):
        return None
