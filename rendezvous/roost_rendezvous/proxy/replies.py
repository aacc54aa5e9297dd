"""What a caller is told: status, headers and body for a result, for none, and for a refusal. Pure.

200  a classification: preferred, fallback or override
504  the schedule's default: the whole result, which says so itself
503  no result at all in time, or nobody there to ask; try again
4xx  the request cannot be asked: problem and remedy
"""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
from msgspec import Raw, Struct, field

from roost_broker.messages import Result
from roost_rendezvous.proxy.refused import Refused

JSON_TYPE = "application/json"
RETRY_AFTER_S = 1
_encoder = msgspec.json.Encoder()


class Problem(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Why there is no result, and what to do."""

    status: int
    problem: str
    remedy: str = ""
    request_id: str = ""
    tasks: list[str] = field(default_factory=list)
    """Tasks of this device, where the one asked for is not among them."""


class StreamAnswer(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One line of a stream's answer: which line it answers, the status that it would have had, and the result."""

    line: int
    """Number of the line asked, from 1."""
    ref: str | None = None
    status: int
    result: Raw | None = None
    problem: str = ""
    remedy: str = ""
    request_id: str = ""


class Reply(NamedTuple):
    """An HTTP answer. `payload` is the result, or the problem, as JSON."""

    status: int
    headers: Mapping[str, str]
    payload: bytes

    def line(self, number: int, ref: str | None) -> bytes:
        """The same as a line of a stream."""
        if self.status in (200, 504):
            answer = StreamAnswer(line=number, ref=ref, status=self.status, result=Raw(self.payload))
        else:
            said = msgspec.json.decode(self.payload, type=Problem)
            answer = StreamAnswer(
                line=number,
                ref=ref,
                status=self.status,
                problem=said.problem,
                remedy=said.remedy,
                request_id=said.request_id,
            )
        return _encoder.encode(answer) + b"\n"


def of_result(result: Result, payload: bytes) -> Reply:
    """The official result, byte for byte as it came."""
    headers = {"X-Roost-Cause": result.cause, "X-Roost-Request": result.request_id}
    return Reply(504 if result.default is not None else 200, headers, payload)


def of_silence(request_id: str, *, connected: bool) -> Reply:
    """No result came in time."""
    why = "the rendezvous gave no result in time" if connected else "the broker is not there"
    return problem(
        503,
        f"No answer: {why}.",
        "Ask again; with the same Idempotency-Key an answer that is on its way is not lost.",
        request_id=request_id,
    )


def of_refusal(refused: Refused, tasks: list[str] | None = None) -> Reply:
    """The request cannot be asked."""
    reply = problem(refused.status, refused.problem, refused.remedy, tasks=tasks)
    return reply._replace(headers={**reply.headers, "Allow": refused.allow}) if refused.allow else reply


def problem(status: int, sentence: str, remedy: str, *, request_id: str = "", tasks: list[str] | None = None) -> Reply:
    """Any other answer than a result."""
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status in (429, 503) else {}
    if request_id:
        headers["X-Roost-Request"] = request_id
    said = Problem(status=status, problem=sentence, remedy=remedy, request_id=request_id, tasks=tasks or [])
    return Reply(status, headers, _encoder.encode(said))
