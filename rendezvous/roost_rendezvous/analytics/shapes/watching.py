"""Everything about shapes that a task's rows can tell, without configuration: rows in, readings out. Pure.

Streams appear as models, labels, steps and fields appear in the rows. Rows may come from a live stream or from a
file; time is theirs. A model's new version stays in the same stream, so that its change is seen; acknowledging an
alarm (`relearn`) makes what comes then the new normal.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgspec

from roost_rendezvous.analytics.reading import Reading, Signal
from roost_rendezvous.analytics.rows import Row, Word
from roost_rendezvous.analytics.shapes.bands import Bands, KeptBands
from roost_rendezvous.analytics.shapes.bank import Bank
from roost_rendezvous.analytics.shapes.making import CAMERA, PRESENCE, Key, Maker
from roost_rendezvous.analytics.shapes.settings import ShapeSettings
from roost_rendezvous.analytics.shapes.tails import TailWatch

PICTURE = ("frame.", "picture.")
"""Fields of the input that a camera answers for."""
_MODELS = 64


class KeptShapes(msgspec.Struct, kw_only=True):
    """The memory of a task's shapes."""

    rows: int
    answers: dict[str, int]
    labels: dict[str, list[str]]
    fields: dict[str, list[str]]
    sources: dict[str, int]
    closed: dict[str, int]
    watches: list[Any]
    bands: dict[str, KeptBands]


class ShapesWatch:
    """`canaries` are the models known as such; they may become known later (`know`)."""

    def __init__(self, task: str, settings: ShapeSettings | None = None, *, canaries: Collection[str] = ()) -> None:
        self.task = task
        self._settings = settings or ShapeSettings()
        self._canaries = frozenset(canaries)
        self._maker = Maker(task, self._settings, self._canaries_hold)
        self._bank = Bank(self._settings.most_streams, self._maker.make)
        self._rows = 0
        self._answers: dict[str, int] = {}
        self._labels: dict[str, list[str]] = {}
        self._fields: dict[str, list[str]] = {}
        self._sources: dict[str, int] = {}
        self._closed: dict[str, int] = {}
        self._bands: dict[str, Bands] = {}

    def _canaries_hold(self, model: str) -> bool:
        return model in self._canaries

    @property
    def left_out(self) -> int:
        """Observations of streams for which there was no room."""
        return self._bank.left_out

    def __len__(self) -> int:
        return len(self._bank)

    @property
    def signals(self) -> list[Signal]:
        """Of all streams; those of bands, which learn nothing anew, are not among them."""
        return self._bank.signals

    def know(self, canaries: Collection[str]) -> None:
        """Which models are canaries now; their streams keep their histories."""
        self._canaries = frozenset(canaries)
        self._bank.rename(self._maker.signal)

    def handle(self, row: Row) -> None:
        """One settled request."""
        if row.task != self.task:
            return
        self._rows += 1
        answered = [word for word in row.words if word.outcome in ("answered", "late")]
        for word in answered:
            if word.model in self._answers or len(self._answers) < _MODELS:
                self._answer(word, row.at)
        for canary in answered:
            if canary.model in self._canaries:
                self._agree(canary, answered)
        if row.elapsed_ms is not None:
            self._number(("took", "", "official answer"), row.elapsed_ms)
        self._given(row)

    def tick(self, now: int) -> Iterator[Reading]:
        """What every stream has to say at `now`."""
        yield from self._bank.tick(now)
        for bands in self._bands.values():
            yield from bands.tick(now)

    def relearn(self, signal: Signal) -> bool:
        """What comes from now on is this signal's new normal; False: no stream has this signal."""
        return self._bank.relearn(signal)

    def _answer(self, word: Word, at: int) -> None:
        model = word.model
        before = self._answers.get(model, 0)
        self._answers[model] = before + 1
        if word.elapsed_ms is not None:
            self._number(("took", model, "answer"), word.elapsed_ms)
        if word.compute_ms is not None:
            self._number(("took", model, "compute"), word.compute_ms)
            if word.elapsed_ms is not None:
                self._number(("took", model, "wait"), max(0.0, word.elapsed_ms - word.compute_ms))
        if not word.scores:
            return
        labels = self._labels.setdefault(model, [])
        shape = self._watch(("shape", model))
        for label in word.scores:
            if label not in labels and len(labels) < self._settings.most_labels:
                labels.append(label)
                if shape is not None:
                    shape.widen(label)
                # A label that was not named until now scored 0.
                if (watch := self._watch(("score", model, label))) is not None:
                    watch.begin(0.0, before)
        for label in labels:
            self._number(("score", model, label), word.scores.get(label, 0.0))
        if shape is not None:
            shape.handle([word.scores.get(label, 0.0) for label in shape.names])
        best = word.top
        if (watch := self._watch(("best", model))) is not None:
            watch.handle(best)
        if (tail := self._watch(("tail", model))) is not None:
            tail.handle(word.scores[best])
            self._close(tail, model, at)

    def _close(self, tail: TailWatch, model: str, at: int) -> None:
        """A period ends by its number of values, or by time when it has enough of them."""
        started = self._closed.setdefault(model, at)
        full = tail.pending >= self._settings.period_values
        over = at - started >= self._settings.period_ns and tail.pending >= self._settings.period_least
        if full or over:
            tail.close(at)
            self._closed[model] = at

    def _agree(self, canary: Word, answered: list[Word]) -> None:
        bands = self._bands.setdefault(canary.model, Bands(self.task, canary.model, self._settings.band_pairs))
        for word in answered:
            if word.model in self._canaries or not word.scores or not canary.scores:
                continue
            agrees = word.top == canary.top
            if (watch := self._watch(("agree", word.model, canary.model))) is not None:
                watch.handle(agrees)
            bands.handle(word.model, word.version, agrees)

    def _given(self, row: Row) -> None:
        """What came in: fields of the input, of the picture by camera, and of the state."""
        camera = row.tags.get("camera", "")
        pictured = {name: value for name, value in row.input.items() if camera and name.startswith(PICTURE)}
        plain = {name: value for name, value in row.input.items() if name not in pictured}
        if row.input or "input" in self._sources:
            self._source("input", plain)
        if camera:
            self._source(CAMERA + camera, pictured)
        if row.state or "state" in self._sources:
            self._source("state", row.state)

    def _source(self, source: str, given: Mapping[str, float | str | bool | None]) -> None:
        if source not in self._sources and len(self._sources) >= _MODELS:
            self._bank.left_out += 1
            return
        before = self._sources.get(source, 0)
        self._sources[source] = before + 1
        names = self._fields.setdefault(source, [])
        for name in given:
            if name not in names and len(names) < self._settings.most_fields:
                names.append(name)
                if (watch := self._watch(("there", source, name))) is not None:
                    watch.begin(PRESENCE[1], before)
        for name in names:
            value = given.get(name)
            if (watch := self._watch(("there", source, name))) is not None:
                watch.handle(PRESENCE[value is None])
            if isinstance(value, bool | str):
                if (watch := self._watch(("word", source, name))) is not None:
                    watch.handle(str(value))
            elif value is not None:
                self._number(("number", source, name), value)

    def _number(self, key: Key, value: float) -> None:
        if (watch := self._watch(key)) is not None:
            watch.handle(value)

    def _watch(self, key: Key) -> Any:
        return self._bank.get(key)

    def snapshot(self) -> Any:
        """Everything that a restart must not lose, as plain values."""
        kept = KeptShapes(
            rows=self._rows,
            answers=self._answers,
            labels=self._labels,
            fields=self._fields,
            sources=self._sources,
            closed=self._closed,
            watches=self._bank.snapshot(),
            bands={canary: bands.snapshot() for canary, bands in self._bands.items()},
        )
        return msgspec.to_builtins(kept)

    def restore(self, kept: Any) -> None:
        """Continue where the snapshot was taken."""
        state = msgspec.convert(kept, KeptShapes)
        self._rows, self._answers, self._labels = state.rows, state.answers, state.labels
        self._fields, self._sources, self._closed = state.fields, state.sources, state.closed
        self._bank.restore(state.watches)
        for canary, memory in state.bands.items():
            self._bands[canary] = Bands(self.task, canary, self._settings.band_pairs)
            self._bands[canary].restore(memory)
