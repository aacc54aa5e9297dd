"""All messages in one union, and the only reader and writer of their bytes."""

from typing import Any, TypeAlias, cast

import msgspec
from msgspec import Struct

from roost_broker.errors import Malformed
from roost_broker.messages.alarm import Alarm, Alarms
from roost_broker.messages.desk import Ask, Reply
from roost_broker.messages.device import (
    Alert,
    Availability,
    DeadLetter,
    Event,
    Info,
    InjectedState,
    ModelState,
    Motion,
    RoleState,
    Snapshot,
)
from roost_broker.messages.fleet import OtaOrder, OtaState, Suggestion
from roost_broker.messages.flow import Declined, Receipt, Request, Result, ScheduleSet, Score, Token, Trace
from roost_broker.messages.store import StoreState
from roost_broker.messages.telling import CameraStatus, Notice, SwitchState
from roost_broker.nesting import depth

MAX_BYTES = 100_000
"""Largest message on any topic. Frames travel by reference."""
MAX_DEPTH = 12
"""Deepest nesting of objects and lists."""


Message: TypeAlias = (
    Request
    | Score
    | Declined
    | Result
    | Receipt
    | ScheduleSet
    | ModelState
    | RoleState
    | InjectedState
    | Availability
    | Info
    | Event
    | Motion
    | Alert
    | Snapshot
    | Token
    | Trace
    | DeadLetter
    | OtaState
    | OtaOrder
    | Suggestion
    | Ask
    | Reply
    | SwitchState
    | CameraStatus
    | Notice
    | StoreState
    | Alarms
    | Alarm
)
MESSAGE_TYPES: tuple[type[Struct], ...] = (
    Request,
    Score,
    Declined,
    Result,
    Receipt,
    ScheduleSet,
    ModelState,
    RoleState,
    InjectedState,
    Availability,
    Info,
    Event,
    Motion,
    Alert,
    Snapshot,
    Token,
    Trace,
    DeadLetter,
    OtaState,
    OtaOrder,
    Suggestion,
    Ask,
    Reply,
    SwitchState,
    CameraStatus,
    Notice,
    StoreState,
    Alarms,
    Alarm,
)

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)


def encode(message: Message) -> bytes:
    """Bytes for the wire. A message over `MAX_BYTES` is a caller's error and raises `Malformed`."""
    payload = _encoder.encode(message)
    if len(payload) > MAX_BYTES:
        raise Malformed(
            f"A {type(message).__name__} of {len(payload)} bytes is over the limit of {MAX_BYTES}.",
            "Send large inputs by reference (input.frame), not inline.",
        )
    return payload


def decode(payload: bytes | bytearray | memoryview) -> Message:
    """Read one message. Raises `Malformed` with the reason; never anything else.

    Whatever bytes arrive: bounded in size before parsing and in depth before building.
    """
    if len(payload) > MAX_BYTES:
        raise Malformed(f"{len(payload)} bytes are over the limit of {MAX_BYTES}.")
    if depth(payload, MAX_DEPTH) > MAX_DEPTH:
        raise Malformed(f"Nested deeper than {MAX_DEPTH} levels.")
    try:
        return _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Malformed(f"Not a Roost message: {error}.") from error


def with_fields(payload: bytes, **fields: object) -> bytes:
    """The same JSON object with some top-level fields replaced, unknown fields kept.

    Keys are wire names (`messageId`); values are anything msgspec can encode.
    """
    loose = cast("dict[str, Any]", msgspec.json.decode(payload))
    loose.update(fields)
    return _encoder.encode(loose)
