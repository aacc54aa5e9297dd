"""What capture keeps beside its requests: why there was no event (`motion.why`), and pre- and post-roll (`roll`).

Neither is needed for a request, so neither may end the role: what cannot be written is counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from roost_broker.errors import PeerError
from roost_edge.capture.roll import Roll
from roost_edge.motion.why import WhyLog

if TYPE_CHECKING:
    from collections import Counter
    from pathlib import Path

    from roost_edge.capture.settings import CaptureSettings
    from roost_edge.motion.detector import MotionVerdict
    from roost_edge.sources.frame import Frame


class Beside:
    """`log` is the file of reasons, `rolls` the folder of this camera's events."""

    def __init__(self, log: Path, rolls: Path, settings: CaptureSettings, counts: Counter[str]) -> None:
        self._counts = counts
        self._why: WhyLog | None = None
        if settings.why_keep:
            try:
                self._why = WhyLog(log, interval_ms=settings.why_interval_ms, keep=settings.why_keep)
            except (PeerError, OSError):
                counts["why-unwritten"] += 1
        rolling = settings.pre_roll_ms > 0 or settings.post_roll_ms > 0
        self.roll: Roll | None = Roll(rolls, settings, counts) if rolling else None

    def saw(self, frame: Frame, verdict: MotionVerdict) -> None:
        """On the camera's thread, every frame that was judged."""
        if self._why is not None:
            try:
                self._why.note(verdict.reason, verdict.area, frame.wall_ns)
            except PeerError:
                self._counts["why-unwritten"] += 1
        if self.roll is not None:
            self.roll.saw(frame, verdict)

    def close(self) -> None:
        """Write what waits; on the camera's thread, or when it has ended."""
        if self.roll is not None:
            self.roll.finish()
            self.roll.write()
        if self._why is not None:
            try:
                self._why.close()
            except PeerError:
                self._counts["why-unwritten"] += 1
            self._why = None
