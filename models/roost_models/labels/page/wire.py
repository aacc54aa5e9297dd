"""What the page and its server say to each other, as data."""

from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from roost_broker.messages.parts import Digest, Id, Label, Text
from roost_models.labels.queue import Question, Queue
from roost_rendezvous.proxy.refused import Refused

T = TypeVar("T")
MAX_BODY = 16_000


class _Part(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    pass


class Judgement(_Part, frozen=True, kw_only=True):
    """Asked of `/v1/judgements`."""

    picture: Digest
    kind: Literal["label", "not-usable", "skip"]
    label: Label | None = None
    reason: Text = ""
    author: Annotated[str, Meta(max_length=100)] = ""


class Undo(_Part, frozen=True, kw_only=True):
    """Asked of `/v1/undo`."""

    entry: Id
    author: Annotated[str, Meta(max_length=100)] = ""


def judgement(body: bytes) -> Judgement:
    """Raises `Refused` (400)."""
    found = _decode(body, Judgement)
    if (found.label is None) == (found.kind == "label"):
        raise Refused(400, f"A {found.kind} {'needs' if found.label is None else 'has no'} label.", "Correct it.")
    if found.label is not None and not found.label.isprintable():
        raise Refused(400, "That label has characters that nobody can see.", "Use printable ones.")
    return found


def undoing(body: bytes) -> Undo:
    """Raises `Refused` (400)."""
    return _decode(body, Undo)


def _decode(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(
            400, f"That is not what was asked for: {error}.", "Send the JSON object that the page sends."
        ) from error


def review(
    found: Queue, *, task: str, author: str, fixed_author: bool, labels: list[str], totals: dict[str, int]
) -> bytes:
    """What `/v1/review` answers."""
    return msgspec.json.encode(
        {
            "task": task,
            "author": author,
            "fixedAuthor": fixed_author,
            "labels": labels,
            "totals": totals,
            "counts": counts_of(found),
            "questions": [question(item) for item in found.questions],
        }
    )


def counts_of(found: Queue) -> dict[str, int]:
    """What became of the pictures that are not asked about."""
    return {
        "lookedAt": found.looked_at,
        "judged": found.judged,
        "skipped": found.skipped,
        "dull": found.dull,
        "thinned": found.thinned,
        "gone": found.gone,
        "left": found.left,
    }


def question(item: Question) -> dict[str, object]:
    """One picture with all that is known of it."""
    one = item.candidate
    return {
        "picture": one.picture,
        "requestId": one.request_id,
        "node": one.node,
        "camera": one.camera,
        "at": one.at_ms,
        "official": one.official,
        "officialModel": one.official_model,
        "cause": one.cause,
        "said": [
            {
                "model": said.model,
                "version": said.version,
                "label": said.label,
                "score": said.score,
                "declined": said.declined,
            }
            for said in one.said
        ],
        "whys": [{"kind": why.kind, "text": why.text, "points": round(why.points, 3)} for why in item.whys],
        "points": round(item.points, 3),
        "alike": item.alike,
    }
