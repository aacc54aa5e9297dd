"""Replay: ask a bundle again everything the archive holds, and compare with what it answered then (D1, D3, D5).

What is compared are scores of the same bundle (by digest) and the same runtime (engine, its version, number format,
decoder): for those "the same" means every bit of every score. Another runtime is skipped and counted, not forgiven.

The requests go through the scaffold's own `Evaluator`, rebuilt from the archived bytes and frames alone, so a
difference speaks of the model or its environment, and not of a second way to prepare a picture.

A model with internal state observes the whole archive from its first input on, in the order of the stream, whatever
part of it is then compared (D4).
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from roost_broker.clock import SECOND, Clock, SystemClock
from roost_broker.messages import Output, Request
from roost_models.archive.reading import PAGE, ArchivedInput, ArchivedScore, ArchiveReader, as_request
from roost_models.bundle.folder import Bundle
from roost_models.inference.evaluation import Evaluator, Outcome
from roost_models.inference.predictor import PythonPredictor, load_predictor
from roost_models.internal_state.keeper import InternalState

BATCH = 32
"""Requests evaluated in one call: bounds the memory that their pictures take."""
SHOWN = 20


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One score that did not come out as it is archived."""

    request_id: str
    model: str
    archived: list[Output]
    replayed: list[Output]
    """Empty when the model failed now; `detail` then says how."""
    detail: str = ""


class ReplayReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay found."""

    bundle: str
    name: str
    version: str
    runtime: str
    pure: bool
    """False: the bundle says that it has internal state. Where Roost does not keep it, differences are expected."""
    inputs: int
    """Archived inputs gone through."""
    compared: int
    """Scores evaluated again."""
    identical: int
    different: int
    first_different: list[Difference]
    """The first 20."""
    skipped: dict[str, int]
    """Not compared, by reason: `no-score`, `declined`, `other-runtime`, `frame-removed`, `frame-missing` …"""
    seconds: float
    per_second: float
    """Scores compared a second, everything included."""

    @property
    def exact(self) -> bool:
        """Whether something was compared and every score came out to the bit."""
        return self.compared > 0 and self.identical == self.compared


@dataclass(frozen=True, slots=True)
class _Question:
    """One request as some model saw it, with the archived scores that it must give again."""

    item: ArchivedInput
    request: Request
    scores: tuple[ArchivedScore, ...]


def replay(
    archive: ArchiveReader,
    bundle: Bundle,
    *,
    limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    clock: Clock | None = None,
) -> ReplayReport:
    """Evaluate the archived inputs again, in device order (with internal state: of arrival), as fast as possible.

    `limit` takes the newest inputs only; `progress` is called with (inputs done, inputs in all). Raises `Misuse` when
    this environment is not the bundle's.
    """
    return _Replay(archive, bundle, clock or SystemClock()).run(limit, progress)


class _Replay:
    def __init__(self, archive: ArchiveReader, bundle: Bundle, clock: Clock) -> None:
        self._archive = archive
        self._bundle = bundle
        self._clock = clock
        predictor = load_predictor(bundle)
        self._runtime = predictor.runtime
        self._state = None
        if bundle.manifest.internal_state is not None and isinstance(predictor, PythonPredictor):
            self._state = InternalState(predictor.model, bundle.digest)
        self._evaluator = Evaluator(
            predictor,
            archive.frames,
            clock.monotonic_ns,
            threading.Event(),
            None if self._state is None else self._state.past,
        )
        self._models = archive.models_of(bundle.digest)
        self._skipped: Counter[str] = Counter()
        self._inputs = self._compared = self._identical = 0
        self._different: list[Difference] = []

    def run(self, limit: int | None, progress: Callable[[int, int], None] | None) -> ReplayReport:
        started = self._clock.monotonic_ns()
        total = self._archive.count_inputs()
        total = total if limit is None else min(limit, total)
        for page in _in_groups(self._items(limit, total), PAGE):
            for batch in _without_repetition(self._questions(page)):
                outcomes = self._evaluator.evaluate([q.request for q in batch], [None] * len(batch))
                for question, outcome in zip(batch, outcomes, strict=True):
                    self._compare(question, outcome)
            self._inputs += len(page)
            if progress is not None:
                progress(self._inputs, max(total, self._inputs))
        seconds = (self._clock.monotonic_ns() - started) / SECOND
        return ReplayReport(
            bundle=self._bundle.digest,
            name=self._bundle.manifest.name,
            version=self._bundle.manifest.version,
            runtime=self._runtime,
            pure=self._bundle.manifest.pure,
            inputs=self._inputs,
            compared=self._compared,
            identical=self._identical,
            different=self._compared - self._identical,
            first_different=self._different,
            skipped=dict(sorted(self._skipped.items())),
            seconds=round(seconds, 3),
            per_second=round(self._compared / seconds, 1) if seconds > 0 else 0.0,
        )

    def _items(self, limit: int | None, total: int) -> Iterator[ArchivedInput]:
        """The inputs to go through; a model with internal state has observed each, and all before it."""
        if self._state is None:
            yield from self._archive.inputs(limit=limit)
            return
        unwanted = self._archive.count_inputs() - total
        for number, item in enumerate(self._archive.arrivals()):
            self._state.observe(item.request)
            if number >= unwanted:
                yield item

    def _questions(self, page: Sequence[ArchivedInput]) -> Iterator[_Question]:
        """What there is to compare on a page, in order; what cannot be compared is counted by its reason."""
        ids = [item.request_id for item in page]
        scores: dict[str, list[ArchivedScore]] = {}
        for score in self._archive.scores(ids, bundle=self._bundle.digest):
            scores.setdefault(score.request_id, []).append(score)
        declined = {request_id for request_id, model, _ in self._archive.declined(ids) if model in self._models}
        for item in page:
            given = scores.get(item.request_id, [])
            if not given:
                self._skipped["declined" if item.request_id in declined else "no-score"] += 1
            yield from self._as_seen(item, given)

    def _as_seen(self, item: ArchivedInput, given: Iterable[ArchivedScore]) -> Iterator[_Question]:
        """Scores by the bytes that their model saw: a re-published request differs in its attempt number."""
        by_payload: dict[bytes, list[ArchivedScore]] = {}
        for score in given:
            payload = self._archive.payload_seen(item, score.saw)
            if score.runtime != self._runtime:
                self._skipped["other-runtime"] += 1
            elif payload is None:
                self._skipped["saw-not-archived"] += 1
            else:
                by_payload.setdefault(payload, []).append(score)
        for payload, scores in by_payload.items():
            yield _Question(item, as_request(payload, item.request_id), tuple(scores))

    def _compare(self, question: _Question, outcome: Outcome) -> None:
        failure = outcome.failure
        if failure is not None and failure.reason.startswith("frame-"):
            gone = question.item.frame_note is None and failure.reason == "frame-missing"
            self._skipped["frame-removed" if gone else failure.reason] += len(question.scores)
            return
        replayed = outcome.outputs or []
        for score in question.scores:
            self._compared += 1
            # JSON writes the shortest text that reads back as the same double: equal text, equal bits.
            if failure is None and msgspec.json.encode(replayed) == msgspec.json.encode(score.outputs):
                self._identical += 1
            elif len(self._different) < SHOWN:
                detail = "" if failure is None else f"{failure.reason}: {failure.detail}"
                self._different.append(
                    Difference(
                        request_id=score.request_id,
                        model=score.model,
                        archived=list(score.outputs),
                        replayed=replayed,
                        detail=detail,
                    )
                )


def _in_groups(items: Iterable[ArchivedInput], size: int) -> Iterator[list[ArchivedInput]]:
    group: list[ArchivedInput] = []
    for item in items:
        group.append(item)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def _without_repetition(questions: Iterable[_Question]) -> Iterator[list[_Question]]:
    """Batches in which no request occurs twice: the evaluator tells its outcomes apart by request id."""
    batch: dict[str, _Question] = {}
    for question in questions:
        if len(batch) == BATCH or question.item.request_id in batch:
            yield list(batch.values())
            batch = {}
        batch[question.item.request_id] = question
    if batch:
        yield list(batch.values())
