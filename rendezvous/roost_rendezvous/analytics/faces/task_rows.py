"""One task's requests, row by row, into the task's part of a report: sketches and counts by period, never rows. Pure.

What is kept is bounded: at most `MOST_PERIODS` periods, `MOST_MODELS` models and `MOST_LABELS` labels.
"""

from collections import Counter
from collections.abc import Callable

from roost_rendezvous.analytics.faces.halves import halves_of
from roost_rendezvous.analytics.faces.periods import SECOND, TIMED, histogram, width
from roost_rendezvous.analytics.faces.predicting import predicted
from roost_rendezvous.analytics.faces.trend import trend
from roost_rendezvous.analytics.faces.values import Band, Bands, Halves, ModelLine, Rate, Rates, Service, TaskReport
from roost_rendezvous.analytics.rows import Row, Word
from roost_rendezvous.analytics.sketches.digest import TDigest
from roost_rendezvous.analytics.sketches.latency import LatencyHistogram

MOST_MODELS = 200
MOST_LABELS = 12
_HALVES_SHOWN = 2
_SCORES_SHOWN = 6
_OTHERS = "(others)"
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class _Period:
    """What is kept of one stretch of time."""

    __slots__ = ("compute", "labels", "requests", "scores")

    def __init__(self) -> None:
        self.requests = 0
        self.labels: Counter[str] = Counter()
        self.compute: Counter[str] = Counter()
        self.scores: dict[str, TDigest] = {}


class _Model:
    """What is kept of one model."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.versions: dict[str, None] = {}
        self.latency = LatencyHistogram()
        self.compute_ms = 0.0
        self.computed = 0


class TaskRows:
    """See the module. `main` is the model whose scores are drawn; `told`: some row has an outcome at all."""

    def __init__(self, name: str, main: str, start: int, end: int, *, told: bool) -> None:
        self._name = name
        self._main = main
        self._told = told
        self._start, self._end = start, end
        self._width = width(start, end)
        self._periods: dict[int, _Period] = {}
        self._hours: dict[str, Counter[int]] = {}
        self._models: dict[str, _Model] = {}
        self._halves = LatencyHistogram(), LatencyHistogram()
        self._service: Counter[str] = Counter()
        self._causes: Counter[str] = Counter()
        self._labels: Counter[str] = Counter()
        self._deadlines: Counter[int] = Counter()

    def take(self, row: Row) -> None:
        """One request."""
        nth = (row.at - self._start) // self._width
        period = self._periods.get(nth)
        if period is None:
            period = self._periods[nth] = _Period()
        period.requests += 1
        self._serve(row)
        label = row.label or (main.top if (main := row.word(self._main)) is not None else "")
        if label:
            label = _bounded(label, self._labels)
            self._labels[label] += 1
            period.labels[label] += 1
        if row.at >= TIMED:
            hour = row.at // (3_600 * SECOND)
            self._hours.setdefault("", Counter())[hour] += 1
            if label:
                self._hours.setdefault(label, Counter())[hour] += 1
        for word in row.words:
            self._say(word, row, period)

    def _serve(self, row: Row) -> None:
        self._service["requests"] += 1
        if row.cause:
            self._causes[row.cause] += 1
        if row.deadline_ms:
            self._deadlines[row.deadline_ms] += 1
        if not self._told or not row.deadline_ms or (row.cause and row.elapsed_ms is None):
            self._service["unknown"] += 1
        elif row.cause and row.elapsed_ms is not None and row.elapsed_ms <= row.deadline_ms:
            self._service["in time"] += 1
            self._service["by model"] += row.cause != "default"
        if row.elapsed_ms is not None:
            later = row.at >= self._start + (self._end - self._start) // 2
            self._halves[later].add(row.elapsed_ms)

    def _say(self, word: Word, row: Row, period: _Period) -> None:
        if word.model not in self._models and len(self._models) >= MOST_MODELS:
            return
        model = self._models.get(word.model)
        if model is None:
            model = self._models[word.model] = _Model()
        model.counts["asked"] += 1
        model.counts[word.outcome] += 1
        model.counts["official"] += row.answered_by == word.model
        if word.version and len(model.versions) < 10:
            model.versions[word.version] = None
        if word.elapsed_ms is not None and word.scores:
            model.latency.add(word.elapsed_ms)
        if word.compute_ms:
            model.compute_ms += word.compute_ms
            model.computed += 1
            period.compute[word.model] += word.compute_ms  # type: ignore[assignment]  # a Counter of floats will do
        if word.scores and row.label and row.answered_by not in ("", word.model):
            model.counts["compared"] += 1
            model.counts["agreed"] += word.top == row.label
        if word.model == self._main:
            for label, score in word.scores.items():
                digest = period.scores.get(label)
                if digest is None and len(period.scores) < MOST_LABELS:
                    digest = period.scores[label] = TDigest()
                if digest is not None:
                    digest.add(score)

    # -- what came of it ---------------------------------------------------------------------------------------------

    def told(self) -> TaskReport:
        """The task's part of the report."""
        rates = self._rates("requests", "", lambda one: one.requests)
        shown = [label for label, _ in self._labels.most_common(_SCORES_SHOWN) if label != _OTHERS]
        first, second = self._halves
        whole = LatencyHistogram.merged(self._halves)
        return TaskReport(
            task=self._name,
            service=Service(
                requests=self._service["requests"],
                in_time=self._service["in time"],
                by_model=self._service["by model"],
                unknown=self._service["unknown"],
                causes=dict(self._causes.most_common()),
            ),
            rates=rates,
            trend=trend(rates.periods) if self._start >= TIMED else None,
            latency=histogram(whole) if whole.count else None,
            first_half=histogram(first) if first.count else None,
            second_half=histogram(second) if second.count else None,
            deadline_ms=self._deadlines.most_common(1)[0][0] if self._deadlines else 0,
            models=tuple(sorted((self._line(name) for name in self._models), key=lambda one: -(one.official or 0))),
            labels=dict(self._labels.most_common()),
            scores=tuple(self._bands(label) for label in self._scored(shown)),
            halves=tuple(one for label in self._scored(shown)[:_HALVES_SHOWN] if (one := self._half_by_half(label))),
            label_rates=tuple(
                self._rates(f"answers {label}", label, lambda one, label=label: one.labels[label])  # type: ignore[misc]  # bound now
                for label in shown
            ),
        )

    def _scored(self, shown: list[str]) -> list[str]:
        """Labels of which the main model gave scores, those that were answered most first."""
        given = Counter[str]()
        for period in self._periods.values():
            given.update({label: round(one.count) for label, one in period.scores.items()})
        return [*(one for one in shown if one in given), *(one for one, _ in given.most_common() if one not in shown)][
            :_SCORES_SHOWN
        ]

    def _rates(self, name: str, label: str, count: Callable[[_Period], int]) -> Rates:
        hours = self._hours.get(label)
        expected = predicted(hours, self._start, self._end) if hours is not None else None
        if expected is not None:
            return Rates(name=name, periods=expected)
        last = (self._end - 1 - self._start) // self._width
        empty = _Period()
        periods = [
            Rate(
                start=self._start + nth * self._width,
                end=self._start + (nth + 1) * self._width,
                seen=count(self._periods.get(nth, empty)),
            )
            for nth in range(last + 1)
        ]
        return Rates(name=name, periods=tuple(periods))

    def _bands(self, label: str) -> Bands:
        found = []
        for nth in sorted(self._periods):
            digest = self._periods[nth].scores.get(label)
            if digest is not None and digest.count:
                low, quarter, half, three, high = map(float, digest.quantiles(_QUANTILES))
                middle = self._start + nth * self._width + self._width // 2
                kept = {"low": low, "quarter": quarter, "half": half, "three": three, "high": high}
                found.append(Band(at=middle, count=digest.count, **kept))
        of = f" by {self._main}" if self._main else ""
        return Bands(name=f"Score of {label}{of}", periods=tuple(found))

    def _half_by_half(self, label: str) -> Halves | None:
        of = f" by {self._main}" if self._main else ""
        digests = [(nth, one.scores[label]) for nth, one in self._periods.items() if label in one.scores]
        last = (self._end - 1 - self._start) // self._width
        return halves_of(f"score of {label}{of}", digests, (last + 1) // 2)

    def _line(self, name: str) -> ModelLine:
        model = self._models[name]
        counts, timed = model.counts, model.latency.count > 0
        half, slow, slowest = map(float, model.latency.quantiles([0.5, 0.95, 0.99])) if timed else (None, None, None)
        busiest = max((one.compute[name] for one in self._periods.values()), default=0.0)
        period_ms = min(self._width, self._end - self._start) / 1e6
        return ModelLine(
            model=name,
            versions=tuple(model.versions),
            asked=counts["asked"],
            answered=counts["answered"] + counts["late"],
            declined=counts["declined"],
            late=counts["late"],
            absent=counts["absent"],
            official=counts["official"],
            half_ms=half,
            slow_ms=slow,
            slowest_ms=slowest,
            compute_ms=model.compute_ms / model.computed if model.computed else None,
            busy=busiest / period_ms if busiest and self._start >= TIMED else None,
            agrees=counts["agreed"] / counts["compared"] if counts["compared"] else None,
            compared=counts["compared"],
        )


def _bounded(label: str, known: Counter[str]) -> str:
    return label if label in known or len(known) < MOST_LABELS else _OTHERS
