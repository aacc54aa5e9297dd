"""From a result on the wire to what the feed needs: pure."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from roost_broker.clock import MS
from roost_broker.messages import FrameRef, Result
from roost_broker.moments import wall_age_ns
from roost_edge.asked_at import asked_at_ms
from roost_edge.best_picture import worth_of

BEST = 3
"""How many labels a post has, as @TensorChicken had."""

Unusable: TypeAlias = Literal["default", "no-camera", "unknown-camera", "no-picture"]


@dataclass(frozen=True, slots=True)
class Seen:
    """An official answer about a picture."""

    request_id: str
    task: str
    camera: str
    label: str
    score: float
    best: tuple[tuple[str, float], ...]
    """The best labels with their scores, best first; `label` is the first."""
    frame: FrameRef
    at_ms: int
    """Wall clock of the result, a label only."""
    age_ns: int = 0
    """How old the result was when it arrived."""
    worth: float = 0.0
    """How much the picture shows (`best_picture`)."""


def read_result(result: Result, *, task: str, cameras: frozenset[str], wall_ns: int) -> Seen | Unusable:
    """Reduce a result; anything that is no official answer about a picture of one of our cameras has a name."""
    answer = result.answer
    if answer is None:
        return "default"
    camera = result.tags.get("camera")
    if camera is None:
        return "no-camera"
    if camera not in cameras:
        return "unknown-camera"
    frame = None if result.input is None else result.input.frame
    if frame is None:
        return "no-picture"
    others = [(one.label, one.score) for one in answer.outputs if one.label != answer.label]
    return Seen(
        request_id=result.request_id,
        task=task,
        camera=camera,
        label=answer.label,
        score=answer.score,
        # A rule of the task may prefer a label that has not the highest score: what was decided stands first.
        best=((answer.label, answer.score), *sorted(others, key=lambda one: -one[1])[: BEST - 1]),
        frame=frame,
        at_ms=result.timestamp,
        age_ns=wall_age_ns(asked_at_ms(result) * MS, wall_ns),
        worth=worth_of(result.tags),
    )
