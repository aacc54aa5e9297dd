"""How well models have usually agreed with the canary, kept for as long as there are models (requirement K5).

The canary is old on purpose: every model there ever was has been compared with it, so what is a usual difference is
known before a new model has a history of its own. Records of so many joined answers each are kept by model and version;
a version is measured against the band that the records of all *others* fill.
"""

import math
from collections.abc import Iterator

import msgspec

from roost_rendezvous.analytics.binomial import at_least
from roost_rendezvous.analytics.reading import Reading, Signal
from roost_rendezvous.analytics.shapes.agreement import interval

RECORDS = 400
"""Records kept of a canary; of more, the oldest of whoever has most goes."""
LEAST = 10
"""Records of others before there is a band."""
_EDGE = 0.05
"""The band leaves out this share of the records on either side."""


class Record(msgspec.Struct, frozen=True, array_like=True):
    """`agreed` of `pairs` answers of one version of a model."""

    model: str
    version: str
    agreed: int
    pairs: int

    @property
    def share(self) -> float:
        """How often they agreed."""
        return self.agreed / self.pairs


class KeptBands(msgspec.Struct, kw_only=True):
    """The memory of the bands."""

    records: list[Record]
    growing: list[Record]


class Bands:
    """The experience with one canary. `pairs` joined answers make a record."""

    def __init__(self, task: str, canary: str, pairs: int = 200) -> None:
        if pairs < 2:
            raise ValueError(f"{pairs} pairs make no record")
        self.task = task
        self.canary = canary
        self._pairs = pairs
        self.records: list[Record] = []
        self._growing: dict[tuple[str, str], Record] = {}
        self._said: dict[tuple[str, str], Reading] = {}
        """What each said last, while nothing has come since."""

    def handle(self, model: str, version: str, agrees: bool) -> None:
        """One request on which the model and the canary answered."""
        key = (model, version)
        before = self._growing.pop(key, Record(model, version, 0, 0))
        record = Record(model, version, before.agreed + agrees, before.pairs + 1)
        if record.pairs < self._pairs:
            self._growing[key] = record  # at the end: the one not heard of for longest goes first
            self._said.pop(key, None)
            if len(self._growing) > RECORDS:
                oldest = next(iter(self._growing))
                del self._growing[oldest]
                self._said.pop(oldest, None)
            return
        self.records.append(record)
        self._said.clear()  # of everybody: the band has moved
        if len(self.records) > RECORDS:
            owners = [(each.model, each.version) for each in self.records]
            most = max(owners, key=owners.count)
            del self.records[owners.index(most)]

    def band(self, model: str, version: str) -> tuple[float, float] | None:
        """Where the records of all other versions lie; None: there are too few."""
        shares = sorted(record.share for record in self.records if (record.model, record.version) != (model, version))
        if len(shares) < LEAST:
            return None
        skip = int(_EDGE * len(shares))
        return shares[skip], shares[-1 - skip]

    def tick(self, now: int) -> Iterator[Reading]:
        """One reading for each version that speaks at present."""
        for key in list(self._growing):
            if key not in self._said:
                self._said[key] = self._read(*key, now)
            yield self._said[key]

    def _read(self, model: str, version: str, now: int) -> Reading:
        named = f"{model} {version}".strip()
        signal = Signal(task=self.task, kind="agreement", subject="model", of=named, part=f"{self.canary} band")
        newest = [each for each in self.records if (each.model, each.version) == (model, version)][-1:]
        own = [*newest, self._growing[model, version]]
        agreed, pairs = sum(each.agreed for each in own), sum(each.pairs for each in own)
        band = self.band(model, version)
        if band is None:
            others = sum((each.model, each.version) != (model, version) for each in self.records)
            why = f"not enough history: {others} of {LEAST} records of other models and {self.canary}"
            return Reading(signal=signal, at=now, why_not=why, events=pairs)
        share = agreed / pairs
        edge = min(max(share, band[0]), band[1])
        low, high = interval(agreed, pairs)
        return Reading(
            signal=signal,
            at=now,
            surprise=_beyond(agreed, pairs, edge),
            normal=(band[0] + band[1]) / 2,
            now=share,
            unit="share",
            events=pairs,
            sentence=f"{named} agrees with {self.canary} in {share:.0%} ({low:.0%} to {high:.0%}) of {pairs}; "
            f"others did in {band[0]:.0%} to {band[1]:.0%}",
        )

    def snapshot(self) -> KeptBands:
        """Everything that a restart must not lose."""
        return KeptBands(records=list(self.records), growing=list(self._growing.values()))

    def restore(self, kept: KeptBands) -> None:
        """Continue where the snapshot was taken."""
        self.records = list(kept.records[-RECORDS:])
        self._growing = {(each.model, each.version): each for each in kept.growing}
        self._said = {}


def _beyond(agreed: int, pairs: int, edge: float) -> float:
    """Minus the common logarithm of the chance of so much more, or less, agreement than the band's nearest edge."""
    share = agreed / pairs
    if share == edge:
        return 0.0
    edge = min(max(edge, 0.5 / pairs), 1 - 0.5 / pairs)
    chance = at_least(agreed, pairs, edge) if share > edge else at_least(pairs - agreed, pairs, 1 - edge)
    return max(0.0, -math.log10(max(chance, 1e-300)))
