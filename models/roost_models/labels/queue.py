"""Which pictures a person is asked about, in which order. Pure: cases and labels in, the queue out.

1. What somebody has judged, and nobody disagrees, is not asked again; what this author skipped is not asked of them.
2. The rest is ordered by what it would teach (`scoring`); what teaches nothing is not asked.
3. Of pictures of one camera within a moment only the best is asked: the others look the same. One that was judged
   already counts as asked. Suggestions and disagreements are never thinned: somebody waits for an answer.
4. The hundredth picture of one confusion (canary says egg, answer was hen) teaches less than the first of another: of
   each kind the points fall with the number that is in front, by half after `Weights.repeats`.
5. The same cases and labels give the same queue, in whatever order they are read.
"""

import bisect
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from roost_broker.errors import Misuse
from roost_models.labels.candidate import Candidate
from roost_models.labels.entry import Entry
from roost_models.labels.scoring import Surroundings, Weights, Why, whys
from roost_models.labels.standing import Standing

_NOTHING = Standing()


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """Bounds and tastes of a queue. Raises `Misuse`."""

    most: int = 300
    """Pictures that are asked about at a time."""
    near_ms: int = 5_000
    """Pictures of one camera closer than this are taken to be alike; 0: none are."""
    canary: str = "canary"
    alarms: frozenset[str] = frozenset()
    weights: Weights = field(default_factory=Weights)

    def __post_init__(self) -> None:
        if not 1 <= self.most <= 10_000:
            raise Misuse(f"A queue of {self.most} pictures cannot be.", "Use 1 to 10000.")
        if not 0 <= self.near_ms <= 86_400_000:
            raise Misuse(f"{self.near_ms} ms between alike pictures cannot be.", "Use 0 to 86400000.")


@dataclass(frozen=True, slots=True)
class Question:
    """One picture of the queue, and why it is asked."""

    candidate: Candidate
    whys: tuple[Why, ...]
    alike: int = 0
    """Pictures left out because they are taken to look the same."""
    freshness: float = 1.0
    """1 for the first of its kind, less for those behind it."""

    @property
    def points(self) -> float:
        """What it would teach."""
        return sum(why.points for why in self.whys) * self.freshness


@dataclass(frozen=True, slots=True)
class Queue:
    """The questions, best first, and what became of the other pictures."""

    questions: tuple[Question, ...] = ()
    looked_at: int = 0
    judged: int = 0
    skipped: int = 0
    dull: int = 0
    """Nothing speaks for asking about them."""
    thinned: int = 0
    gone: int = 0
    """Their pictures are not in the archive any more."""
    left: int = 0
    """Beyond `most`."""


def build(
    candidates: Iterable[Candidate],
    standings: Mapping[str, Standing],
    unplaced: Iterable[Entry] = (),
    *,
    author: str = "",
    settings: QueueSettings | None = None,
    there: Callable[[Candidate], bool] = lambda _: True,
) -> Queue:
    """Make the queue. `unplaced` are suggestions by request; `there` says whether a picture can be shown."""
    settings = settings or QueueSettings()
    by_picture = _one_each(candidates)
    answers = Counter(one.official for one in by_picture.values() if one.official)
    around = Surroundings(settings.canary, settings.alarms, sum(answers.values()), answers)
    holds = _with_unplaced(by_picture.values(), standings, unplaced)
    for picture, standing in holds.items():  # imported or suggested pictures that no case is known of
        if picture not in by_picture and (standing.conflict or standing.pending):
            by_picture[picture] = _without_case(picture, standing)
    counts: Counter[str] = Counter()
    judged, questions = [], []
    for one in by_picture.values():
        standing = holds.get(one.picture, _NOTHING)
        if standing.agreed is not None:
            judged.append(one)
        elif author in standing.skipped_by:
            counts["skipped"] += 1
        elif reasons := whys(one, standing, around, settings.weights):
            questions.append(Question(one, reasons))
        else:
            counts["dull"] += 1
    questions.sort(key=_order)
    kept = _mix(_thin(questions, judged, settings.near_ms, counts), settings.weights.repeats)
    shown: list[Question] = []
    for item in kept:
        if len(shown) == settings.most:
            break
        if there(item.candidate):
            shown.append(item)
        else:
            counts["gone"] += 1
    return Queue(
        tuple(shown),
        looked_at=len(by_picture),
        judged=len(judged),
        skipped=counts["skipped"],
        dull=counts["dull"],
        thinned=counts["thinned"],
        gone=counts["gone"],
        left=len(kept) - len(shown) - counts["gone"],
    )


def _one_each(candidates: Iterable[Candidate]) -> dict[str, Candidate]:
    """The same picture may have been asked about several times: the newest case stands for it."""
    found: dict[str, Candidate] = {}
    for one in candidates:
        before = found.get(one.picture)
        if before is None or _age(before) < _age(one):
            found[one.picture] = one
    return found


def _with_unplaced(
    candidates: Iterable[Candidate], standings: Mapping[str, Standing], unplaced: Iterable[Entry]
) -> dict[str, Standing]:
    holds = dict(standings)
    by_request: dict[str | None, list[Entry]] = {}
    for entry in unplaced:
        by_request.setdefault(entry.request_id, []).append(entry)
    for one in candidates if by_request else ():
        said = by_request.get(one.request_id, [])
        before = holds.get(one.picture, _NOTHING)
        if said and not before.verdicts:
            holds[one.picture] = Standing((), (*before.pending, *said), before.skipped_by)
    return holds


def _without_case(picture: str, standing: Standing) -> Candidate:
    entry = (*standing.pending, *standing.verdicts)[0]
    at = entry.taken if entry.taken is not None else entry.at
    return Candidate(picture, entry.node or entry.site, entry.task, request_id=entry.request_id, at_ms=at)


def _thin(questions: list[Question], judged: list[Candidate], near_ms: int, counts: Counter[str]) -> list[Question]:
    """Rule 3, best first."""
    if near_ms == 0:
        return questions
    taken: dict[tuple[str, str, str], list[int]] = {}
    for one in judged:
        bisect.insort(taken.setdefault(_camera(one), []), one.at_ms)
    kept: list[Question] = []
    for item in questions:
        times = taken.setdefault(_camera(item.candidate), [])
        if _near(times, item.candidate.at_ms, near_ms) and not _awaited(item):
            counts["thinned"] += 1
        else:
            bisect.insort(times, item.candidate.at_ms)
            kept.append(item)
    return _with_alike(kept, questions, near_ms)


def _with_alike(kept: list[Question], questions: list[Question], near_ms: int) -> list[Question]:
    all_times: dict[tuple[str, str, str], list[int]] = {}
    for item in questions:
        all_times.setdefault(_camera(item.candidate), []).append(item.candidate.at_ms)
    for times in all_times.values():
        times.sort()
    found = []
    for item in kept:
        times, at = all_times[_camera(item.candidate)], item.candidate.at_ms
        around = bisect.bisect_left(times, at + near_ms) - bisect.bisect_right(times, at - near_ms)
        found.append(Question(item.candidate, item.whys, around - 1))
    return found


def _mix(questions: list[Question], repeats: int) -> list[Question]:
    """Rule 4, over questions best first."""
    seen: Counter[tuple[object, ...]] = Counter()
    found = []
    for item in questions:
        if _awaited(item):
            found.append(item)
            continue
        one = item.candidate
        kind = (item.whys[0].kind, one.official, *sorted({said.label for said in one.said} - {one.official}))
        found.append(replace(item, freshness=repeats / (repeats + seen[kind])))
        seen[kind] += 1
    return sorted(found, key=_order)


def _order(item: Question) -> tuple[float, int, str]:
    return -item.points, -item.candidate.at_ms, item.candidate.picture


def _awaited(item: Question) -> bool:
    return any(why.kind in ("suggestion", "authors-disagree") for why in item.whys)


def _near(times: list[int], at: int, near_ms: int) -> bool:
    place = bisect.bisect_left(times, at)
    return any(abs(at - other) < near_ms for other in times[max(0, place - 1) : place + 1])


def _camera(one: Candidate) -> tuple[str, str, str]:
    # What has no device (an import) has no neighbours.
    return (one.node, one.task, one.camera) if one.request_id else (one.picture, "", "")


def _age(one: Candidate) -> tuple[int, str]:
    return one.at_ms, one.request_id or ""
