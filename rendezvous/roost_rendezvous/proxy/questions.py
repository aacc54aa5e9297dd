"""Bodies, query strings and headers made into questions. Pure; all of it is somebody else's word.

Raises `Refused`: 400 what cannot be read, 413 too large, 415 a content type nobody knows, 422 what can be read and
cannot be meant.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct, field

from roost_broker.errors import Misuse
from roost_broker.messages import MAX_BYTES, Diagnostics, JsonObject, Text
from roost_broker.topics import check_name
from roost_rendezvous.proxy.pictures import Picture, look_at
from roost_rendezvous.proxy.refused import Refused

IMAGES = ("image/jpeg", "image/png")
JSON = "application/json"
MAX_TAGS = 32
T = TypeVar("T")

TAG = "tag."
DEADLINE = "deadline_ms"
DEADLINE_HEADER = "x-roost-deadline-ms"
DIAGNOSTICS_HEADER = "x-roost-diagnostics"
TAG_HEADER = "x-roost-tag-"


class Limits(NamedTuple):
    """What a question may be at most."""

    max_pixels: int
    max_deadline_ms: int


_DEADLINE = "An answer is wanted within so many milliseconds; without it, within the task's SLA."
_DIAGNOSTICS = "Trace, log level, schedule, faults: honoured only where the device's settings say QA."


class JsonInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the models are asked about: exactly one of the two."""

    values: Annotated[JsonObject, Meta(description="Plain values, for models that take no picture.")] | None = None
    inline: Annotated[str, Meta(description="A whole JPEG or PNG as base64.")] | None = None


class JsonQuestion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A question as JSON."""

    input: JsonInput
    tags: Annotated[dict[str, Text], Meta(description="Of your own choice; they come back in the result.")] = field(
        default_factory=dict
    )
    deadline_ms: Annotated[int, Meta(ge=1, description=_DEADLINE)] | None = None
    diagnostics: Annotated[Diagnostics, Meta(description=_DIAGNOSTICS)] | None = None


class StreamQuestion(JsonQuestion, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """One line of a stream: a question, and what its answer is to be called."""

    ref: Annotated[str, Meta(max_length=200, description="Comes back beside the answer to this line.")] | None = None


class _Parts(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The same, not looked into yet: what is too large must not become ten times as large in memory."""

    input: Raw = Raw(b"null")
    tags: Raw = Raw(b"{}")
    deadline_ms: Raw = Raw(b"null")
    diagnostics: Raw = Raw(b"null")
    ref: Raw = Raw(b"null")


class _InputParts(Struct, frozen=True, forbid_unknown_fields=True):
    values: Raw = Raw(b"null")
    inline: str | None = None


class Question(NamedTuple):
    """What somebody wants to know, checked. Either `picture` (with its bytes in `data`) or `values`."""

    values: JsonObject | None = None
    data: bytes = b""
    picture: Picture | None = None
    tags: Mapping[str, str] = {}
    deadline_ms: int | None = None
    diagnostics: Diagnostics | None = None
    ref: str | None = None


def read(
    body: bytes, content_type: str, query: Mapping[str, str], headers: Mapping[str, str], limits: Limits
) -> Question:
    """The question in one request. `headers` have lower-case names. Raises `Refused`."""
    kind = media_type(content_type)
    said = _said(query, headers)
    if kind == JSON:
        if said:
            raise Refused(400, f"With a JSON body, {said[0][0]!r} belongs into it.", "See /openapi.json.")
        return read_json(body, limits)
    if not body:
        raise Refused(400, "The request has no body.", "Send a picture, or JSON.")
    picture = look_at(body, max_pixels=limits.max_pixels)
    if picture.media_type != kind:
        raise Refused(422, f"The body is {picture.media_type}, and said to be {kind}.", "Mend its Content-Type.")
    return _with(Question(data=body, picture=picture), said, limits)


def media_type(content_type: str) -> str:
    """The content type without its parameters, one that is known. Raises `Refused` (415)."""
    kind = content_type.split(";", 1)[0].strip().lower()
    if kind not in (*IMAGES, JSON):
        named = f"{kind[:100]!r} is no content type for a question" if kind else "The request names no content type"
        raise Refused(415, f"{named}.", f"Say one of these (curl: -H 'Content-Type: …'): {', '.join((*IMAGES, JSON))}.")
    return kind


def read_json(body: bytes, limits: Limits) -> Question:
    """A question as JSON. Raises `Refused`."""
    return _question(_decode(body, _Parts, "The body"), limits, streamed=False)


def read_line(line: bytes, limits: Limits) -> Question:
    """A question in a line of a stream; it may have a `ref`. Raises `Refused`."""
    return _question(_decode(line, _Parts, "The line"), limits, streamed=True)


def ref_of(line: bytes) -> str | None:
    """The `ref` of a line that is otherwise no good, so that its sender knows which it was."""
    try:
        ref = msgspec.json.decode(msgspec.json.decode(line, type=_Loose).ref)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError):
        return None
    return ref[:200] if isinstance(ref, str) else None


class _Loose(Struct, frozen=True):
    ref: Raw = Raw(b"null")


def _question(parts: _Parts, limits: Limits, *, streamed: bool) -> Question:
    if not streamed and bytes(parts.ref) != b"null":
        raise Refused(422, "`ref` is for the lines of a stream.", "Leave it out: one request has one answer.")
    asked = _decode(parts.input, _InputParts, "input")
    small = sum(len(memoryview(raw)) for raw in (parts.tags, parts.diagnostics, asked.values))
    if small > MAX_BYTES:
        raise Refused(
            413, f"{small} bytes of values, tags and diagnostics are too many.", f"At most {MAX_BYTES} reach a model."
        )
    values = _decode(asked.values, JsonObject | None, "input.values")
    if (values is None) == (asked.inline is None):
        raise Refused(422, "input has to have either values or inline.", "Send exactly one of them.")
    question = Question(values=values)
    if asked.inline is not None:
        data = _from_base64(asked.inline)
        question = Question(data=data, picture=look_at(data, max_pixels=limits.max_pixels))
    tags = _decode(parts.tags, dict[str, Text], "tags")
    deadline = _decode(parts.deadline_ms, int | None, "deadlineMs")
    return question._replace(
        tags=_checked_tags(tags),
        deadline_ms=None if deadline is None else _checked_deadline(deadline, limits),
        diagnostics=_decode(parts.diagnostics, Diagnostics | None, "diagnostics"),
        ref=_decode(parts.ref, Annotated[str, Meta(max_length=200)] | None, "ref"),
    )


def _decode(data: "bytes | Raw", kind: Any, what: str) -> Any:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise Refused(422, f"{what} is not as it should be: {error}.", "See /openapi.json.") from error
    except RecursionError as error:
        raise Refused(400, f"{what} is nested too deeply.", "Twelve levels are the limit.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise Refused(400, f"{what} is not JSON: {error}.", "Send valid JSON, in UTF-8.") from error


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused(422, f"input.inline is not base64: {error}.", "Encode it as RFC 4648 §4 says.") from error


# -- what stands beside a picture -------------------------------------------------------------------------------


def _said(query: Mapping[str, str], headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """Names (as in a query string) and values, headers first: of two that say the same, the query string counts."""
    found: list[tuple[str, str]] = []
    for name, value in headers.items():
        if name == DEADLINE_HEADER:
            found.append((DEADLINE, value))
        elif name == DIAGNOSTICS_HEADER:
            found.append(("diagnostics", value))
        elif name.startswith(TAG_HEADER):
            found.append((TAG + name.removeprefix(TAG_HEADER), value))
    for name, value in query.items():
        if name not in (DEADLINE, "diagnostics") and not name.startswith(TAG):
            raise Refused(
                400, f"There is no parameter {name[:100]!r}.", f"Known: {DEADLINE}, {TAG}<name>, diagnostics."
            )
        found.append((name, value))
    return found


def _with(question: Question, said: list[tuple[str, str]], limits: Limits) -> Question:
    tags: dict[str, str] = {}
    deadline: int | None = None
    diagnostics: Diagnostics | None = None
    for name, value in said:
        if name == DEADLINE:
            if not (value.isascii() and value.isdigit() and len(value) <= 10):
                raise Refused(422, f"{DEADLINE} is {value[:100]!r}.", "Write it as a number of milliseconds.")
            deadline = _checked_deadline(int(value), limits)
        elif name == "diagnostics":
            diagnostics = _decode(value.encode("utf-8", "surrogatepass"), Diagnostics, "diagnostics")
        else:
            tags[name.removeprefix(TAG)] = value
    return question._replace(tags=_checked_tags(tags), deadline_ms=deadline, diagnostics=diagnostics)


def _checked_deadline(deadline_ms: int, limits: Limits) -> int:
    if not 1 <= deadline_ms <= limits.max_deadline_ms:
        raise Refused(
            422, f"A deadline of {deadline_ms} ms cannot be.", f"Ask for 1 to {limits.max_deadline_ms} ms, or for none."
        )
    return deadline_ms


def _checked_tags(tags: dict[str, str]) -> dict[str, str]:
    if len(tags) > MAX_TAGS:
        raise Refused(422, f"{len(tags)} tags are too many.", f"At most {MAX_TAGS} are possible.")
    for name, value in tags.items():
        try:
            check_name("tag", name)
        except Misuse as error:
            raise Refused(422, error.problem[:300], error.remedy) from error
        if len(value) > 1000 or not value.isprintable():
            raise Refused(422, f"The tag {name!r} has an odd value.", "Use at most 1000 printable characters.")
    return tags
