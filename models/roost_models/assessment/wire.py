"""What goes between an evaluation and its child processes: MessagePack, each message with its length before it.

The child also keeps a *mark* in memory that both can see: what it is about, and a number that rises with every step.
So whoever watches can tell a slow child from a hanging one, and whom to blame when it dies.
"""

import struct
from typing import BinaryIO, TypeAlias

import msgspec
from msgspec import Struct

from roost_broker.errors import PeerError
from roost_broker.messages import Output
from roost_models.assessment.report import FaultReason, Who

MAX_MESSAGE = 512_000_000
"""Bytes; a chunk with its pictures stays far below."""
MARK = struct.Struct("<QII")
"""Steps so far, whom it is about (an index of `WHO`), and which question of the chunk."""
WHO: tuple[Who, ...] = ("evaluation", "candidate", "champion")
_LENGTH = struct.Struct("<I")


class Place(Struct, frozen=True, kw_only=True):
    """A bundle that the child loads."""

    who: Who
    root: str
    manifest: bytes


class Begin(Struct, tag="begin", frozen=True, kw_only=True):
    """The first message: what to load, and within what."""

    bundles: list[Place]
    frames: str
    """Folder of the archive's frames; empty when questions carry their pictures."""
    tolerance: float
    memory_mb: int
    """How much each model may take beside what the process needs anyway (10^6 bytes)."""
    goldens: bool = True


class Loaded(Struct, frozen=True, kw_only=True):
    """One model, ready."""

    who: Who
    runtime: str
    load_ms: float


class Ready(Struct, tag="ready", frozen=True, kw_only=True):
    """Everything is loaded, tried and warm."""

    loaded: list[Loaded]


class Question(Struct, array_like=True, frozen=True, kw_only=True):
    """One archived request."""

    number: int
    """Counts up over the whole evaluation."""
    request_id: str
    node: str
    payload: bytes
    ask_champion: bool = True
    observe_only: bool = False
    """Only models with internal state look at it."""
    archived: list[Output] | None = None
    """What the champion said of it then: same bundle, same runtime, same bytes."""
    picture: bytes | None = None
    """Its frame, where the child has no access to the archive …"""
    no_picture: str = ""
    """… or why there is none: `missing`, `truncated`, `altered`."""


class Chunk(Struct, tag="chunk", frozen=True, kw_only=True):
    """Questions to be answered together."""

    questions: list[Question]


class Reply(Struct, array_like=True, frozen=True, kw_only=True):
    """What one model said now."""

    label: str = ""
    score: float = 0.0
    failure: str = ""
    detail: str = ""
    compute_ns: int = 0
    """0: not evaluated, but taken from the archive."""


class Verdict(Struct, array_like=True, frozen=True, kw_only=True):
    """One question, answered by both and compared."""

    number: int
    candidate: Reply
    champion: Reply | None = None
    identical: bool = False
    almost: bool = False
    difference: float = 0.0
    reproduced: bool | None = None
    """Whether the champion said again what the archive holds; None: it holds nothing, or it was not asked."""


class Answers(Struct, tag="answers", frozen=True, kw_only=True):
    """For every question of the chunk that was not only observed, in order."""

    verdicts: list[Verdict]


class Measure(Struct, tag="measure", frozen=True, kw_only=True):
    """Asks for the child's memory."""


class Measured(Struct, tag="measured", frozen=True, kw_only=True):
    """MB of 10^6 bytes."""

    peak_rss_mb: float
    pss_mb: float


class Problem(Struct, tag="problem", frozen=True, kw_only=True):
    """Why the child gives up."""

    who: Who
    reason: FaultReason
    detail: str
    request_id: str = ""


Ask: TypeAlias = Begin | Chunk | Measure
Answer: TypeAlias = Ready | Answers | Measured | Problem
_asks = msgspec.msgpack.Decoder(Ask)
_answers = msgspec.msgpack.Decoder(Answer)


def pack(message: Ask | Answer) -> bytes:
    """One message with its length."""
    data = msgspec.msgpack.encode(message)
    return _LENGTH.pack(len(data)) + data


def read_ask(stream: BinaryIO) -> Ask | None:
    """The next message for the child; None at the end. Raises `PeerError` when it breaks off."""
    data = _read(stream)
    return None if data is None else _asks.decode(data)


def unpack_answer(data: bytes) -> Answer:
    """A message of the child's, without its length. Raises `PeerError`."""
    try:
        answer: Answer = _answers.decode(data)
    except msgspec.DecodeError as error:
        raise PeerError(f"A child process answered what is no answer: {error}.") from error
    return answer


def length_of(head: bytes) -> int:
    """How many bytes follow these four. Raises `PeerError` beyond the bound."""
    length: int = _LENGTH.unpack(head)[0]
    if length > MAX_MESSAGE:
        raise PeerError(f"A child process announced {length} bytes.")
    return length


def _read(stream: BinaryIO) -> bytes | None:
    head = stream.read(_LENGTH.size)
    if not head:
        return None
    if len(head) == _LENGTH.size:
        length = length_of(head)
        data = stream.read(length)
        if len(data) == length:
            return data
    raise PeerError("The evaluation's message broke off.")
