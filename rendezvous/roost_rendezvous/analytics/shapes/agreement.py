"""How often two models agree, request by request: sequentially against its own history, with an exact interval (K6).

Improvements are usually small; a model that suddenly agrees with the canary much less, or much more, has changed more
than an improvement does.
"""

from functools import lru_cache

import msgspec

from roost_rendezvous.analytics.binomial import lower_limit, upper_limit
from roost_rendezvous.analytics.reading import Reading, Signal
from roost_rendezvous.analytics.shapes.categories import CategoryWatch, KeptCategory
from roost_rendezvous.analytics.shapes.evidence import MEMORY
from roost_rendezvous.analytics.shapes.numbers import LEAST

WORDS = ("agrees", "differs")
_SIDE = 0.975
"""Level of each side's limit: together the exact 95 % interval of Clopper and Pearson."""


class KeptAgreement(msgspec.Struct, kw_only=True):
    """An agreement watch's memory."""

    shares: KeptCategory


class AgreementWatch:
    """`what` is who agrees with whom: `champion agreed with canary`."""

    def __init__(self, signal: Signal, what: str, *, least: int = LEAST, memory: int = MEMORY) -> None:
        self.signal = signal
        self.what = what
        self._shares = CategoryWatch(signal, what, words=WORDS, least=least, memory=memory)

    def relearn(self) -> None:
        """Forget everything: what comes now is the new normal."""
        self._shares.relearn()

    def handle(self, agrees: bool) -> None:
        """One request on which both answered."""
        self._shares.handle(WORDS[0] if agrees else WORDS[1])

    def tick(self, now: int) -> Reading:
        """What is to be said at `now`; `normal` and `now` are shares of agreement."""
        reading = self._shares.tick(now)
        if reading.now is None or reading.normal is None:
            return msgspec.structs.replace(reading, signal=self.signal)
        usual, recent = reading.normal, reading.now
        if self._shares.evidence is not None and WORDS[self._shares.evidence.foremost()[0]] == WORDS[1]:
            usual, recent = 1.0 - usual, 1.0 - recent  # it is the difference that spoke
        low, high = interval(round(recent * reading.events), reading.events)
        return msgspec.structs.replace(
            reading,
            signal=self.signal,
            normal=usual,
            now=recent,
            sentence=f"{self.what} in {recent:.0%} ({low:.0%} to {high:.0%}) of the newest {reading.events}, "
            f"usually in {usual:.1%}",
        )

    def snapshot(self) -> KeptAgreement:
        """Everything that a restart must not lose."""
        return KeptAgreement(shares=self._shares.snapshot())

    def restore(self, kept: KeptAgreement) -> None:
        """Continue where the snapshot was taken."""
        self._shares.restore(kept.shares)


@lru_cache(maxsize=512)
def interval(count: int, of: int) -> tuple[float, float]:
    """The exact two-sided 95 % interval of a share; (0, 1) when nothing is known."""
    if of == 0:
        return 0.0, 1.0
    return lower_limit(count, of, _SIDE), upper_limit(count, of, _SIDE)
