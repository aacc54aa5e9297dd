"""Everything counted: verdicts in, figures out. Pure; what is kept does not grow with the archive."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from roost_models.assessment.durations import Durations
from roost_models.assessment.report import (
    Accuracy,
    Agreement,
    Differing,
    Labelled,
    Latency,
    Paired,
    Said,
    ScaledRisk,
    Share,
    Side,
)
from roost_models.assessment.wire import Reply, Verdict
from roost_rendezvous.analytics.binomial import mcnemar, upper_limit, wilson

SHARES = (0.01, 0.02, 0.1, 0.5)
"""Shares of a roll-out for which the bound is told."""
STRATA = ((0.5, "0.5-1"), (0.2, "0.2-0.5"), (0.1, "0.1-0.2"), (0.0, "0-0.1"))
KEPT = 5
"""Differing requests kept of each stratum."""
GROUPS = 1000
"""Labels, and sites, that are told apart."""
_REST = "(others)"


@dataclass(frozen=True, slots=True)
class About:
    """What is known of a question besides the question."""

    request_id: str
    node: str
    at_ms: int
    frame: str = ""
    truth: str = ""
    archived_ns: int = 0
    """How long the champion took for it on its device, evaluated alone; 0 when that is not known."""


@dataclass(slots=True)
class _Right:
    """Right answers among labelled requests."""

    of: int = 0
    candidate: int = 0
    champion: int = 0

    def add(self, candidate: bool, champion: bool) -> None:
        self.of += 1
        self.candidate += candidate
        self.champion += champion

    def accuracy(self, *, compared: bool) -> Accuracy:
        return Accuracy(
            candidate=share(self.candidate, self.of), champion=share(self.champion, self.of) if compared else None
        )


@dataclass(slots=True)
class _Side:
    answered: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    first_failure: str = ""
    times: Durations = field(default_factory=Durations)
    reused: int = 0

    def add(self, reply: Reply) -> None:
        if reply.failure:
            self.failures[reply.failure] += 1
            self.first_failure = self.first_failure or f"{reply.failure}: {reply.detail}"
        else:
            self.answered += 1
            if reply.compute_ns:
                self.times.add(reply.compute_ns)
            else:
                self.reused += 1


class Tally:
    """Counts verdicts. `compared` says whether there is a champion, `labels_from` where labels come from."""

    def __init__(self, *, compared: bool, tolerance: float, labels_from: str = "") -> None:
        self._with_champion = compared
        self._tolerance = tolerance
        self._labels_from = labels_from
        self.requests = 0
        self.first_ms: int | None = None
        self.last_ms: int | None = None
        self.nodes: set[str] = set()
        self.skipped: Counter[str] = Counter()
        self._sides = {"candidate": _Side(), "champion": _Side()}
        self._compared = self._identical = self._almost = self._same_label = 0
        self._archived_before = self._reproduced = 0
        self._right = _Right()
        self._shown: set[str] = set()  # labelled pictures: no more than there are labels
        self._by_label: dict[str, _Right] = {}
        self._by_site: dict[str, _Right] = {}
        self._only = [0, 0]
        self._differing: dict[str, list[Differing]] = {}
        self.device_times = Durations()

    def take(self, about: About, verdict: Verdict) -> None:
        """One more question answered."""
        self._seen(about)
        mine, other = verdict.candidate, verdict.champion
        gone = next((r.failure for r in (mine, other) if r is not None and r.failure.startswith("frame-")), "")
        if gone:
            self.skipped[gone] += 1  # the archive's lack, nobody's failure
            return
        self._sides["candidate"].add(mine)
        if other is not None:
            self._sides["champion"].add(other)
            if verdict.reproduced is not None:
                self._archived_before += 1
                self._reproduced += verdict.reproduced
        if about.archived_ns:
            self.device_times.add(about.archived_ns)
        if about.truth:
            self._judge(about, mine, other)
        if other is None:
            return
        if mine.failure and other.failure:
            self.skipped["both-failed"] += 1
            return
        self._compare(about, verdict, mine, other)

    def _seen(self, about: About) -> None:
        self.requests += 1
        self.first_ms = about.at_ms if self.first_ms is None else min(self.first_ms, about.at_ms)
        self.last_ms = about.at_ms if self.last_ms is None else max(self.last_ms, about.at_ms)
        if len(self.nodes) < GROUPS:
            self.nodes.add(about.node)

    def _judge(self, about: About, mine: Reply, other: Reply | None) -> None:
        candidate = not mine.failure and mine.label == about.truth
        champion = other is not None and not other.failure and other.label == about.truth
        self._right.add(candidate, champion)
        self._shown.add(about.frame or about.request_id)
        _group(self._by_label, about.truth).add(candidate, champion)
        _group(self._by_site, about.node).add(candidate, champion)
        self._only[0] += candidate and not champion
        self._only[1] += champion and not candidate

    def _compare(self, about: About, verdict: Verdict, mine: Reply, other: Reply) -> None:
        self._compared += 1
        both = not mine.failure and not other.failure
        self._identical += both and verdict.identical
        self._almost += both and verdict.almost
        self._same_label += both and mine.label == other.label
        if both and verdict.almost:
            return
        stratum = "failed"
        if both:
            stratum = next(name for least, name in STRATA if verdict.difference >= least)
        kept = self._differing.setdefault(stratum, [])
        if len(kept) < KEPT:
            kept.append(
                Differing(
                    request_id=about.request_id,
                    node=about.node,
                    at_ms=about.at_ms,
                    stratum=stratum,
                    difference=verdict.difference,
                    candidate=_said(mine),
                    champion=_said(other),
                    truth=about.truth,
                    frame=about.frame,
                )
            )

    # -- figures -----------------------------------------------------------------------------------------------

    def agreement(self) -> Agreement | None:
        """Identical share and risk bound; None without a champion."""
        if not self._with_champion:
            return None
        apart = self._compared - self._almost
        risk = apart / self._compared if self._compared else 1.0
        upper = upper_limit(apart, self._compared)
        return Agreement(
            compared=self._compared,
            identical=self._identical,
            almost=self._almost,
            same_label=self._same_label,
            tolerance=self._tolerance,
            risk=risk,
            upper=upper,
            scaled=[ScaledRisk(share=part, risk=part * risk, upper=part * upper) for part in SHARES],
        )

    def labelled(self) -> Labelled | None:
        """Accuracy where the truth is known; None where nobody said what is true."""
        if not self._labels_from:
            return None
        with_champion = self._with_champion
        paired = None
        if with_champion:
            mine, other = self._only
            paired = Paired(only_candidate_right=mine, only_champion_right=other, p_value=mcnemar(mine, other))
        return Labelled(
            source=self._labels_from,
            pictures=len(self._shown),
            overall=self._right.accuracy(compared=with_champion),
            by_label=_accuracies(self._by_label, with_champion),
            by_site=_accuracies(self._by_site, with_champion),
            paired=paired,
        )

    def side(self, who: str) -> Side:
        """What one of the two did."""
        found = self._sides[who]
        p50, p99 = found.times.quantile_ms(0.5), found.times.quantile_ms(0.99)
        latency = None
        if p50 is not None and p99 is not None:
            latency = Latency(count=found.times.count, p50_ms=p50, p99_ms=p99)
        return Side(
            answered=found.answered,
            failures=dict(sorted(found.failures.items())),
            first_failure=found.first_failure,
            latency=latency,
            reused=found.reused,
            reproduced=self._reproduced if who == "champion" else 0,
            archived_before=self._archived_before if who == "champion" else 0,
        )

    def differing(self) -> list[Differing]:
        """The first of each stratum, failures first, then those furthest apart."""
        order: Sequence[str] = ("failed", *(name for _, name in STRATA))
        return [one for name in order for one in self._differing.get(name, [])]


def share(count: int, of: int) -> Share:
    """With its interval; of nothing, a share of 0 and an interval that says nothing."""
    low, high = wilson(count, of)
    return Share(count=count, of=of, share=count / of if of else 0.0, low=low, high=high)


def _group(groups: dict[str, _Right], name: str) -> _Right:
    return groups.setdefault(name if name in groups or len(groups) < GROUPS else _REST, _Right())


def _accuracies(groups: Mapping[str, _Right], with_champion: bool) -> dict[str, Accuracy]:
    return {name: groups[name].accuracy(compared=with_champion) for name in sorted(groups)}


def _said(reply: Reply) -> Said:
    return Said(label=reply.label, score=reply.score, failure=reply.failure)
