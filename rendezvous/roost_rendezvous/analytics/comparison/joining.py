"""Two models' words on the same request, joined by its id (promises E1, K3). Pure.

A join never mixes inputs: words that stand in different rows of one request are put together only if both rows hold
the same task, input and external state. What is missing is named, by model and reason.

Who is silent in between counts as different; who was not yet, or no longer, in service does not count at all.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import msgspec

from roost_broker.errors import Misuse
from roost_rendezvous.analytics.comparison.choosing import Choice
from roost_rendezvous.analytics.rows import Row, Word

MOST_PAIRS = 200_000
"""Pairs kept at most: some 1 kB each."""
OTHER_INPUT = "other-input"
"""Reason of an absent word: the model answered, but had seen another input than the one in the row."""
NOT_ASKED = "not-sampled"
"""Reason of a decline that is nobody's fault: the schedule did not ask."""
_NAMED = 5

What: TypeAlias = Literal["answered", "silent", "not-asked", "unusable"]


@dataclass(frozen=True, slots=True)
class Pair:
    """Both models' words on one request."""

    request_id: str
    at: int
    one: Word
    other: Word
    tags: dict[str, str]
    frame: str = ""
    """SHA-256 of the picture, where there is one."""
    truth: str = ""
    deadline_ms: int = 0
    behind: tuple[Word, ...] = ()
    """Words of further models that were asked to be kept."""


@dataclass(frozen=True, slots=True)
class _Half:
    """A request of which at least one word is still missing."""

    row: Row
    fingerprint: bytes
    one: Word | None
    other: Word | None


@dataclass(slots=True)
class Joined:
    """What came of joining. `missing` names, for each side, why a word was not there, and how often."""

    one: Choice
    other: Choice
    pairs: list[Pair] = field(default_factory=list)
    rows: int = 0
    lonely: list[Pair] = field(default_factory=list)
    """Only one of them had an answer while both were in service: differing."""
    missing: dict[str, dict[str, int]] = field(default_factory=dict)
    duplicates: int = 0
    mixed: int = 0
    """Rows refused because they hold another input under the same request id."""
    mixed_ids: list[str] = field(default_factory=list)
    tasks: dict[str, int] = field(default_factory=dict)

    @property
    def compared(self) -> int:
        """What the risk bound counts."""
        return len(self.pairs) + len(self.lonely)


class Joiner:
    """Takes rows in any order, gives `Joined` at the end. Raises `Misuse` beyond `most` pairs."""

    def __init__(self, one: Choice, other: Choice, *, most: int = MOST_PAIRS, behind: tuple[Choice, ...] = ()) -> None:
        if one == other:
            raise Misuse(f"{one.name} is compared with itself.", "Name two models, or two versions: hen@1 hen@2.")
        self._most = most
        self._behind = behind
        self._found = Joined(one, other)
        self._done: dict[str, bytes] = {}
        self._halves: dict[str, _Half] = {}

    def take(self, row: Row) -> None:
        """One more row."""
        found = self._found
        found.rows += 1
        fingerprint = _fingerprint(row)
        known = self._done.get(row.request_id)
        half = self._halves.get(row.request_id)
        if known is None and half is not None:
            known = half.fingerprint
        if known is not None and known != fingerprint:
            found.mixed += 1
            if len(found.mixed_ids) < _NAMED:
                found.mixed_ids.append(row.request_id)
            return
        if row.request_id in self._done:
            found.duplicates += 1
            return
        one, other = self._word(found.one, row), self._word(found.other, row)
        if half is not None:
            found.rows -= 1  # the same request
            one, other = _better(half.one, one), _better(half.other, other)
        if one is not None and other is not None and _what(one) == _what(other) == "answered":
            self._halves.pop(row.request_id, None)
            self._done[row.request_id] = fingerprint
            found.tasks[row.task] = found.tasks.get(row.task, 0) + 1
            kept = row if half is None else half.row
            found.pairs.append(_pair(kept, one, other, truth=row.truth, behind=self._others(row)))
        else:
            self._halves[row.request_id] = _Half(row if half is None else half.row, fingerprint, one, other)
        if len(found.pairs) + len(self._halves) > self._most:
            raise Misuse(
                f"There are more than {self._most:,} requests to compare.",
                "Narrow the period with --since and --until, or raise --limit.",
            )

    def joined(self) -> Joined:
        """When the last row was taken."""
        found = self._found
        served = (self._service(0), self._service(1))
        missing: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
        for half in self._halves.values():
            said: list[str] = []
            for side, word in enumerate((half.one, half.other)):
                what = _what(word)
                within = served[side] is not None and _within(half.row.at, served[side])
                if what == "answered":
                    said.append("answered")
                    continue
                name, counts = _silence(word, within=within)
                missing[side][name] += 1
                said.append("silent" if counts else "out")
            if sorted(said) == ["answered", "silent"]:
                found.tasks[half.row.task] = found.tasks.get(half.row.task, 0) + 1
                found.lonely.append(_pair(half.row, half.one or _absent(found.one), half.other or _absent(found.other)))
        found.missing = {
            choice.name: dict(counted.most_common())
            for choice, counted in zip((found.one, found.other), missing, strict=True)
            if counted
        }
        found.pairs.sort(key=lambda pair: (pair.at, pair.request_id))
        return found

    def _service(self, side: int) -> tuple[int, int] | None:
        """From the first to the last moment at which this model had any word."""
        moments = [pair.at for pair in self._found.pairs]
        for half in self._halves.values():
            word = half.one if side == 0 else half.other
            if word is not None and (word.outcome != "absent" or word.reason == OTHER_INPUT):
                moments.append(half.row.at)
        return (min(moments), max(moments)) if moments else None

    def _others(self, row: Row) -> tuple[Word, ...]:
        return tuple(word for one in self._behind for word in one.words(row)[:1] if word.scores)

    def _word(self, wanted: Choice, row: Row) -> Word | None:
        words = wanted.words(row)
        if len(words) <= 1:
            return words[0] if words else None
        spoke = [word for word in words if word.outcome != "absent"]
        if len(spoke) > 1 and {word.version for word in spoke} != {spoke[0].version}:
            versions = " ".join(sorted({f"{word.model}@{word.version}" for word in spoke}))
            raise Misuse(
                f"Several versions of {wanted.model} answered the same request ({row.request_id}).",
                f"Say which one is meant: {versions}.",
            )
        return spoke[0] if spoke else words[0]


def join(
    rows: Iterable[Row],
    one: Choice,
    other: Choice,
    *,
    most: int = MOST_PAIRS,
    behind: tuple[Choice, ...] = (),
) -> Joined:
    """All rows at once. Raises `Misuse`."""
    joiner = Joiner(one, other, most=most, behind=behind)
    for row in rows:
        joiner.take(row)
    return joiner.joined()


def _fingerprint(row: Row) -> bytes:
    """What must be equal before words of two rows are put together. Order of the fields does not count."""
    return msgspec.json.encode((row.task, sorted(row.input.items()), sorted(row.state.items())))


def _pair(row: Row, one: Word, other: Word, *, truth: str = "", behind: tuple[Word, ...] = ()) -> Pair:
    return Pair(
        request_id=row.request_id,
        at=row.at,
        one=one,
        other=other,
        tags=row.tags,
        frame=str(row.input.get("frame.sha256", "")),
        truth=row.truth or truth,
        deadline_ms=row.deadline_ms,
        behind=behind,
    )


def _what(word: Word | None) -> What:
    """A late answer is an answer: it came too late to be official, but says what the model says."""
    if word is None or not word.scores:
        if word is not None and word.outcome == "declined" and word.reason == NOT_ASKED:
            return "not-asked"
        return "unusable" if word is not None and word.reason == OTHER_INPUT else "silent"
    return "answered"


def _silence(word: Word | None, *, within: bool) -> tuple[str, bool]:
    """The name of a missing word, and whether it counts as a difference."""
    what = _what(word)
    if what == "not-asked":
        return "not asked", False
    if what == "unusable":
        return "saw another input", False
    if word is not None and word.outcome == "declined":
        return f"declined: {word.reason or 'no reason'}", True
    return ("silent", True) if within else ("not in service", False)


def _better(first: Word | None, second: Word | None) -> Word | None:
    """Of two rows' words the one that says more."""
    order = {"answered": 0, "not-asked": 1, "unusable": 2, "silent": 3}
    there = [word for word in (first, second) if word is not None]
    return min(there, key=lambda word: order[_what(word)], default=None)


def _absent(wanted: Choice) -> Word:
    return Word(model=wanted.model, version=wanted.version, outcome="absent")


def _within(at: int, period: tuple[int, int] | None) -> bool:
    return period is not None and period[0] <= at <= period[1]
