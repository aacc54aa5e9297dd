"""From a result on the wire to what sightings need: pure."""

from typing import Literal, TypeAlias

from roost_broker.clock import MS
from roost_broker.messages import Result
from roost_broker.moments import wall_age_ns
from roost_edge.alerts.sightings import ResultSeen
from roost_edge.asked_at import asked_at_ms

Unusable: TypeAlias = Literal["no-camera", "unknown-camera"]


def read_result(result: Result, *, task: str, cameras: frozenset[str], wall_ns: int) -> ResultSeen | Unusable:
    """Reduce a result; the camera is its tag `camera`. Results of no camera, or of none of ours, are no sightings."""
    camera = result.tags.get("camera")
    if camera is None:
        return "no-camera"
    if camera not in cameras:  # also keeps names that are no topic level, and their number, out
        return "unknown-camera"
    answer, asked_ms = result.answer, asked_at_ms(result)
    return ResultSeen(
        request_id=result.request_id,
        task=task,
        camera=camera,
        label=None if answer is None else answer.label,
        score=0.0 if answer is None else answer.score,
        at_ms=asked_ms,
        age_ns=wall_age_ns(asked_ms * MS, wall_ns),
        frame=None if result.input is None else result.input.frame,
        tags=result.tags,
    )
