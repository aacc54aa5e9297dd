"""Histograms, rows and alarms for the tests of what people see."""

import math
from collections.abc import Iterator
from random import Random

from roost_rendezvous.analytics.alarms.episode import Contribution, Episode, Marker, Verdict
from roost_rendezvous.analytics.faces.values import Histogram
from roost_rendezvous.analytics.rows import Row, Word

HOUR = 3_600 * 1_000_000_000
START = 1_795_000_000 * 1_000_000_000 // HOUR * HOUR
_RATIO = 2.0 ** (1 / 16)


def histogram(milliseconds: Iterator[float] | list[float]) -> Histogram:
    """In bins like those of the sketches."""
    counts = [0] * 320
    for one in milliseconds:
        counts[max(0, min(319, math.floor(math.log(one) / math.log(_RATIO))))] += 1
    return Histogram(edges=tuple(_RATIO**n for n in range(321)), counts=tuple(map(float, counts)))


def durations(seed: int, many: int, *, spread: float, slow: float = 0.0) -> Iterator[float]:
    """About 50 ms; a share `slow` of them three times as long."""
    random = Random(seed)
    for _ in range(many):
        times = 3 if random.random() < slow else 1
        yield 50 * times * math.exp(random.gauss(0, spread))


def rows(many: int = 600, *, seed: int = 1, swap: float = 0.5) -> list[Row]:
    """One a minute. From `swap` on the champion is another version that scores hens lower, and is slower."""
    random = Random(seed)
    return [_row(random, nth, later=nth >= swap * many) for nth in range(many)]


def _row(random: Random, nth: int, *, later: bool) -> Row:
    score = random.gauss(0.5 if later else 0.8, 0.05)
    took = 40 * math.exp(random.gauss(0, 0.1))
    declined, default = nth % 50 == 7, nth % 100 == 9
    champion = Word(
        model="champion",
        version="4" if later else "3",
        scores={"hen": score, "egg": 1 - score},
        elapsed_ms=took + 5,
        compute_ms=took,
    )
    if declined:
        champion = Word(model="champion", version="3", outcome="declined", reason="behind")
    fast = Word(model="fast", version="1", scores={"hen": 0.9, "egg": 0.1}, elapsed_ms=9, compute_ms=6_000)
    by = "" if default else "fast" if declined else "champion"
    return Row(
        request_id=f"{nth:032x}",
        task="henhouse",
        at=START + nth * 60 * 1_000_000_000,
        words=(champion, fast),
        answered_by=by,
        label="unknown" if default else "hen" if declined or score > 0.5 else "egg",
        cause="default" if default else "fallback" if declined else "preferred",
        elapsed_ms=2_500.0 if nth == 3 else took + 5,
        deadline_ms=2_000,
    )


def episode(nth: int = 1, *, began: float = 2, ended: float | None = None, verdict: Verdict = "model") -> Episode:
    """Hours after `START`."""
    said = Contribution(
        signal="henhouse/score/champion/hen",
        kind="score",
        subject="model",
        nines=3.4,
        share=0.7,
        sentence="hens score 0.5 in the middle, usually 0.8",
    )
    other = Contribution(signal="henhouse/rate/answers/hen", kind="rate", subject="task", nines=2.1, share=0.3)
    return Episode(
        id=f"{nth:016x}",
        task="henhouse",
        state="open" if ended is None else "ended",
        opened=START + round(began * HOUR),
        updated=START + round(began * HOUR),
        ended=START + round(ended * HOUR) if ended is not None else None,
        verdict=verdict,
        reasons=("the canary saw nothing",),
        nines=3.4,
        per_week=0.1,
        contributions=(said, other),
        markers=(Marker(at=START + HOUR, text="champion 4 came"),),
    )
