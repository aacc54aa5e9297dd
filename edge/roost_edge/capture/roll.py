"""Before and after an event: a bounded ring of recent frames, and the JPEGs of each event beside its requests.

1. While nothing happens, a frame is put into the ring every `roll_every_ms`, scaled down, not encoded: the ring costs
   one resize and no wear. It holds at most `pre_roll_ms` and `roll_ring_kb`.
2. When an event begins, what the ring holds is written to `<folder>/<event id>/`, then a frame every `roll_every_ms`
   until `post_roll_ms` after its end. Files are named for their distance to the trigger in milliseconds, such as
   `-0500.jpg` and `+1000.jpg`; `event.json` lists them and names the best one.
3. Best is who is largest, sharpest, and whole: a blob that the rim of the picture cuts counts half. What triggered is
   asked about whatever is best (promise P3): this chooses what is shown, not what is classified.
4. Bounded on the card: the oldest events go when all are larger than `rolls_budget_mb`, or one event is longer than
   `roll_max_frames`. A roll that cannot be written is given up and counted; no record of what happened depends on it.

Called by the camera's thread (`saw`) and by the event loop (`began`, `ended`, `abandoned`); `write` runs on the disk
thread. What one hands to another is a bounded queue.
"""

from __future__ import annotations

import json
import shutil
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from roost_broker.clock import MS
from roost_edge.capture.worth import HEIGHT, WIDTH, worth

if TYPE_CHECKING:
    from collections import Counter
    from pathlib import Path

    from roost_edge.capture.settings import CaptureSettings
    from roost_edge.motion.detector import MotionVerdict
    from roost_edge.sources.frame import Frame, Image

_MAX_WAITING = 32
"""Frames that the disk has not taken yet; beyond it they are dropped and counted."""


@dataclass(frozen=True, slots=True)
class _Kept:
    media_ns: int
    image: Image
    worth: float


@dataclass(slots=True)
class _Roll:
    """One event's own."""

    event_id: str
    trigger_ns: int
    until_ns: int | None = None
    """When the post-roll is over; None while the event lasts."""
    frames: dict[str, float] = field(default_factory=dict)
    """File name -> worth."""


class Roll:
    """See the module. `folder` is this camera's own."""

    def __init__(self, folder: Path, settings: CaptureSettings, counts: Counter[str]) -> None:
        self._folder = folder
        self._settings = settings
        self._counts = counts
        self._ring: deque[_Kept] = deque()
        self._ring_bytes = 0
        self._last_ns: int | None = None
        self._roll: _Roll | None = None
        self._waiting: deque[tuple[_Roll, _Kept]] = deque()
        self._ended: deque[_Roll] = deque()

    @property
    def due(self) -> bool:
        """Whether `write` has something to do."""
        return bool(self._waiting or self._ended)

    def saw(self, frame: Frame, verdict: MotionVerdict) -> None:
        """Look at one frame, before `began` or `ended` of what it begins or ends."""
        now, roll = frame.media_ns, self._roll
        if roll is not None and roll.until_ns is not None and now > roll.until_ns:
            self._close(roll)
            roll = None
        soon = self._last_ns is not None and 0 <= now - self._last_ns < self._settings.roll_every_ms * MS
        may_begin = verdict.moving and (roll is None or roll.until_ns is not None)
        if soon and not may_begin:  # what may begin an event is never left out
            return
        self._last_ns = now
        from roost_edge.sources.scale import fit

        small = fit(frame.image, WIDTH, HEIGHT)
        kept = _Kept(now, small, worth(small, verdict) if verdict.moving else 0.0)
        self._remember(kept)  # during an event too: the next may begin within its post-roll
        if roll is not None:
            self._enqueue(roll, kept)

    def began(self, event_id: str, now_ns: int) -> None:
        """The event begins with the frame of this time."""
        if self._roll is not None:  # still in its post-roll: what follows belongs to the new event
            self._close(self._roll)
        self._roll = _Roll(event_id, now_ns)
        for kept in self._ring:
            self._enqueue(self._roll, kept)

    def ended(self, now_ns: int) -> None:
        """Nothing moves any more."""
        if self._roll is not None:
            self._roll.until_ns = now_ns + self._settings.post_roll_ms * MS

    def finish(self) -> None:
        """There are no more frames."""
        if self._roll is not None:
            self._close(self._roll)

    def _close(self, roll: _Roll) -> None:
        self._ended.append(roll)
        self._roll = None

    def _remember(self, kept: _Kept) -> None:
        self._ring.append(kept)
        self._ring_bytes += kept.image.nbytes
        oldest_ns = kept.media_ns - self._settings.pre_roll_ms * MS
        while self._ring and (
            self._ring[0].media_ns < oldest_ns or self._ring_bytes > self._settings.roll_ring_kb * 1000
        ):
            self._ring_bytes -= self._ring.popleft().image.nbytes

    def _enqueue(self, roll: _Roll, kept: _Kept) -> None:
        if len(self._waiting) >= _MAX_WAITING:
            self._counts["roll-dropped"] += 1
            return
        self._waiting.append((roll, kept))

    def write(self, short: int = 0) -> None:
        """Put what waits on the card. A disk that does not take it costs pictures, never the role.

        `short`: bytes that the card has too few free. Rolls are the first to give way: nobody was asked about them.
        """
        if short:
            self._counts["roll-unwritten"] += len(self._waiting)
            self._waiting.clear()
            self._ended.clear()
            self.trim(short)
            return
        try:
            while self._waiting:
                self._write_one(*self._waiting.popleft())
            while self._ended:
                self._write_list(self._ended.popleft())
        except OSError:
            self._counts["roll-unwritten"] += 1
            self._waiting.clear()
            self._ended.clear()

    def _write_one(self, roll: _Roll, kept: _Kept) -> None:
        if len(roll.frames) >= self._settings.roll_max_frames:
            self._counts["roll-dropped"] += 1
            return
        import cv2

        quality = [cv2.IMWRITE_JPEG_QUALITY, min(85, self._settings.jpeg_quality)]
        good, data = cv2.imencode(".jpg", cv2.cvtColor(kept.image, cv2.COLOR_RGB2BGR), quality)
        if not good:
            return
        folder = self._folder / roll.event_id
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{(kept.media_ns - roll.trigger_ns) // MS:+05d}.jpg"
        (folder / name).write_bytes(data.tobytes())
        roll.frames[name] = round(kept.worth, 4)

    def _write_list(self, roll: _Roll) -> None:
        folder = self._folder / roll.event_id
        if not folder.is_dir():
            return
        best = max(roll.frames, key=lambda name: roll.frames[name], default="")
        told = {
            "eventId": roll.event_id,
            "best": best,
            "frames": [{"file": n, "worth": w} for n, w in roll.frames.items()],
        }
        (folder / "event.json").write_text(json.dumps(told), encoding="utf-8")
        self._counts["rolls"] += 1
        self.trim()

    def trim(self, short: int = 0) -> int:
        """Delete the oldest events beyond the budget, or to free so much; returns how many. Event ids sort by time."""
        if not self._folder.is_dir():
            return 0
        sizes = {
            event: sum(item.stat().st_size for item in event.iterdir())
            for event in sorted(self._folder.iterdir())
            if event.is_dir()
        }
        over, gone = max(short, sum(sizes.values()) - self._settings.rolls_budget_mb * 1_000_000), 0
        for event in list(sizes)[: None if short else -1]:  # the newest stays, whatever it weighs, while there is room
            if over <= 0:
                break
            shutil.rmtree(event)
            over -= sizes[event]
            gone += 1
        return gone
