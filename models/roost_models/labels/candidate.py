"""What a review needs of a case: who said what of which picture, in little memory. Pure."""

import base64
import binascii
import hashlib
import math
from dataclasses import dataclass

from roost_broker.messages import Declined, Input, Result, Score
from roost_models.archive.cases import Case


@dataclass(frozen=True, slots=True)
class Said:
    """One model's best answer."""

    model: str
    version: str
    label: str
    """Empty when it declined."""
    score: float = 0.0
    margin: float | None = None
    """By how much its best score is above the next; None when it gave one output only."""
    declined: str = ""
    """Why it did not answer."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A picture that somebody could be asked about."""

    picture: str
    """SHA-256 of its bytes."""
    node: str = ""
    task: str = ""
    camera: str = ""
    request_id: str | None = None
    at_ms: int = 0
    official: str = ""
    """Label of the official answer; empty when the archive has none."""
    official_model: str = ""
    """Whose answer it was; empty for the schedule's default."""
    cause: str = ""
    """preferred, fallback, override, default; empty when the archive has no result."""
    said: tuple[Said, ...] = ()
    inline: bool = False
    """Its bytes came in the request, not by reference."""


def candidate(case: Case) -> Candidate | None:
    """What a review needs of this case; None when it has no picture."""
    picture = picture_of(case.request.input)
    if picture is None:
        return None
    result = case.result
    return Candidate(
        picture=picture,
        node=case.node,
        task=case.task,
        camera=case.request.tags.get("camera", ""),
        request_id=case.request_id,
        at_ms=case.at_ms,
        official=_official(result),
        official_model=result.answer.model if result and result.answer else "",
        cause=result.cause if result else "",
        said=tuple(_said(reply) for reply in case.replies),
        inline=case.request.input.frame is None,
    )


def picture_of(asked: Input) -> str | None:
    """Digest of the picture that a request is about."""
    if asked.frame is not None:
        return asked.frame.sha256
    data = inline_bytes(asked)
    return None if data is None else hashlib.sha256(data).hexdigest()


def inline_bytes(asked: Input) -> bytes | None:
    """The picture's bytes, where they came in the request."""
    if asked.inline is None:
        return None
    try:
        return base64.b64decode(asked.inline, validate=True)
    except (binascii.Error, ValueError):
        return None  # the models declined it as bad input, too


def _official(result: Result | None) -> str:
    if result is None:
        return ""
    if result.answer is not None:
        return result.answer.label
    return result.default.label if result.default is not None else ""


def _said(reply: Score | Declined) -> Said:
    if isinstance(reply, Declined):
        return Said(reply.model, reply.version, "", declined=reply.reason)
    best, *rest = reply.outputs
    margin = best.score - rest[0].score if rest else None
    if margin is not None and not math.isfinite(margin):
        margin = None
    return Said(reply.model, reply.version, best.label, best.score, margin)
