"""P5 on a real medium that is full: a small tmpfs. Pictures give way, the newest last; no record is lost."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
import pytest
from small_medium import small_medium

from roost_broker.clock import SystemClock
from roost_broker.frames import FrameStore
from roost_broker.headers import new_header
from roost_broker.messages import Answer, Receipt, Request, Result, decode, encode
from roost_broker.room import Reserve, Room, room_of
from roost_broker.topics import NodeTopics
from roost_edge.capture.asking import Asking
from roost_edge.capture.request_log import RequestLog
from roost_edge.capture.request_summary import summarise
from roost_edge.capture.settings import CaptureSettings
from roost_edge.sources.frame import Frame
from roost_models.archive.settings import ArchiveSettings
from roost_models.archive.writing import Archive, Item

CLOCK = SystemClock()
COOP = NodeTopics("coop")
CARD_MB = 24
RESERVE = Reserve(2_000_000)
"""Of a card of 24 MB: less than the tenth at which it is capped."""
BUDGETS = CaptureSettings(frames_budget_mb=8)
FLOOR = 5


@pytest.fixture
def card(tmp_path: Path) -> Iterator[Path]:
    with small_medium(tmp_path / "card", CARD_MB) as folder:
        yield folder


@dataclass
class Coop:
    """Capture's blocking half and the decoy's archive on one card, as their roles use them; no broker between."""

    card: Path
    asked: list[str] = field(default_factory=list)
    refused: int = 0

    def __enter__(self) -> "Coop":
        self.frames = FrameStore(self.card / "frames")
        self.log = RequestLog(self.card / "requests" / "cam.db")
        settings = ArchiveSettings(floor_frames=FLOOR)
        self.archive = Archive(self.card / "archive" / "nest", settings=settings, reserve=RESERVE)
        self.asking = Asking(
            *(COOP.task("nest"), COOP.camera("cam"), self.log, self.frames),
            clock=CLOCK,
            node="coop",
            role="capture-cam",
            settings=BUDGETS,
            reserve=RESERVE,
        )
        return self

    def __exit__(self, _kind: type | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.archive.close()
        self.log.close()

    @property
    def room(self) -> Room:
        return room_of(self.card)

    def see(self, number: int, label: str) -> bool:
        """A picture of 100 kB is taken, asked about, archived, answered; then the house is kept."""
        image = np.random.default_rng(number).integers(0, 256, (300, 400, 3), dtype=np.uint8)
        good, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 90])
        assert good
        now = CLOCK.monotonic_ns()
        taken = Frame(
            image=image,
            at_monotonic_ns=now,
            wall_ns=CLOCK.wall_ns(),
            index=number,
            media_ns=now,
            encoded=jpeg.tobytes(),
        )
        asked = self.asking.ask(taken, "0" * 32)
        if asked is None:
            self.refused += 1
        else:
            self.answer(asked.payload, label)
        self.keep()
        return asked is not None

    def answer(self, payload: bytes, label: str) -> None:
        request = decode(payload)
        assert isinstance(request, Request)
        head = new_header(CLOCK, "coop", "test")._asdict()
        receipt = Receipt(**head, request_id=request.request_id, saw="0" * 64)
        result = Result(
            **head,
            request_id=request.request_id,
            cause="preferred",
            answer=Answer(model="champion", version="1", label=label, score=1.0),
            elapsed_ms=1,
            sla_ms=2000,
        )
        self.archive.write([Item(payload, request, "nest", CLOCK.wall_ns())], self.frames)
        self.archive.write([Item(encode(result), result, "nest", CLOCK.wall_ns())], self.frames)
        self.asking.receipt(receipt)
        self.asking.result(result, encode(result), CLOCK.monotonic_ns())
        frame = request.input.frame
        assert frame is not None
        self.asked.append(frame.sha256)

    def keep(self) -> None:
        """One look of both house-keepings, as after each request and every ten seconds."""
        self.asking.tidy()
        while self.archive.enforce_budget(CLOCK.wall_ns()).more:
            pass

    def held(self) -> list[str]:
        """Frames of the archive, oldest first."""
        there = {path.stem for path in self.archive.frames}
        return [digest for digest in self.asked if digest in there]


def fill(file: Path) -> None:
    """Somebody else writes until nothing more fits."""
    with file.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        while True:
            stream.write(b"x" * 4096)
    assert room_of(file.parent).free < 4096


def test_far_more_than_fits_is_seen_and_the_rare_the_newest_and_every_record_are_there(card: Path) -> None:
    with Coop(card) as coop:
        for number in range(400):  # 40 MB of pictures for a card of 24 MB, whose budgets would allow 1 GB
            assert coop.see(number, "fox" if number in (3, 50, 120) else "hen"), f"no room for picture {number}"
        stats = coop.archive.stats()
        assert (stats.inputs, stats.results) == (400, 400)
        assert summarise(card / "requests" / "cam.db").requests == 400
        held = coop.held()
        assert {coop.asked[3], coop.asked[50], coop.asked[120]} <= set(held), "what is rare stays, however old"
        hens = [digest for digest in coop.asked if digest not in (coop.asked[3], coop.asked[50], coop.asked[120])]
        kept = [digest for digest in hens if digest in set(held)]
        assert kept == hens[-len(kept) :], "of the others the newest"
        assert len(kept) > 50
        assert coop.room.free >= RESERVE.kept(coop.room) // 2


def test_a_card_that_somebody_else_fills_takes_no_picture_until_there_is_room_and_loses_no_record(card: Path) -> None:
    """
    1. The device has pictures. 2. A file grows until nothing fits. 3. Pictures are refused, nobody ends. 4. The
    house-keepings make room from the oldest on. 5. Pictures are taken again. 6. The file goes; every record is there.
    """
    with Coop(card) as coop:
        for number in range(60):
            assert coop.see(number, "fox" if number == 0 else "hen")
        fill(card / "somebody-elses")
        number = 60
        while not coop.see(number, "hen"):
            number += 1
            assert number < 100, "there is never room again"
        assert coop.refused > 0
        for more in range(number + 1, number + 20):
            coop.see(more, "hen")
        held = coop.held()
        assert held == coop.asked[-len(held) :], "nearly full, the oldest go whatever they are"
        assert held[-1] == coop.asked[-1]
        (card / "somebody-elses").unlink()
        assert coop.see(1_000, "hen")
    with Coop(card) as again:  # as after a restart: both databases are whole
        stats = again.archive.stats()
        assert stats.inputs == stats.results == len(coop.asked)
        assert summarise(card / "requests" / "cam.db").requests == len(coop.asked)


def test_records_still_fit_when_pictures_are_refused(card: Path) -> None:
    with Coop(card) as coop:
        for number in range(20):
            assert coop.see(number, "hen")
        open_request = coop.asking.ask(
            Frame(image=np.zeros((48, 64, 3), np.uint8), at_monotonic_ns=0, wall_ns=0, index=0, media_ns=0), "0" * 32
        )
        assert open_request is not None
        left = RESERVE.kept(coop.room) // 8 - 4096
        (card / "somebody-elses").write_bytes(b"x" * (coop.room.free - left))
        late = Frame(image=np.zeros((48, 64, 3), np.uint8), at_monotonic_ns=1, wall_ns=0, index=1, media_ns=1)
        assert coop.asking.ask(late, "0" * 32) is None
        coop.answer(open_request.payload, "hen")  # what was asked before is archived and answered all the same
        assert coop.archive.stats().results == 21
        assert summarise(card / "requests" / "cam.db").open == 0
