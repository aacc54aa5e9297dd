"""A small fleet that speaks: envelopes with numbers as a gateway gives them, and an archive of them."""

from pathlib import Path

from roost_broker.centre.envelope import Envelope
from roost_broker.centre.lanes import lane_of, node_of
from roost_broker.messages import Answer, Declined, Input, Output, Request, Result, Score, encode
from roost_models.central.compaction import compact
from roost_models.central.partitions import DAY_MS, begin_ms
from roost_models.central.staging import FileRecord, Staging

DAY = "2026-11-20"
T0 = begin_ms(DAY) + 36_000_000  # ten in the morning
CLOSED = begin_ms(DAY) + 10 * DAY_MS
OUTBOX = {"coop-1": "1" * 32, "coop-2": "2" * 32}


class World:
    """What gateways of a few devices would send."""

    def __init__(self) -> None:
        self._seqs: dict[tuple[str, str], int] = {}

    def say(
        self,
        topic: str,
        payload: bytes = b"{}",
        *,
        at: int = T0,
        stored: int | None = None,
        seq: int | None = None,
        outbox: str | None = None,
        gap: tuple[int, int] | None = None,
    ) -> Envelope:
        """The next message of a device on this topic's lane."""
        node, lane = node_of(topic), lane_of(topic)
        assert node is not None
        assert lane is not None
        outbox = outbox or OUTBOX[node]
        number = self._seqs[outbox, lane] = seq or self._seqs.get((outbox, lane), 0) + 1
        stored = at if stored is None else stored
        return Envelope(topic, payload, node, outbox, lane, number, at, gap=gap, stored_ms=stored)

    def asked(self, number: int, *, node: str = "coop-1", at: int = T0) -> Envelope:
        """An input."""
        return self.say(f"roost/{node}/henhouse/input", request(number, node, at), at=at)

    def scored(self, number: int, model: str = "champion", *, node: str = "coop-1", at: int = T0) -> Envelope:
        """A model's answer."""
        head = {"timestamp": at, "message_id": f"{number:032x}"}
        message = Score(
            **head, request_id=f"{number:032x}", model=model, version="1", outputs=[Output(label="hen", score=0.5)]
        )
        return self.say(f"roost/{node}/henhouse/scores/{model}", encode(message), at=at)

    def declined(self, number: int, model: str, *, node: str = "coop-1", at: int = T0) -> Envelope:
        """A model's refusal."""
        head = {"timestamp": at, "message_id": f"{number:032x}"}
        message = Declined(**head, request_id=f"{number:032x}", model=model, version="1", reason="behind")
        return self.say(f"roost/{node}/henhouse/scores/{model}", encode(message), at=at)

    def answered(self, number: int, *, node: str = "coop-1", at: int = T0) -> Envelope:
        """The official outcome."""
        head = {"timestamp": at, "message_id": f"{number:032x}"}
        message = Result(
            **head,
            request_id=f"{number:032x}",
            cause="preferred",
            answer=Answer(model="champion", version="1", label="hen", score=0.5),
            elapsed_ms=5,
            sla_ms=2000,
        )
        return self.say(f"roost/{node}/henhouse/results/capture", encode(message), at=at)


def request(number: int, node: str = "coop-1", at: int = T0) -> bytes:
    """The bytes of a request."""
    return encode(
        Request(
            timestamp=at,
            message_id=f"{number:032x}",
            request_id=f"{number:032x}",
            return_address=f"roost/{node}/henhouse/results/capture",
            deadline_ms=2000,
            input=Input(),
        )
    )


def archived(root: Path, *envelopes: Envelope, close: bool = False, rows: int = 1000) -> list[FileRecord]:
    """Have these in the archive; with `close` in the files of their days."""
    staging = Staging(root)
    try:
        staging.put(envelopes)
        return compact(staging, CLOSED, close_after_ms=0, rows=rows) if close else []
    finally:
        staging.close()
