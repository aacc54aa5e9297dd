"""From a frame to an accepted request: the blocking half of capture, run on its disk thread.

The order makes promise §5 ("accepted means in the log") hold at any power cut: the frame is on the card, then the
request is in the log, then it is published.
"""

import errno
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from roost_broker.clock import MS, Clock, boot_id, looks_synced
from roost_broker.frames import FrameStore
from roost_broker.headers import new_header
from roost_broker.ids import new_id
from roost_broker.messages import Input, Issued, Provenance, Receipt, Request, Result, Span, encode, with_fields
from roost_broker.room import Reserve, Room, keeper_counts, room_of
from roost_broker.topics import CameraTopics, TaskTopics
from roost_broker.tracing import Tracer, own_trace_parent, span
from roost_edge.best_picture import TAG
from roost_edge.capture.figures import figures
from roost_edge.capture.jpeg import jpeg_of
from roost_edge.capture.request_log import OpenRequest, Outcome, RequestLog, no_room
from roost_edge.capture.settings import CaptureSettings
from roost_edge.capture.worth import HEIGHT, WIDTH, worth
from roost_edge.sources.frame import Frame
from roost_edge.sources.scale import fit

if TYPE_CHECKING:
    from roost_edge.motion.detector import MotionVerdict

_DAY_MS = 86_400_000
_TRIM_EVERY = 100
"""Accepted requests between two looks for rows to delete."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An accepted request, ready to be published."""

    request_id: str
    payload: bytes
    request: Request | None = None
    """Where it is traced, with what was done so far."""
    steps: tuple[Span, ...] = ()


class Asking:
    """Frame store, request log and their bounds, behind one thread."""

    def __init__(
        self,
        topics: TaskTopics,
        camera: CameraTopics,
        log: RequestLog,
        frames: FrameStore,
        *,
        clock: Clock,
        node: str,
        role: str,
        settings: CaptureSettings,
        tracer: Tracer | None = None,
        forwarded: bool = False,
        reserve: Reserve | None = None,
        measure: Callable[[Path], Room] = room_of,
    ) -> None:
        self._reserve = reserve or Reserve()
        self._measure = measure
        self._looks = 0
        self._return_address = topics.results(camera.camera)
        self._camera = camera.camera
        self._log = log
        self._frames = frames
        self._clock = clock
        self._node = node
        self._role = role
        self._settings = settings
        self._tracer = tracer
        self._awaits_gateway = forwarded
        self._until_trim = 0

    def ask(
        self, frame: Frame, event_id: str, verdict: "MotionVerdict | None" = None, *, asked: bool = False
    ) -> Asked | None:
        """Store the frame and accept a request about it. None: there is no room for a picture, so nothing is asked."""
        begun = self._clock.monotonic_ns()
        jpeg = jpeg_of(frame, self._settings)
        encoded = self._clock.monotonic_ns()
        if self._reserve.closed(self._room()):
            return None
        try:
            reference = self._frames.put(jpeg.data, width=jpeg.width, height=jpeg.height)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            return None
        now, wall = self._clock.monotonic_ns(), self._clock.wall_ns()
        head = new_header(self._clock, self._node, self._role)
        tags = {"camera": self._camera, "event": event_id}
        if frame.name:
            tags["name"] = frame.name[:1000]
        if asked:
            tags["asked"] = "yes"  # somebody wants to see this picture, whatever it shows
        if verdict is not None and verdict.zones:
            tags["zone"] = ",".join(verdict.zones)
        if verdict is not None and verdict.moving and verdict.box is not None:
            tags[TAG] = f"{worth(fit(frame.image, WIDTH, HEIGHT), verdict):.4f}"
        request_id = new_id(wall)
        traced = self._tracer is not None and self._tracer.wants(request_id, None)
        parent = own_trace_parent(request_id) if traced else None
        request = Request(
            timestamp=head.timestamp,
            message_id=head.message_id,
            provenance=Provenance(path=head.provenance.path, trace_parent=parent),
            request_id=request_id,
            return_address=self._return_address,
            deadline_ms=self._settings.deadline_ms,
            issued=Issued(
                boot=boot_id(),
                seq=self._log.next_seq(),
                monotonic_ns=now,
                clock="synced" if looks_synced(wall) else "unsynced",
            ),
            tags=tags,
            input=Input(frame=reference, values={"picture": figures(frame)}),
        )
        payload = encode(request)
        self._log.accept(request, payload, accepted_wall_ms=wall // MS, forwarded=not self._awaits_gateway)
        if not traced:
            return Asked(request_id, payload)
        accepted = self._clock.monotonic_ns()
        steps = (
            span("trigger", min(frame.at_monotonic_ns, begun), begun),
            span("encode", begun, encoded),
            span("store", encoded, now),
            span("accept", now, accepted),
        )
        return Asked(request_id, payload, request, steps)

    def tidy(self) -> int:
        """Delete what is over the budgets of frames and rows; returns the bytes of frames let go.

        Only frames that this camera's own log names are touched; the archive keeps its own links to them. While the
        medium is short of room they are let go first, for nothing is lost by it: the archive then decides what goes.
        """
        self._looks += 1
        short = self.shortage()
        try:
            free = self._log.spare_frames(min(self._budget, max(0, self._log.frame_bytes - short)))
        except sqlite3.OperationalError as error:
            if not no_room(error):
                raise
            # A full medium takes no row. So the files go first, and make the room; their rows follow at a later look.
            return sum(self._frames.remove(frame.sha256) for frame in self._log.could_spare(short))
        self._until_trim -= 1
        if self._until_trim < 0:
            self._until_trim = _TRIM_EVERY
            oldest = self._clock.wall_ns() // MS - self._settings.keep_days * _DAY_MS
            free += self._log.trim(before_wall_ms=oldest, keep=self._settings.keep_requests)
        return sum(self._frames.remove(frame.sha256) for frame in free)

    def shortage(self) -> int:
        """Bytes that the medium has too few free."""
        return self._reserve.shortage(self._room())

    def house_keeping(self) -> dict[str, int]:
        """How the house-keeping stands, as counts of the role's state."""
        return keeper_counts(self._looks, self._log.frame_bytes, self._budget)

    @property
    def _budget(self) -> int:
        return self._settings.frames_budget_mb * 1_000_000

    def _room(self) -> Room:
        return self._measure(self._log.path.parent)

    def again(self, request_id: str, payload: bytes, attempt: int) -> bytes:
        """The same request once more, or a first one held up: same ids, `issued` says which attempt, and when."""
        if attempt > 1:
            self._log.published_again(request_id, wall_ms=self._clock.wall_ns() // MS)
        issued = dict(msgspec.json.decode(payload)["issued"])
        issued["attempt"] = attempt
        if (
            issued["boot"] == boot_id()
        ):  # else the reading stays what it was: (boot, seq) is the request's place in order
            issued["monotonicNs"] = self._clock.monotonic_ns()
        return with_fields(payload, issued=issued)

    def open_requests(self) -> list[OpenRequest]:
        """What an earlier process left open."""
        return self._log.open_requests()

    def forwarded(self, request_ids: tuple[str, ...]) -> None:
        """Commit that the gateway has these, or that they are given up for the centre."""
        self._log.forwarded(request_ids)

    def receipt(self, receipt: Receipt) -> Outcome:
        """Commit a receipt."""
        return self._log.receipt(receipt, wall_ms=self._clock.wall_ns() // MS)

    def result(self, result: Result, payload: bytes, arrived_ns: int) -> Outcome:
        """Commit a result."""
        return self._log.result(result, payload, arrived_ns=arrived_ns, wall_ms=self._clock.wall_ns() // MS)
