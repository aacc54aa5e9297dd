"""Request, scores, refusals and result of one request joined into one row (requirements D7, E1, K3). Pure.

Rules:

1. A message counts once, by its id: what the broker delivers again changes nothing.
2. A request of which nothing was heard for `settle` is told to its end: its row is given out, once. What is said of it
   later is counted by name (`late-word`), and does not make a second row.
3. Who was asked and said nothing stands in the row as `absent`; an answer that came after the result as `late`. A
   refusal is no absence. An answer to another input than the one in the row is `absent` with the reason `other-input`.
4. Scores whose request was never heard (the monitor came later) make no row; they are counted (`no-request`).
5. At most `most` requests are open; of more the oldest settles early (`made-room`).
"""

from collections import Counter, OrderedDict
from typing import Any

import msgspec

from roost_rendezvous.analytics.rows import Outcome, Row, Word
from roost_rendezvous.analytics.watch.observed import Asked, Decided, Said, Told

MS = 1_000_000
MOST_WORDS = 128
"""Words on one request, replicas and repetitions together."""
_SEEN_INPUTS = 4
_REMEMBERED = 4_096
"""Settled requests by id, so that what is delivered again is known."""

Part = Asked | Said | Decided


class _Open(msgspec.Struct, array_like=True, gc=False):
    """One request as far as it is known."""

    touched: int
    task: str
    asked: Asked | None = None
    decided: Decided | None = None
    said: dict[str, Said] = {}
    """By model; the first word counts."""
    saw: list[str] = []
    ids: list[str] = []


class _State(msgspec.Struct, array_like=True):
    open: dict[str, _Open] = {}
    settled: list[str] = []
    counts: dict[str, int] = {}


class Joining:
    """See the module. `settle` in nanoseconds of the same steady clock as the observations' `heard`."""

    def __init__(self, *, settle: int, most: int) -> None:
        if settle <= 0 or most < 1:
            raise ValueError("settle and most are above 0")
        self.counts: Counter[str] = Counter()
        self.fresh = 0
        """Observations that were new so far: neither repeated nor too late."""
        self.taken = 0
        """The same, and second words of a model on one request."""
        self._settle = settle
        self._most = most
        self._open: OrderedDict[str, _Open] = OrderedDict()  # by last word, so the first is the oldest
        self._settled: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        """Requests that wait to become rows."""
        return len(self._open)

    def handle(self, part: Part) -> tuple[Row, ...]:
        """One observation; gives rows only where room had to be made."""
        if part.request_id in self._settled:
            self.counts["late-word" if isinstance(part, Said) else "after-settling"] += 1
            return ()
        one = self._open.get(part.request_id)
        if one is None:
            one = self._open[part.request_id] = _Open(part.heard, part.task, said={}, saw=[], ids=[])
        elif part.message_id in one.ids:
            self.counts["duplicate"] += 1
            return ()
        elif len(one.ids) >= MOST_WORDS:
            self.counts["too-many-words"] += 1
            return ()
        one.ids.append(part.message_id)
        self.taken += 1
        one.touched = max(one.touched, part.heard)
        self._open.move_to_end(part.request_id)
        if isinstance(part, Asked):
            if part.saw and len(one.saw) < _SEEN_INPUTS:
                one.saw.append(part.saw)
            if one.asked is None:  # published again by capture: the first attempt is the arrival
                one.asked, self.fresh = part, self.fresh + 1
        elif isinstance(part, Decided):
            if one.decided is None:
                one.decided, self.fresh = part, self.fresh + 1
        elif part.model not in one.said:
            one.said[part.model], self.fresh = part, self.fresh + 1
        return self._settle_one("made-room") if len(self._open) > self._most else ()

    def expire(self, now: int) -> tuple[Row, ...]:
        """Rows of all requests that have been quiet for long enough."""
        rows: list[Row] = []
        while self._open and next(iter(self._open.values())).touched + self._settle <= now:
            rows += self._settle_one("rows")
        return tuple(rows)

    def deadline(self) -> int | None:
        """When the next request will have been quiet for long enough."""
        for one in self._open.values():
            return one.touched + self._settle
        return None

    def snapshot(self) -> Any:
        """Plain values."""
        return msgspec.to_builtins(_State(dict(self._open), list(self._settled), dict(self.counts)))

    def restore(self, kept: Any) -> None:
        """What `snapshot` gave."""
        state = msgspec.convert(kept, _State)
        self._open = OrderedDict(state.open)
        self._settled = OrderedDict.fromkeys(state.settled)
        self.counts = Counter(state.counts)

    def _settle_one(self, why: str) -> tuple[Row, ...]:
        request_id, one = self._open.popitem(last=False)
        self._settled[request_id] = None
        if len(self._settled) > _REMEMBERED:
            self._settled.popitem(last=False)
        if one.asked is None and one.decided is None:
            self.counts["no-request"] += 1
            return ()
        if why != "rows":
            self.counts[why] += 1
        self.counts["rows"] += 1
        return (_row(request_id, one),)


def _row(request_id: str, one: _Open) -> Row:
    asked, decided = one.asked, one.decided
    at = asked.at if asked is not None else decided.at - round(decided.elapsed_ms * MS) if decided is not None else 0
    told = {each.model: each for each in decided.models} if decided is not None else {}
    return Row(
        request_id=request_id,
        task=one.task,
        at=at,
        tags=_tags(asked, decided),
        words=tuple(_word(model, one, told.get(model)) for model in dict.fromkeys([*told, *one.said])),
        answered_by=decided.model if decided is not None else "",
        label=decided.label if decided is not None else "",
        score=decided.score if decided is not None else None,
        cause=decided.cause if decided is not None else "",
        elapsed_ms=decided.elapsed_ms if decided is not None else None,
        deadline_ms=decided.sla_ms if decided is not None else asked.deadline_ms if asked is not None else 0,
        input=asked.input if asked is not None else {},
        state=asked.state if asked is not None else {},
        propensity=decided.propensity if decided is not None else None,
    )


def _tags(asked: Asked | None, decided: Decided | None) -> dict[str, str]:
    """The request's own, and the cohort that the schedule put it in."""
    tags = asked.tags if asked is not None else decided.tags if decided is not None else {}
    return {**tags, "cohort": decided.cohort} if decided is not None and decided.cohort else tags


def _word(model: str, one: _Open, told: Told | None) -> Word:
    said = one.said.get(model)
    version = said.version if said is not None else told.version if told is not None else ""
    if said is None:
        return Word(model=model, version=version, outcome="absent", reason=told.reason if told is not None else "")
    if said.saw and one.saw and said.saw not in one.saw:
        return Word(model=model, version=version, outcome="absent", reason="other-input")
    if said.reason:
        return Word(model=model, version=version, outcome="declined", reason=said.reason)
    outcome: Outcome = "late" if told is not None and told.status == "pending" else "answered"
    return Word(
        model=model,
        version=version,
        outcome=outcome,
        scores=said.scores,
        elapsed_ms=_elapsed(said, one, told),
        compute_ms=said.compute_ms,
    )


def _elapsed(said: Said, one: _Open, told: Told | None) -> float | None:
    """As the rendezvous measured it; of a late one from the issue to the answer, in steady time: both are of then."""
    if told is not None and told.elapsed_ms is not None:
        return told.elapsed_ms
    if one.asked is None:
        return None
    return max(0.0, (said.heard - one.asked.heard) / MS)
