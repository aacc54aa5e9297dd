"""A file of rows put through the same watch as a device's streams: alarms and readings from rows alone (promise X9).

A row becomes the messages it was made of: request, each model's word, result. They are handled in the order of their
times, so the same detectors with the same budget say what they would have said. Pure; brings numpy.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator
from itertools import count

from roost_rendezvous.analytics.alarms.episode import Episode
from roost_rendezvous.analytics.alarms.standing import SignalStanding
from roost_rendezvous.analytics.faces.telling import TIMED
from roost_rendezvous.analytics.rows import Row, Word
from roost_rendezvous.analytics.watch.observed import Asked, Decided, Observed, Said, Told
from roost_rendezvous.analytics.watch.settings import AnalyticsSettings
from roost_rendezvous.analytics.watch.watching import Watching

_MS = 1_000_000
_HORIZON = 120_000 * _MS
"""A word that came later than this after its request is handled out of order; rows are held back for so long."""
_MOST_HELD = 100_000


def watched(
    rows: Iterable[Row], settings: AnalyticsSettings | None = None, progress: Callable[[int], None] | None = None
) -> tuple[tuple[Episode, ...], tuple[SignalStanding, ...]]:
    """Every alarm in these rows, and how each signal stands at their end. Rows without times give nothing."""
    watching = Watching(settings or AnalyticsSettings())
    episodes: dict[str, Episode] = {}
    last = 0
    for nth, one in enumerate(observations(rows)):
        episodes |= {told.episode.id: told.episode for told in watching.handle(one)}
        last = one.heard
        if progress is not None and nth % 1_000 == 0:
            progress(nth)
    if not last:
        return (), ()
    settle = watching.settings.settle_ms * _MS
    episodes |= {told.episode.id: told.episode for told in watching.expire(last + settle + 60_000 * _MS)}
    return tuple(episodes.values()), tuple(watching.standing().signals)


def observations(rows: Iterable[Row]) -> Iterator[Observed]:
    """In the order of their times; rows may be out of order by two minutes."""
    held: list[tuple[int, int, Observed]] = []
    order = count()
    newest = 0
    for row in rows:
        if row.at < TIMED:
            continue
        newest = max(newest, row.at)
        for one in _messages(row):
            heapq.heappush(held, (one.heard, next(order), one))
        while held and (held[0][0] < newest - _HORIZON or len(held) > _MOST_HELD):
            yield heapq.heappop(held)[2]
    while held:
        yield heapq.heappop(held)[2]


def _messages(row: Row) -> Iterator[Asked | Said | Decided]:
    told = []
    issued = (row.request_id, row.at)
    yield Asked(
        *(row.at, f"{row.request_id}?", row.task, *issued, "", 0, row.deadline_ms, 1),
        dict(row.tags),
        dict(row.input),
        dict(row.state),
    )
    for word in row.words:
        told.append(Told(word.model, word.version, _STATUS[word.outcome], word.elapsed_ms, word.reason, False))
        if word.outcome != "absent":
            yield _said(word, row)
    if row.cause:
        at = row.at + round((row.elapsed_ms or 0.0) * _MS)
        yield Decided(
            heard=at,
            message_id=f"{row.request_id}!",
            task=row.task,
            request_id=row.request_id,
            at=at,
            model=row.answered_by,
            label=row.label,
            score=row.score,
            cause=row.cause,
            elapsed_ms=row.elapsed_ms or 0.0,
            sla_ms=row.deadline_ms,
            late=False,
            cohort="",
            propensity=row.propensity,
            schedule="",
            models=tuple(told),
            tags={},
        )


def _said(word: Word, row: Row) -> Said:
    at = row.at + round((word.elapsed_ms or 0.0) * _MS)
    reason = (word.reason or "declined") if word.outcome == "declined" else ""
    return Said(
        *(at, f"{row.request_id}{word.model}", row.task, row.request_id, at, word.model, word.version),
        *(dict(word.scores), word.compute_ms or 0.0, 1, reason, ""),
    )


_STATUS = {"answered": "answered", "declined": "declined", "late": "pending", "absent": "pending"}
