"""Watching a word: whether each is said as often as it used to be, and whether new ones are.

A label, an enumerated field, "there" or "missing", "agrees" or "differs".
"""

from collections.abc import Sequence

import msgspec

from roost_rendezvous.analytics.reading import Reading, Signal
from roost_rendezvous.analytics.shapes.evidence import MEMORY, Evidence, Kept, single
from roost_rendezvous.analytics.shapes.numbers import LEAST, RECUT

OTHERS = "(others)"
WORDS = 32
"""Words watched by name; what is rarer is one word, `(others)`."""
_TALLIED = 256
"""Words counted before they are chosen."""


_OFTEN = 3
"""A word said fewer times than this, or by fewer than 1 %, is one of the others: a field in which every value is new
(a hash) has no words at all."""


class KeptCategory(msgspec.Struct, kw_only=True):
    """A category watch's memory."""

    seen: int
    tally: dict[str, int]
    words: list[str]
    evidence: Kept | None
    choices: int


class CategoryWatch:
    """One word of one stream. With `words` given they are all there is; else the stream's own are learnt.

    `what` begins the sentence: `champion's answer`. `told` is the one of the `words` whose share is told, where the
    signal's name says which; else it is the word that moved most. How strange a reading is does not depend on it.
    """

    def __init__(
        self,
        signal: Signal,
        what: str,
        *,
        words: Sequence[str] = (),
        told: str = "",
        least: int = LEAST,
        memory: int = MEMORY,
    ) -> None:
        if least < 2:
            raise ValueError(f"{least} values are no history, at least 2 are needed")
        self.signal = signal
        self.what = what
        self._given = tuple(words)
        self._told = self._given.index(told) if told else None
        self._least = least
        self._memory = memory
        self.relearn()

    def relearn(self) -> None:
        """Forget everything: what comes now is the new normal."""
        self.seen = 0
        self._tally: dict[str, int] = {}
        self.words: list[str] = []
        self._place: dict[str, int] = {}
        self.evidence: Evidence | None = None
        self._choices = 0
        if self._given:
            self._choices = len(RECUT)
            self._stand(list(self._given))

    def handle(self, word: str) -> None:
        """One word."""
        self.seen += 1
        if self.evidence is not None:
            self.evidence.handle(self._place.get(word, 0))
        if self._choices == len(RECUT):
            return
        if word in self._tally or len(self._tally) < _TALLIED:
            self._tally[word] = self._tally.get(word, 0) + 1
        if self.seen >= max(self._least, RECUT[self._choices]) and self._quiet:
            self._choose()

    def begin(self, word: str, times: int) -> None:
        """`word` was there `times` times before this watch was."""
        for _ in range(min(times, RECUT[-1])):
            self.handle(word)

    @property
    def _quiet(self) -> bool:
        # A new word speaks loudest as one of the others, whose share was 0: it gets a name of its own later.
        return self.evidence is None or self.evidence.surprise < len(str(self.seen)) + 0.5

    def _choose(self) -> None:
        self._choices = sum(self.seen >= count for count in RECUT)
        least = max(_OFTEN, self.seen // 100)
        often = sorted(
            (word for word, times in self._tally.items() if times >= least), key=lambda word: (-self._tally[word], word)
        )[: WORDS - 1]
        older = self.evidence
        counts = [0.0, *(float(self._tally[word]) for word in often)]
        counts[0] = float(self.seen) - sum(counts)
        fresh = self._stand([OTHERS, *often], counts)
        if older is not None:
            fresh.follow(older)
        if self._choices == len(RECUT):
            self._tally = {}

    def _stand(self, words: list[str], counts: Sequence[float] | None = None) -> Evidence:
        self.words = words
        self._place = {word: at for at, word in enumerate(words)}
        self.evidence = Evidence(single(len(words)), counts, memory=self._memory)
        return self.evidence

    def tick(self, now: int) -> Reading:
        """What is to be said at `now`."""
        if self.evidence is None or self.seen < self._least:
            why = f"not enough history: {self.seen} of {self._least} values"
            return Reading(signal=self.signal, at=now, why_not=why, events=self.seen)
        at = self.evidence.foremost()[0] if self._told is None else self._told
        usual, recent = self.evidence.usual(at), self.evidence.now(at)
        return Reading(
            signal=self.signal,
            at=now,
            surprise=self.evidence.surprise,
            normal=usual,
            now=recent,
            unit="share",
            events=self.evidence.recent,
            sentence=f"{self.what} was {self.words[at]} in {recent:.0%} of the newest {self.evidence.recent}, "
            f"usually in {usual:.1%}",
        )

    def snapshot(self) -> KeptCategory:
        """Everything that a restart must not lose."""
        return KeptCategory(
            seen=self.seen,
            tally=dict(self._tally),
            words=list(self.words),
            evidence=None if self.evidence is None else self.evidence.snapshot(),
            choices=self._choices,
        )

    def restore(self, kept: KeptCategory) -> None:
        """Continue where the snapshot was taken."""
        if self._given and list(self._given) != kept.words:
            raise ValueError("the snapshot is of other words")
        self.seen, self._tally, self._choices = kept.seen, dict(kept.tally), kept.choices
        if kept.evidence is not None:
            self._stand(list(kept.words)).restore(kept.evidence)
