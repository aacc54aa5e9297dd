"""One mailbox, and the judgement on it: is there an answer now, and if not, when must we look again?

The rule, in one place:

1. The candidate is the best-ranked model that answered and that some step accepts. Ignored models never are.
2. It is official once its step has begun, or earlier when nothing better can come: every better-ranked model
   has declined this request or is known to be gone. A model that was never heard of may still come.
3. At the default's time all steps count as begun (a request's own deadline may cut the schedule short), so an
   accepted answer that is there wins; without one the default is given.
4. The default is given before its time only when every model that could be official has *declined this request*.
   A gone model does not hasten it: it may return and find the request in its persistent session. Under "*" this
   asks the same of every model whose state is known; a model nobody has heard of is not waited for, because a
   scaffold announces itself before it reads requests.
"""

from msgspec import Struct, field

from roost_broker.messages import ModelOutcome
from roost_rendezvous.mailbox.events import DeclinedArrived, ModelWord, ScoreArrived
from roost_rendezvous.mailbox.plan import Plan
from roost_rendezvous.mailbox.roster import Roster


class Entry(Struct, frozen=True, gc=False):
    """What one model said, and when."""

    word: ModelWord
    at_ns: int


class Box(Struct, kw_only=True, gc=False):
    """The mailbox of one request. `start_ns` is where its clock began; `opened_ns` where elapsed time is counted."""

    request_id: str
    message_id: str
    plan: Plan
    opened_ns: int
    start_ns: int
    default_ns: int
    """Absolute time of the default."""
    late: bool
    override: bool
    context: object
    armed_ns: int = -1
    """Absolute time of the one timer that counts for this box; -1 = none."""
    best: ScoreArrived | None = None
    entries: dict[str, Entry] = field(default_factory=dict)


class Commit(Struct, frozen=True, gc=False):
    """Answer now. Without a candidate the default is meant, for this reason."""

    chosen: ScoreArrived | None
    reason: str = ""


def judge(box: Box, roster: Roster, now: int) -> Commit | int:
    """A decision, or the absolute time at which to judge again if nothing arrives before."""
    best = box.best
    if best is None:
        if now >= box.default_ns:
            return Commit(None, "no accepted model answered in time")
        return Commit(None, "every model declined") if _all_declined(box, roster) else box.default_ns
    due = official_from(box, best.model)
    if now >= due or nothing_better_can_come(box, roster, best.model):
        return Commit(best)
    return due


def official_from(box: Box, model: str) -> int:
    """Absolute time from which a model that some step accepts is official for this request."""
    after = box.plan.official_ns(model)
    if after is None:
        return box.default_ns
    return min(box.start_ns + after, box.default_ns)


def improves(box: Box, score: ScoreArrived) -> bool:
    """Whether this score becomes the mailbox's candidate."""
    if box.plan.official_ns(score.model) is None:
        return False
    return box.best is None or box.plan.rank(score.model) < box.plan.rank(box.best.model)


def nothing_better_can_come(box: Box, roster: Roster, model: str) -> bool:
    """Whether all models of better rank are settled; `model` is the candidate, so none of them answered."""
    plan = box.plan
    for name in plan.named:
        if name == model:
            return True
        if not (name in box.entries or roster.gone(name)):
            return False
    for name, known in roster:  # the candidate came in by "*": others that it lets in rank by name
        better = name < model and not plan.lists(name) and name not in plan.ignored
        if better and known.up and name not in box.entries:
            return False
    return True


def _all_declined(box: Box, roster: Roster) -> bool:
    plan = box.plan
    if not all(_declined(box, name) for name in plan.named):
        return False
    if plan.any_ns is None:
        return True
    others = [name for name, _ in roster if not plan.lists(name) and name not in plan.ignored]
    return bool(plan.named or others) and all(_declined(box, name) for name in others)


def _declined(box: Box, model: str) -> bool:
    entry = box.entries.get(model)
    return entry is not None and isinstance(entry.word, DeclinedArrived)


def outcomes(box: Box, roster: Roster) -> tuple[ModelOutcome, ...]:
    """What each model has done so far, in order of preference; ignored models last."""
    plan = box.plan
    names = set(plan.named) | set(box.entries)
    names.update(name for name, known in roster if known.up)
    ordered = sorted(names, key=lambda name: (name in plan.ignored, plan.rank(name)))
    return tuple(_outcome(box, roster, name) for name in ordered)


def _outcome(box: Box, roster: Roster, model: str) -> ModelOutcome:
    ignored = model in box.plan.ignored
    entry = box.entries.get(model)
    if entry is not None:
        return said(box.plan, box.opened_ns, entry)
    known = roster.get(model)
    if known is None:
        return ModelOutcome(model=model, status="pending", reason="never heard of", ignored=ignored)
    return ModelOutcome(
        model=model,
        version=known.version,
        status="pending" if known.up else "gone",
        reason=known.reason,
        ignored=ignored,
    )


def said(plan: Plan, opened_ns: int, entry: Entry) -> ModelOutcome:
    """The outcome of a model that said something."""
    word = entry.word
    elapsed_ms = max(0, entry.at_ns - opened_ns) / 1e6
    ignored = word.model in plan.ignored
    if isinstance(word, ScoreArrived):
        return ModelOutcome(
            model=word.model,
            version=word.version,
            status="answered",
            elapsed_ms=elapsed_ms,
            label=word.label or None,
            score=word.score,
            ignored=ignored,
        )
    return ModelOutcome(
        model=word.model,
        version=word.version,
        status="declined",
        elapsed_ms=elapsed_ms,
        reason=word.reason,
        ignored=ignored,
    )
