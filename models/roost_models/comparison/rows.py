"""An archive's requests as rows for the analytics: every model's word beside the official answer (promise D7).

Two models' words stand in one row only if both saw the same input and the same external state. A model that saw another
attempt of the request has a word all the same when that attempt says the same; else its word is absent, and says why.
"""

import hashlib
from collections.abc import Iterator

from roost_broker.clock import MS
from roost_broker.errors import RoostError
from roost_broker.messages import Declined, ModelOutcome, Request, Score
from roost_models.archive.cases import Case, CaseSource
from roost_models.archive.reading import ArchiveReader, as_request
from roost_rendezvous.analytics.comparison.joining import OTHER_INPUT
from roost_rendezvous.analytics.rows import Row, Word
from roost_rendezvous.analytics.watch.hearing import flat


def rows(
    source: CaseSource,
    *,
    task: str,
    from_ms: int | None = None,
    until_ms: int | None = None,
    truth: dict[str, str] | None = None,
) -> Iterator[Row]:
    """One row for each case of a task, in device order. `truth` holds labels by the SHA-256 of the frame."""
    expected: dict[str, None] = {}
    if isinstance(source, ArchiveReader):
        expected = {model: None for model, _ in source.model_versions()}
    for case in source.cases(task=task, from_ms=from_ms, until_ms=until_ms):
        expected |= {reply.model: None for reply in case.replies}
        yield row_of(case, tuple(expected), source, truth or {})


def row_of(case: Case, expected: tuple[str, ...], source: CaseSource, truth: dict[str, str]) -> Row:
    """One case. Models of `expected` that have no word get an absent one."""
    request, result = case.request, case.result
    outcomes = {} if result is None else {one.model: one for one in result.models}
    saw = hashlib.sha256(case.payload).hexdigest()
    words = []
    for reply in case.replies:
        if reply.saw not in (None, saw) and not _same_input(case, source, reply.saw or ""):
            words.append(Word(model=reply.model, version=reply.version, outcome="absent", reason=OTHER_INPUT))
        else:
            words.append(_word(reply, request, outcomes.get(reply.model)))
    said = {word.model for word in words}
    words += [Word(model=model, outcome="absent") for model in expected if model not in said]
    frame = request.input.frame
    answer, default = (None, None) if result is None else (result.answer, result.default)
    return Row(
        request_id=request.request_id,
        task=case.task,
        at=request.timestamp * MS,
        tags={"node": case.node, **request.tags} if case.node else dict(request.tags),
        words=tuple(words),
        answered_by="" if answer is None else answer.model,
        label=answer.label if answer is not None else default.label if default is not None else "",
        score=None if answer is None else answer.score,
        cause="" if result is None else result.cause,
        elapsed_ms=None if result is None else result.elapsed_ms,
        deadline_ms=request.deadline_ms,
        input=_input(request),
        state=dict(flat(request.state)),
        propensity=None if result is None else result.propensity,
        truth="" if frame is None else truth.get(frame.sha256, ""),
    )


def _word(reply: Score | Declined, request: Request, outcome: ModelOutcome | None) -> Word:
    if isinstance(reply, Declined):
        return Word(model=reply.model, version=reply.version, outcome="declined", reason=reply.reason)
    elapsed = None if outcome is None else outcome.elapsed_ms
    late = outcome is not None and outcome.status == "pending"
    if elapsed is None and reply.timestamp >= request.timestamp:
        elapsed = float(reply.timestamp - request.timestamp)  # both by the wall clock of the same device
    return Word(
        model=reply.model,
        version=reply.version,
        outcome="late" if late else "answered",
        scores={output.label: output.score for output in reply.outputs},
        elapsed_ms=elapsed,
        compute_ms=reply.compute_ms,
    )


def _input(request: Request) -> dict[str, float | str | bool]:
    found: dict[str, float | str | bool] = {
        name: value for name, value in flat(request.input.values or {}) if value is not None
    }
    if request.input.inline is not None:
        found["inline.sha256"] = hashlib.sha256(request.input.inline.encode()).hexdigest()
    frame = request.input.frame
    if frame is not None:
        found |= {"frame.bytes": float(frame.bytes), "frame.width": float(frame.width)}
        found |= {"frame.height": float(frame.height), "frame.sha256": frame.sha256}
    return found


def _same_input(case: Case, source: CaseSource, saw: str) -> bool:
    """Whether the attempt that a model saw says the same as the archived one. Not known is no."""
    payload = source.variant(case.request_id, saw) if isinstance(source, ArchiveReader) else None
    if payload is None:
        return False
    try:
        other = as_request(payload, case.request_id)
    except RoostError:
        return False
    return (other.input, other.state, other.tags) == (case.request.input, case.request.state, case.request.tags)
