"""From a device's ten-minute windows to a report: any period, without reading a score again. Pure; brings numpy.

The windows know distributions, not single requests: how often a model agreed, or what was a default, is not in them.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from roost_rendezvous.analytics.alarms.episode import Marker
from roost_rendezvous.analytics.faces.halves import halves_of
from roost_rendezvous.analytics.faces.periods import SECOND, histogram
from roost_rendezvous.analytics.faces.predicting import predicted
from roost_rendezvous.analytics.faces.task_rows import MOST_LABELS, MOST_MODELS
from roost_rendezvous.analytics.faces.trend import trend
from roost_rendezvous.analytics.faces.values import (
    Band,
    Bands,
    Halves,
    ModelLine,
    Rate,
    Rates,
    Report,
    Service,
    TaskReport,
)
from roost_rendezvous.analytics.sketches.digest import TDigest
from roost_rendezvous.analytics.sketches.latency import LatencyHistogram
from roost_rendezvous.analytics.sketches.qualifiers import DAY_S, OTHER, PERIOD_S, Qualifiers, Sketch, Wish

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_MOST_STEPS = 240
_SCORES_SHOWN = 6
_LABELS_SHOWN, _MODELS_SHOWN = 4, 3
_STEPS_S = (PERIOD_S, 1_800, 3_600, 10_800, 21_600, DAY_S)


class Windows(Protocol):
    """Who can be asked (`sketches.asking.SketchReader`)."""

    def combinations(self, wish: Wish | None = None) -> list[Qualifiers]:
        """What is kept at all."""
        ...

    def history(self, wish: Wish, since_s: int, until_s: int, *, step_s: int) -> list[tuple[int, Sketch]]:
        """One sketch for each step that has any."""
        ...


def report_of(
    windows: Windows, since_s: int, until_s: int, *, source: str, made_at: int, deadlines: Mapping[str, int]
) -> Report:
    """All tasks from `since_s` to `until_s`. `deadlines`: milliseconds by task, where they are known."""
    known = windows.combinations()
    tasks = sorted({one.task for one in known if one.task})
    marks = sorted(_marks(windows, known, since_s, until_s), key=lambda one: one.at)
    found = [_Task(windows, known, name, since_s, until_s, deadlines.get(name, 0)).told() for name in tasks]
    return Report(
        source=source,
        made_at=made_at,
        since=since_s * SECOND,
        until=until_s * SECOND,
        tasks=tuple(one for one in found if one.service.requests or one.models),
        marks=tuple(marks),
        notes=("From ten-minute windows; what came in the last minutes is not in it yet.",),
        next_at=_next(until_s, made_at),
    )


def _next(until_s: int, made_at: int) -> int:
    """When the window after this time is complete; 0: it is already, and the report is of an older time."""
    end = (until_s + PERIOD_S) * SECOND
    return end if made_at < end else 0


def step_of(length_s: int) -> int:
    """The shortest step of which at most `_MOST_STEPS` fill the time."""
    return next(
        (step for step in _STEPS_S if length_s <= step * _MOST_STEPS), -(-length_s // _MOST_STEPS // DAY_S) * DAY_S
    )


class _Task:
    def __init__(
        self, windows: Windows, known: list[Qualifiers], task: str, since_s: int, until_s: int, deadline_ms: int
    ) -> None:
        self._windows = windows
        self._task = task
        self._known = [one for one in known if one.task == task]
        self._since, self._until = since_s, until_s
        self._step = step_of(until_s - since_s)
        self._deadline = deadline_ms

    def told(self) -> TaskReport:
        """The task's part of the report."""
        steps = [(at, one) for at, one in self._history("latency", model="") if isinstance(one, LatencyHistogram)]
        middle = (self._since + self._until) // 2
        whole = LatencyHistogram.merged(one for _, one in steps)
        first = LatencyHistogram.merged(one for at, one in steps if at < middle)
        second = LatencyHistogram.merged(one for at, one in steps if at >= middle)
        corrected = self._merged("latency-corrected")
        rates = self._rates("requests", {at: one.count for at, one in steps})
        models = tuple(sorted(self._models(), key=lambda one: -one.answered))
        labels = self._labels()
        requests = round(whole.count)
        in_time = round(whole.count * (1 - whole.share_above(self._deadline))) if self._deadline and requests else 0
        return TaskReport(
            task=self._task,
            service=Service(
                requests=requests, in_time=in_time, by_model=in_time, unknown=0 if self._deadline else requests
            ),
            rates=rates,
            trend=trend(rates.periods),
            latency=histogram(whole) if whole.count else None,
            first_half=histogram(first) if first.count else None,
            second_half=histogram(second) if second.count else None,
            corrected=histogram(corrected) if corrected.count else None,
            deadline_ms=self._deadline,
            models=models,
            labels={label: round(sum(counts.values())) for label, counts in labels.items()},
            scores=tuple(self._scores([one.model for one in models[:_MODELS_SHOWN]], list(labels))),
            halves=tuple(self._halves([one.model for one in models[:_MODELS_SHOWN]], list(labels), middle)),
            label_rates=tuple(
                self._rates(f"answers {label}", counts) for label, counts in list(labels.items())[:_SCORES_SHOWN]
            ),
        )

    def _labels(self) -> dict[str, dict[int, float]]:
        names = sorted({one.label for one in self._known if one.kind == "answer" and one.label})[: 4 * MOST_LABELS]
        found = {label: {at: one.count for at, one in self._history("answer", label=label)} for label in names}
        return dict(sorted(found.items(), key=lambda one: -sum(one[1].values()))[:MOST_LABELS])

    def _rates(self, name: str, counts: Mapping[int, float]) -> Rates:
        hours = Counter[int]()
        if self._step <= 3_600:
            for at, count in counts.items():
                hours[at // 3_600] += round(count)
            expected = predicted(hours, max(self._since, min(counts, default=0)) * SECOND, self._until * SECOND)
            if expected is not None:
                return Rates(name=name, periods=expected)
        first = min(counts, default=self._until)
        ends = range(first, self._until, self._step)
        periods = [Rate(start=at * SECOND, end=(at + self._step) * SECOND, seen=counts.get(at, 0.0)) for at in ends]
        return Rates(name=name, periods=tuple(periods))

    def _scores(self, models: Sequence[str], labels: Sequence[str]) -> Iterator[Bands]:
        """Label by label, the models side by side: the windows do not know whose answers were official."""
        given = dict.fromkeys(one.label for one in self._known if one.kind == "score" and one.model in models)
        ordered = [*(one for one in labels if one in given), *(one for one in given if one not in labels)]
        for label in ordered[:_LABELS_SHOWN]:
            for model in models:
                bands = tuple(self._bands(model, label))
                if bands:
                    yield Bands(name=f"Score of {label} by {model}", periods=bands)

    def _bands(self, model: str, label: str) -> Iterator[Band]:
        for at, digest in self._history("score", model=model, label=label):
            if isinstance(digest, TDigest) and digest.count:
                low, quarter, half, three, high = map(float, digest.quantiles(_QUANTILES))
                kept = {"low": low, "quarter": quarter, "half": half, "three": three, "high": high}
                yield Band(at=(at + self._step // 2) * SECOND, count=digest.count, **kept)

    def _halves(self, models: Sequence[str], labels: Sequence[str], middle: int) -> Iterator[Halves]:
        for label in labels[:1]:
            for model in models:
                kept = self._history("score", model=model, label=label)
                digests = [(at, one) for at, one in kept if isinstance(one, TDigest)]
                if (found := halves_of(f"score of {label} by {model}", digests, middle)) is not None:
                    yield found

    def _models(self) -> Iterator[ModelLine]:
        names = sorted({one.model for one in self._known if one.kind == "latency" and one.model not in ("", OTHER)})
        for name in names[:MOST_MODELS]:
            times = self._merged("latency", model=name)
            if not times.count:
                continue
            computing = [one for _, one in self._history("compute", model=name) if isinstance(one, LatencyHistogram)]
            busiest = max((one.sum_ms for one in computing), default=0.0)
            count = sum(one.count for one in computing)
            half, slow, slowest = map(float, times.quantiles([0.5, 0.95, 0.99]))
            yield ModelLine(
                model=name,
                versions=tuple(sorted({one.version for one in self._known if one.model == name and one.version}))[-10:],
                asked=round(times.count),
                answered=round(times.count),
                official=None,
                half_ms=half,
                slow_ms=slow,
                slowest_ms=slowest,
                compute_ms=sum(one.sum_ms for one in computing) / count if count else None,
                busy=busiest / (self._step * 1_000) if busiest else None,
            )

    def _history(self, kind: str, *, model: str | None = None, label: str | None = None) -> list[tuple[int, Sketch]]:
        wish = Wish(kind=kind, task=self._task, model=model, label=label)
        return self._windows.history(wish, self._since, self._until, step_s=self._step)

    def _merged(self, kind: str, *, model: str | None = None) -> LatencyHistogram:
        found = self._history(kind, model=model)
        return LatencyHistogram.merged(one for _, one in found if isinstance(one, LatencyHistogram))


def _marks(windows: Windows, known: list[Qualifiers], since_s: int, until_s: int) -> Iterator[Marker]:
    """Versions that came in this time, to the step."""
    step = step_of(until_s - since_s)
    of_models = sorted({(one.task, one.model, one.version) for one in known if one.kind == "latency" and one.version})
    for task, model, version in of_models[:MOST_MODELS]:
        wish = Wish(kind="latency", task=task, model=model, version=version)
        steps = windows.history(wish, since_s, until_s, step_s=step)
        if steps and steps[0][0] > since_s + step:
            yield Marker(at=steps[0][0] * SECOND, text=f"{model} {version} came", task=task, model=model)
