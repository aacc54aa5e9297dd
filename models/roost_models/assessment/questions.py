"""Archived cases as questions for a crew, with what the report needs to know of each."""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from roost_broker.errors import FrameUnavailable
from roost_broker.frames import FrameStore
from roost_broker.messages import Output, Score
from roost_models.archive.cases import Case
from roost_models.assessment.tally import About
from roost_models.assessment.truth import Truth
from roost_models.assessment.wire import Question

CHUNK = 32
"""Questions in one message to a child."""
CHECKED = 10
"""With reused scores one chunk of so many is evaluated by the champion as well: for its times, and as a check."""


@dataclass(frozen=True, slots=True)
class Asking:
    """How cases become questions. `champion` and `runtime` say whose archived scores may be compared or reused."""

    champion: str = ""
    """Digest of the champion's bundle; empty without one."""
    runtime: str = ""
    reuse: bool = False
    truth: Truth | None = None
    carry_from: FrameStore | None = None
    """Where frames are read when questions must carry them."""
    compare_from_ms: int = 0
    """Earlier cases are only observed, by models with internal state."""


def questions(cases: Iterable[Case], asking: Asking) -> Iterator[tuple[Question, About]]:
    """One for each case, in order."""
    for number, case in enumerate(cases):
        score = _champions(case, asking)
        archived: list[Output] | None = None if score is None else list(score.outputs)
        checked = (number // CHUNK) % CHECKED == 0
        picture, missing = picture_of(case, asking.carry_from)
        alone = score is not None and score.batch == 1
        yield (
            Question(
                number=number,
                request_id=case.request_id,
                node=case.node,
                payload=case.payload,
                ask_champion=bool(asking.champion) and (not asking.reuse or archived is None or checked),
                observe_only=case.at_ms < asking.compare_from_ms,
                archived=archived,
                picture=picture,
                no_picture=missing,
            ),
            About(
                request_id=case.request_id,
                node=case.node,
                at_ms=case.at_ms,
                frame="" if case.request.input.frame is None else case.request.input.frame.sha256,
                truth=_truth(case, asking.truth),
                archived_ns=int(score.compute_ms * 1e6) if score is not None and alone else 0,
            ),
        )


def chunks(asked: Iterable[tuple[Question, About]]) -> Iterator[list[tuple[Question, About]]]:
    """Groups of `CHUNK`."""
    group: list[tuple[Question, About]] = []
    for one in asked:
        group.append(one)
        if len(group) == CHUNK:
            yield group
            group = []
    if group:
        yield group


def _champions(case: Case, asking: Asking) -> Score | None:
    """What the champion said of these very bytes, in the runtime that it has here."""
    if not asking.champion:
        return None
    for reply in case.replies:
        if (
            isinstance(reply, Score)
            and reply.bundle == asking.champion
            and reply.runtime == asking.runtime
            and reply.saw == hashlib.sha256(case.payload).hexdigest()
        ):
            return reply
    return None


def picture_of(case: Case, frames: FrameStore | None) -> tuple[bytes | None, str]:
    """The bytes of a case's frame, or why it has none here (empty where it needs none)."""
    ref = case.request.input.frame
    if frames is None or ref is None:
        return None, ""
    try:
        return frames.read(ref), ""
    except FrameUnavailable as error:
        return None, error.reason
    except OSError:
        return None, "missing"


def _truth(case: Case, truth: Truth | None) -> str:
    if truth is None:
        return ""
    asked = case.request.input
    if asked.frame is not None:
        return truth.labels.get(asked.frame.sha256, "")
    if asked.inline is not None:
        try:
            return truth.labels.get(hashlib.sha256(base64.b64decode(asked.inline, validate=True)).hexdigest(), "")
        except (binascii.Error, ValueError):
            return ""
    return ""
