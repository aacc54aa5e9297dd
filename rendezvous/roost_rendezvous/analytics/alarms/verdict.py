"""What changed: the model, the world, the camera, the clock or the link, from who moved and who did not. Pure.

The canary is the witness (the book, ch. 3 and 7): it sees the same pictures and never changes. When a model moved and
the canary did not, the model changed; when both moved, the world did. Before that, what lies nearer the beginning of
the chain is asked: a clock that stepped makes every duration strange, a link that lost messages makes everything late,
and a camera that was smeared changes its figures before any model speaks.

Only what models and canary say of what they see is evidence between model and world: scores, shapes, agreement. How
long they take says something of the device they share, or of the one process.

The rules are tried in this order, and the first that fits gives the verdict; the reasons name the signals.
"""

from collections.abc import Sequence
from typing import NamedTuple

from roost_broker.enumeration import first_of
from roost_rendezvous.analytics.alarms.episode import Marker, Verdict
from roost_rendezvous.analytics.reading import Signal, Subject

SAME_TIME_NS = 15 * 60_000_000_000
"""Monitors have windows; what began within so long of each other began at the same time."""
_NAMED = 4
_SEEING = frozenset({"score", "shape", "agreement", "input"})


class Mover(NamedTuple):
    """A signal that is strange, and since when."""

    signal: Signal
    since: int


class Judgement(NamedTuple):
    """The verdict and its reasons, as sentences."""

    verdict: Verdict
    reasons: tuple[str, ...]


def judge(moved: Sequence[Mover], quiet: Sequence[Signal], markers: Sequence[Marker] = ()) -> Judgement:
    """`moved`: strangest first; `quiet`: known well enough and as usual; `markers`: done on purpose shortly before."""
    by: dict[Subject, list[Mover]] = {}  # in the order of the strangest of each
    for mover in moved:
        by.setdefault(mover.signal.subject, []).append(mover)
    for rule in (_clock, _link, _camera, _device, _models, _at_work, _without_models):
        found = rule(by, quiet)
        if found is not None:
            return Judgement(found.verdict, found.reasons + _purpose(found.verdict, by, markers))
    return Judgement("unknown", ("Nothing that moved says where it comes from.", *_purpose("unknown", by, markers)))


def _clock(by: dict[Subject, list[Mover]], quiet: Sequence[Signal]) -> Judgement | None:
    if not (clock := by.get("clock")):
        return None
    return Judgement("clock", (f"The clock stepped or drifts ({_names(clock)}); durations and rates follow it.",))


def _link(by: dict[Subject, list[Mover]], quiet: Sequence[Signal]) -> Judgement | None:
    if not (link := by.get("link")):
        return None
    return Judgement("link", (f"Messages come late or not at all ({_names(link)}).",))


def _camera(by: dict[Subject, list[Mover]], quiet: Sequence[Signal]) -> Judgement | None:
    eyes = by.get("camera", []) + by.get("input", [])
    models = _seeing(by.get("model", []) + by.get("canary", []))
    if not eyes:
        return None
    first = min(mover.since for mover in eyes)
    if not models:
        return Judgement("camera", (f"What the camera gives has changed ({_names(eyes)}); no model has moved yet.",))
    if by.get("camera") or first <= min(mover.since for mover in models) + SAME_TIME_NS:
        said = f"What the camera gives moved first ({_names(eyes)}), then what models make of it ({_names(models)})."
        return Judgement("camera", (said,))
    return None


def _device(by: dict[Subject, list[Mover]], quiet: Sequence[Signal]) -> Judgement | None:
    """A step of the device that is stranger than all else: what models took may have come of it, not the reverse."""
    device = by.get("device", [])
    if not device or next(iter(by)) != "device":
        return None
    models = by.get("model", []) + by.get("canary", [])
    said = f"It is the device itself ({_names(device)})"
    return Judgement("unknown", (f"{said}; models moved less ({_names(models)})." if models else f"{said}.",))


def _models(by: dict[Subject, list[Mover]], quiet: Sequence[Signal]) -> Judgement | None:
    models, canary = _seeing(by.get("model", [])), _seeing(by.get("canary", []))
    witness = [signal for signal in quiet if signal.subject == "canary" and _sees(signal)]
    if models and canary:
        return Judgement("world", (f"The canary moved too ({_names(canary)}): it never changes, so the world did.",))
    if canary:
        said = (
            f"Only the canary moved ({_names(canary)}), and it never changes; the models have learnt to live with it."
        )
        return Judgement("world", (said,))
    if not models:
        return None
    who = sorted({mover.signal.of for mover in models if mover.signal.of})
    named = " and ".join(who[:_NAMED]) or "the model"
    if witness:
        said = f"{named} moved ({_names(models)}) and the canary, which sees the same, did not ({witness[0].name})."
        return Judgement("model", (said,))
    others = sorted({one.of for one in quiet if one.subject == "model" and one.of and _sees(one)} - set(who))
    if others:
        said = f"{named} moved ({_names(models)}) and {' and '.join(others[:_NAMED])} did not."
        return Judgement("model", (said, "No canary is known for long enough to be a better witness."))
    return Judgement(
        "unknown", (f"{named} moved ({_names(models)}); without a canary nobody can say whether the world did.",)
    )


def _at_work(by: dict[Subject, list[Mover]], quiet: Sequence[Signal]) -> Judgement | None:
    """What models and canary say is as usual; how long they take, or what they need, is not."""
    work = by.get("model", []) + by.get("canary", [])
    if not work:
        return None
    who = sorted({mover.signal.of for mover in work if mover.signal.of})
    comes_in = [mover for mover in by.get("task", []) + by.get("state", []) if mover.signal.kind in ("rate", "input")]
    if len(who) > 1 and comes_in:
        return None  # there is more or less to do, for all of them
    kinds = {mover.signal.kind for mover in work}
    same = [one for one in quiet if one.subject in ("model", "canary") and one.kind in kinds and one.of not in who]
    verb, they = ("works", "it says") if len(who) == 1 else ("work", "they say")
    said = f"Only how {' and '.join(who[:_NAMED]) or 'models'} {verb} has changed ({_names(work)}), not what {they}"
    if len(who) == 1 and same and by.get("model"):
        return Judgement("model", (f"{said}; how {same[0].of} does has not ({same[0].name}).",))
    return Judgement("unknown", (f"{said}; it may be the device, and says nothing of the world.",))


def _seeing(movers: list[Mover]) -> list[Mover]:
    return [mover for mover in movers if _sees(mover.signal)]


def _sees(signal: Signal) -> bool:
    """Of a model's or canary's signal: whether it tells of what was seen. How long it took, or its memory, does not."""
    return signal.kind in _SEEING


def _without_models(by: dict[Subject, list[Mover]], quiet: Sequence[Signal]) -> Judgement | None:
    outside = by.get("task", []) + by.get("state", [])
    if outside:
        said = f"No model moved; what comes in is different ({_names(outside)})."
        return Judgement("world", (said,))
    if device := by.get("device"):
        return Judgement("unknown", (f"It is the device itself ({_names(device)}).",))
    return None


def _purpose(verdict: Verdict, by: dict[Subject, list[Mover]], markers: Sequence[Marker]) -> tuple[str, ...]:
    """What was done on purpose shortly before, where it is about what moved."""
    about = {mover.signal.of for mover in by.get("model", [])}
    tasks = {mover.signal.task for movers in by.values() for mover in movers}
    said = [
        f"Shortly before: {marker.text}."
        for marker in markers
        if (not marker.task or marker.task in tasks)
        and (not marker.model or marker.model in about or verdict != "model")
    ]
    return tuple(said[:_NAMED])


def _names(movers: Sequence[Mover]) -> str:
    names = list(dict.fromkeys(mover.signal.name for mover in movers))
    return first_of(names, _NAMED)
