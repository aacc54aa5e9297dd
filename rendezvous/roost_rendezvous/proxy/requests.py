"""A question made into the message for `raw`. Pure, but for the clock's stamp."""

import hashlib
import re

import msgspec

from roost_broker import messages
from roost_broker.clock import Clock, boot_id, looks_synced
from roost_broker.errors import Malformed
from roost_broker.headers import new_header
from roost_broker.ids import new_id
from roost_broker.messages import FrameRef, Input, Issued, Request
from roost_rendezvous.proxy.questions import Question
from roost_rendezvous.proxy.refused import Refused

COMPONENT = "proxy"
MAX_KEY = 200
# W3C Trace Context, version 00: version, trace id, parent id, flags; all zeros are no id. Later versions may go on.
_TRACE_PARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-[\x21-\x7e]*)?\Z"
)
_sorted = msgspec.json.Encoder(order="deterministic")


def request_id(task: str, question: Question, key: str | None, wall_ns: int) -> str:
    """A fresh id; with an idempotency key the same for the same key and question, whoever computes it, whenever.

    The question is part of it, so a key used twice by mistake never fetches the answer to something else.
    """
    if key is None:
        return new_id(wall_ns)
    if not 1 <= len(key) <= MAX_KEY or not key.isprintable():
        raise Refused(400, "The Idempotency-Key is odd.", f"Use 1 to {MAX_KEY} printable characters.")
    about = question.values if question.picture is None else hashlib.sha256(question.data).hexdigest()
    text = _sorted.encode([task, key, about, question.tags, question.diagnostics])
    return hashlib.sha256(text).hexdigest()[:32]


def trace_parent(header: str | None) -> str | None:
    """The W3C traceparent header when it is one; anything else is as if it were not there (W3C, 3.2.2.5)."""
    return header if header is not None and _TRACE_PARENT.match(header) and len(header) <= 200 else None


def write(
    question: Question,
    frame: FrameRef | None,
    *,
    id_: str,
    return_address: str,
    deadline_ms: int,
    parent: str | None,
    clock: Clock,
    node: str,
) -> Request:
    """The request. Raises `Refused` when no reader would take it: too large, or nested too deeply."""
    head = new_header(clock, node, COMPONENT)
    now, wall = clock.monotonic_ns(), clock.wall_ns()
    request = Request(
        timestamp=head.timestamp,
        message_id=head.message_id,
        provenance=msgspec.structs.replace(head.provenance, trace_parent=parent),
        diagnostics=question.diagnostics,
        request_id=id_,
        return_address=return_address,
        deadline_ms=deadline_ms,
        issued=Issued(
            boot=boot_id(),
            seq=now,  # rises from process to process of one boot, and nothing needs to be remembered for it
            monotonic_ns=now,
            clock="synced" if looks_synced(wall) else "unsynced",
        ),
        tags=dict(question.tags),
        input=Input(frame=frame, values=question.values),
    )
    encode(request)
    return request


def encode(request: Request, attempt: int = 1) -> bytes:
    """The bytes for one attempt; the ids stay the same, so that whoever has it already knows it again."""
    if attempt > 1 and request.issued is not None:
        issued = msgspec.structs.replace(request.issued, attempt=attempt)
        request = msgspec.structs.replace(request, issued=issued)
    try:
        payload = messages.encode(request)
    except Malformed as error:
        raise Refused(413, error.problem, "Send fewer values, or a picture as a picture.") from error
    try:
        messages.decode(payload)  # as every reader will
    except Malformed as error:
        raise Refused(422, f"No model could read this question. {error.problem}", "Make it flatter.") from error
    return payload
