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

A model that `[sample]` does not ask about this request counts as one that declined it, unless it answers all the
same. A quorum answers when enough members have; it has declined (is gone) when so many members have declined (or
are gone) that the others are too few.
"""

from msgspec import Struct, field

from roost_broker.messages import ModelOutcome
from roost_rendezvous.mailbox.events import ModelWord, ScoreArrived
from roost_rendezvous.mailbox.plan import Plan
from roost_rendezvous.mailbox.quorum import Vote, count
from roost_rendezvous.mailbox.roster import Roster


class Entry(Struct, frozen=True, gc=False):
    """What one model, or a quorum, said, and when; without the message itself, which may be large."""

    model: str
    version: str
    scored: bool
    """A score; else a decline."""
    label: str
    score: float
    reason: str
    """Why it declined; of a quorum how its members voted."""
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
    size: int
    """Bytes that the request and the candidate keep alive."""
    unasked: frozenset[str]
    """Models that are not asked about this request."""
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


def entry_of(word: ModelWord, now: int) -> Entry:
    """What a mailbox keeps of a word."""
    if isinstance(word, ScoreArrived):
        return Entry(word.model, word.version, True, word.label, word.score, "", now)
    return Entry(word.model, word.version, False, "", 0.0, word.reason, now)


def poll(box: Box, name: str, message_id: str, now: int) -> ScoreArrived | None:
    """The answer of a quorum that is complete by a member's score just now; None when it is not, or was before."""
    if name in box.entries:
        return None
    quorum = box.plan.quorums[name]
    voted = [entry for member in quorum.members if (entry := box.entries.get(member)) is not None and entry.scored]
    if len(voted) < quorum.votes:
        return None
    ballot = count((Vote(entry.label, entry.score) for entry in voted), len(quorum.members))
    box.entries[name] = Entry(name, "", True, ballot.label, ballot.score, ballot.told, now)
    return ScoreArrived(
        message_id=message_id,
        request_id=box.request_id,
        model=name,
        label=ballot.label,
        score=ballot.score,
        context=ballot,
    )


def nothing_better_can_come(box: Box, roster: Roster, model: str) -> bool:
    """Whether all models of better rank are settled; `model` is the candidate, so none of them answered."""
    plan = box.plan
    for name in plan.named:
        if name == model:
            return True
        if not (name in box.entries or _out(box, roster, name)):
            return False
    own = plan.rank(model)
    for name, known in roster:  # the candidate came in by "*": others that it lets in may rank before it
        better = known.up and plan.rank(name) < own and not plan.lists(name) and name not in plan.ignored
        if better and name not in box.entries and name not in box.unasked:
            return False
    return True


def _out(box: Box, roster: Roster, name: str) -> bool:
    """Whether a model or quorum without an entry is not to be waited for."""
    if name in box.plan.quorums:
        return _too_few(box, name, roster)
    return roster.gone(name) or name in box.unasked


def _all_declined(box: Box, roster: Roster) -> bool:
    plan = box.plan
    if not all(_declined(box, name) for name in plan.named):
        return False
    if plan.any_ns is None:
        return True
    others = [name for name, _ in roster if not plan.lists(name) and name not in plan.ignored]
    return bool(plan.named or others) and all(_declined(box, name) for name in others)


def _declined(box: Box, name: str) -> bool:
    entry = box.entries.get(name)
    if entry is not None:
        return not entry.scored
    if name in box.plan.quorums:
        return _too_few(box, name, None)
    return name in box.unasked


def _too_few(box: Box, name: str, roster: Roster | None) -> bool:
    """Whether the members that may still vote are too few; with a roster, those that are gone cannot."""
    quorum = box.plan.quorums[name]
    lost = 0
    for member in quorum.members:
        entry = box.entries.get(member)
        if entry is not None:
            lost += not entry.scored
        elif member in box.unasked or (roster is not None and roster.gone(member)):
            lost += 1
    return lost > len(quorum.members) - quorum.votes


def outcomes(box: Box, roster: Roster) -> tuple[ModelOutcome, ...]:
    """What each model has done so far, in order of preference; ignored models last."""
    plan = box.plan
    names = {*plan.named, *plan.jurors, *box.entries}
    names.update(name for name, known in roster if known.up and name not in plan.quorums)
    ordered = sorted(names, key=lambda name: (name in plan.ignored, plan.rank(name)))
    return tuple(_outcome(box, roster, name) for name in ordered)


def _outcome(box: Box, roster: Roster, model: str) -> ModelOutcome:
    ignored = model in box.plan.ignored
    entry = box.entries.get(model)
    if entry is not None:
        return said(box.plan, box.opened_ns, entry)
    if model in box.plan.quorums:
        return _incomplete(box, roster, model)
    if model in box.unasked:
        return ModelOutcome(model=model, status="declined", reason="not-sampled", ignored=ignored)
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


def _incomplete(box: Box, roster: Roster, name: str) -> ModelOutcome:
    quorum = box.plan.quorums[name]
    voted = sum(1 for member in quorum.members if member in box.entries and box.entries[member].scored)
    reason = f"{voted} of {len(quorum.members)} answered, {quorum.votes} needed"
    if _too_few(box, name, None):
        return ModelOutcome(model=name, status="declined", reason=reason)
    return ModelOutcome(model=name, status="gone" if _too_few(box, name, roster) else "pending", reason=reason)


def said(plan: Plan, opened_ns: int, entry: Entry) -> ModelOutcome:
    """The outcome of a model that said something."""
    elapsed_ms = max(0, entry.at_ns - opened_ns) / 1e6
    ignored = entry.model in plan.ignored
    if entry.scored:
        return ModelOutcome(
            model=entry.model,
            version=entry.version,
            status="answered",
            elapsed_ms=elapsed_ms,
            reason=entry.reason,
            label=entry.label or None,
            score=entry.score,
            ignored=ignored,
        )
    return ModelOutcome(
        model=entry.model,
        version=entry.version,
        status="declined",
        elapsed_ms=elapsed_ms,
        reason=entry.reason,
        ignored=ignored,
    )
