"""A small archive, written by the real writer, for reviewing: pictures, what four models said, and the outcome."""

import io
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from roost_broker.frames import FrameStore
from roost_broker.ids import new_id
from roost_broker.messages import (
    Answer,
    DefaultAnswer,
    Input,
    Issued,
    Output,
    Request,
    Result,
    Score,
    decode,
    encode,
)
from roost_models.archive.writing import Archive, Item

TASK = "henhouse"
START_MS = 1_800_000_000_000


@dataclass(frozen=True)
class Asked:
    """One request: what it showed, and what each model made of it (best label, its score, the next label)."""

    picture: bytes
    answers: dict[str, tuple[str, float, str]] = field(default_factory=dict)
    official: str = "champion"
    """Model whose answer it was; empty: the default `none`."""
    after_ms: int = 60_000
    """After the one before."""
    inline: bool = False


def block(colour: tuple[int, int, int], size: tuple[int, int] = (64, 48)) -> bytes:
    """A JPEG of one colour."""
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "JPEG")
    return out.getvalue()


def archive(folder: Path, asked: list[Asked], *, node: str = "coop-1") -> list[str]:
    """Write the archive; the request ids."""
    frames = FrameStore(folder.parent / "captured")
    at, ids = START_MS, []
    with Archive(folder) as writer:
        for number, one in enumerate(asked):
            at += one.after_ms
            request_id = _id(number, 1)
            ids.append(request_id)
            for payload in _messages(number, request_id, one, frames, at, node):
                message = decode(payload)
                assert isinstance(message, Request | Score | Result)
                writer.write([Item(payload, message, TASK, at * 1_000_000)], frames)
    return ids


def _messages(number: int, request_id: str, one: Asked, frames: FrameStore, at: int, node: str) -> list[bytes]:
    import base64

    width, height = Image.open(io.BytesIO(one.picture)).size
    asked = (
        Input(inline=base64.b64encode(one.picture).decode())
        if one.inline
        else Input(frame=frames.put(one.picture, width=width, height=height))
    )
    request = Request(
        timestamp=at,
        message_id=_id(number, 2),
        request_id=request_id,
        return_address=f"roost/{node}/{TASK}/results/cam",
        deadline_ms=2000,
        issued=Issued(boot="b" * 32, seq=number, monotonic_ns=number),
        tags={"camera": "nest"},
        input=asked,
    )
    found = [encode(request)]
    for place, (model, (label, score, second)) in enumerate(one.answers.items()):
        outputs = [Output(label=label, score=score), Output(label=second, score=round(1 - score, 3))]
        found.append(
            encode(
                Score(
                    timestamp=at + 50,
                    message_id=_id(number, 10 + place),
                    request_id=request_id,
                    model=model,
                    version="1.0.0",
                    outputs=outputs,
                )
            )
        )
    chosen = one.answers.get(one.official)
    answer = chosen and Answer(model=one.official, version="1.0.0", label=chosen[0], score=chosen[1])
    found.append(
        encode(
            Result(
                timestamp=at + 100,
                message_id=_id(number, 3),
                request_id=request_id,
                cause="preferred" if answer else "default",
                answer=answer,
                default=None if answer else DefaultAnswer(label="none", reason="nobody answered"),
                elapsed_ms=80,
                sla_ms=2000,
            )
        )
    )
    return found


def _id(number: int, kind: int) -> str:
    return new_id((START_MS + number) * 1_000_000, bytes([kind]) + number.to_bytes(9, "big"))
