"""Messages and stores for the archive's tests."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from roost_broker.frames import FrameStore
from roost_broker.ids import new_id
from roost_broker.messages import (
    Answer,
    Declined,
    DefaultAnswer,
    FrameRef,
    Input,
    Issued,
    Output,
    Request,
    Result,
    Score,
    encode,
)

BOOT = "b" * 32


def make_id(number: int, kind: int = 0) -> str:
    return new_id(1_800_000_000_000_000_000 + number * 1_000_000, bytes([kind]) + number.to_bytes(9, "big"))


@dataclass
class Maker:
    """Makes messages by number: the same number, the same request."""

    frames: FrameStore

    def frame(self, number: int, size: int = 1000) -> FrameRef:
        return self.frames.put(hashlib.sha256(b"%d" % number).digest() * (size // 32), width=64, height=48)

    def request(
        self,
        number: int,
        *,
        attempt: int = 1,
        boot: str = BOOT,
        seq: int | None = None,
        frame: FrameRef | None = None,
        state: dict[str, object] | None = None,
        timestamp: int | None = None,
    ) -> bytes:
        return encode(
            Request(
                timestamp=1_800_000_000_000 + number if timestamp is None else timestamp,
                message_id=make_id(number, attempt),
                request_id=make_id(number),
                return_address="roost/coop/nest/results/cam",
                deadline_ms=2000,
                issued=Issued(
                    boot=boot,
                    seq=number if seq is None else seq,
                    monotonic_ns=number,
                    attempt=attempt,
                ),
                input=Input(frame=frame, values=None if frame else {"number": number}),
                state=state or {},
            )
        )

    def score(
        self, number: int, model: str = "champion", *, value: float = 0.1, version: str = "1", copy: int = 0
    ) -> bytes:
        return encode(
            Score(
                timestamp=1_800_000_000_100 + number,
                message_id=make_id(number, 100 + sum(model.encode()) % 100 + copy),
                request_id=make_id(number),
                model=model,
                version=version,
                outputs=[Output(label="hen", score=value), Output(label="egg", score=1 - value)],
                bundle="c" * 64,
                runtime="python 3",
                saw=hashlib.sha256(self.request(number)).hexdigest(),
            )
        )

    def declined(self, number: int, model: str = "champion") -> bytes:
        return encode(
            Declined(
                timestamp=1,
                message_id=make_id(number, 250),
                request_id=make_id(number),
                model=model,
                version="1",
                reason="behind",
            )
        )

    def result(self, number: int, label: str = "hen", *, copy: int = 0) -> bytes:
        default = label == "unknown"
        return encode(
            Result(
                timestamp=5,
                message_id=make_id(number, 200 + copy),
                request_id=make_id(number),
                cause="default" if default else "preferred",
                answer=None if default else Answer(model="champion", version="1", label=label, score=0.9),
                default=DefaultAnswer(label=label, reason="nobody") if default else None,
                elapsed_ms=12.5,
                sla_ms=2000,
            )
        )


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    return Maker(FrameStore(tmp_path / "capture"))


@pytest.fixture(scope="session")
def maker_at() -> type[Maker]:
    """For tests that make their own folders."""
    return Maker
