"""Rates that go together: look-ups and requests, frauds and purchases, outgoing and incoming. Pure.

The book, ch. 7: "if each model evaluation requires a few database lookups, the request rate multiplied by an
empirically determined constant is a great estimator of the rate for database lookups ... these trivial cross-checks
sound silly but are actually very useful". Each *cause* makes `per_cause` *effects* due; the ladder counts time in
effects that are due. So it does not matter whether causes come by day or by night, nor whether they stop: no effects
are due then.

One line of settings: `per_cause`, or nothing, and the constant is learnt from the first `learn_effects` effects and
followed slowly. While something is strange it is not followed, so that a change is not learnt away before it is told.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from roost_broker.errors import Misuse
from roost_rendezvous.analytics.rates.ladder import RATIOS, Ladder
from roost_rendezvous.analytics.reading import Reading, Signal


class CrossPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the constant comes about."""

    per_cause: float | None = None
    """Effects for each cause; None: learnt."""
    learn_effects: int = 500
    """So many effects are counted before anything is said; with 500 the constant is known to 5 %."""
    follow: float = 20_000.0
    """Effects over which the learnt constant is a running mean afterwards."""
    calm: float = 3.0
    """Above this surprise the constant is not followed."""
    ratios: tuple[float, ...] = RATIOS

    def __post_init__(self) -> None:
        if self.per_cause is not None and not 1e-9 <= self.per_cause <= 1e9:
            raise Misuse(f"per_cause is {self.per_cause}.", "Give effects for each cause, or leave it out.")
        if not 20 <= self.learn_effects <= 10_000_000 or not self.learn_effects <= self.follow <= 1e12:
            raise Misuse(
                f"learn_effects is {self.learn_effects}, follow {self.follow}.", "Give 20 ≤ learn_effects ≤ follow."
            )


class CrossRate:
    """Two counters and a ladder; under a kilobyte."""

    def __init__(self, signal: Signal, policy: CrossPolicy | None = None) -> None:
        self.signal = signal
        self.policy = policy or CrossPolicy()
        self._ladder = Ladder(self.policy.ratios)
        self._causes, self._effects = 0.0, 0.0
        self._due = 0.0
        """Effects that causes made due and that the ladder has not been told of."""
        self._peak = 0.0
        self._events = 0

    @property
    def per_cause(self) -> float | None:
        """The constant in force; None while it is learnt."""
        if self.policy.per_cause is not None:
            return self.policy.per_cause
        if self._effects < self.policy.learn_effects or self._causes == 0.0:
            return None
        return self._effects / self._causes

    def cause(self, count: int = 1) -> None:
        """A request, a purchase, an incoming message."""
        per_cause = self.per_cause
        if self._calm:
            self._causes += count
        if per_cause is None:
            return
        self._due += per_cause * count
        # Due effects are told in pieces of one, so that a stop is seen although no effect ever comes.
        if self._due >= 1.0:
            self._ladder.elapse(self._due)
            self._due = 0.0
            self._peak = max(self._peak, self._ladder.surprise)

    def effect(self, count: int = 1) -> None:
        """A look-up, a fraud, an outgoing message."""
        self._events += count
        ready = self.per_cause is not None
        if self._calm:
            self._effects += count
            if self._effects > self.policy.follow:
                self._causes *= self.policy.follow / self._effects
                self._effects = self.policy.follow
        if ready:
            self._peak = max(self._peak, self._ladder.occur(self._due, float(count)))
            self._due = 0.0

    def tick(self, now: int) -> Reading:
        """What can be said now; the surprise is the largest since the last reading."""
        per_cause = self.per_cause
        peak, events = self._peak, self._events
        self._peak, self._events = self._ladder.surprise, 0
        if per_cause is None:
            why_not = f"not enough history: {self._effects:.0f} of {self.policy.learn_effects} effects"
            return Reading(signal=self.signal, at=now, events=events, why_not=why_not)
        ratio = self._ladder.ratio
        return Reading(
            signal=self.signal,
            at=now,
            surprise=peak,
            normal=per_cause,
            now=per_cause * ratio,
            unit="for each",
            events=events,
            sentence=f"{self.signal.name}: about {per_cause * ratio:.3g} for each, usually {per_cause:.3g}",
        )

    def accept(self) -> None:
        """Somebody has looked: the constant is learnt anew, unless it was given."""
        self._ladder.reset()
        self._causes = self._effects = self._due = self._peak = 0.0

    @property
    def _calm(self) -> bool:
        return self._ladder.surprise < self.policy.calm

    def snapshot(self) -> dict[str, Any]:
        """Plain values for JSON."""
        counted = [self._causes, self._effects, self._due, self._peak, self._events]
        return {"ladder": self._ladder.snapshot(), "counted": counted}

    def restore(self, kept: Mapping[str, Any]) -> None:
        """What `snapshot` gave."""
        self._ladder.restore(kept["ladder"])
        self._causes, self._effects, self._due, self._peak = (float(value) for value in kept["counted"][:4])
        self._events = int(kept["counted"][4])
