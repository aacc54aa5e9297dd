"""Does something move, and if not, why not: the deciding half of the motion detector.

Pure: pictures and times go in, verdicts come out. Every frame gets a reason, and reasons are counted, so that "why was
the jay not seen" has an answer. Rules:

1. A blob counts when it is large enough, and when the next frame shows one near it (else `flicker`).
2. A change of light is rejected and learnt at once (`light-step`).
3. A blob that does not move inside is either where something left (`ghost`) or has become furniture (`settled`).

Not done here: masks and zones, telling birds from cats.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from roost_broker.clock import MS
from roost_edge.motion.pixels import Background, Look, small_gray
from roost_edge.motion.settings import MotionSettings

if TYPE_CHECKING:
    from roost_edge.sources.frame import Image

Reason: TypeAlias = Literal[
    "motion", "quiet", "learning", "too-small", "unconfirmed", "flicker", "light-step", "ghost", "settled"
]
Box: TypeAlias = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class MotionVerdict:
    """What one frame says."""

    moving: bool
    area: float
    """Share of the picture that the largest changed blob covers."""
    box: Box | None
    """Left, top, width, height of the blob, as shares of the picture's width and height."""
    reason: Reason


class MotionDetector:
    """Feed it every frame in order."""

    def __init__(self, settings: MotionSettings | None = None) -> None:
        self._settings = settings or MotionSettings()
        self._background: Background | None = None
        self._learning_since = 0
        self._last_ns = 0
        self._previous: Box | None = None
        self._still_since: int | None = None
        self._confirmed = False
        self.reasons: Counter[Reason] = Counter()
        """How many frames got which reason."""

    def update(self, image: Image, now_ns: int) -> MotionVerdict:
        """Judge one frame, RGB or one brightness plane; `now_ns` is the time of the picture, not of the reading."""
        verdict = self._judge(image, now_ns)
        self.reasons[verdict.reason] += 1
        self._last_ns = now_ns
        return verdict

    def _judge(self, image: Image, now_ns: int) -> MotionVerdict:
        plane = small_gray(image, self._settings.width)
        background = self._background
        if background is None or background.shape != plane.shape:
            self._background = Background(self._settings, plane)
            self._learning_since = now_ns
            self._forget()
            return MotionVerdict(False, 0.0, None, "learning")
        look = background.look(plane)
        since = now_ns - self._learning_since
        if since < self._settings.learn_ms * MS:
            background.learn(0.2, spare_blob=False)
            return MotionVerdict(False, look.area, look.box, "learning")
        if look.light:
            background.relight()
            self._forget()
            return MotionVerdict(False, look.area, look.box, "light-step")
        reason = self._weigh(look, background, now_ns)
        elapsed = max(0, now_ns - self._last_ns)
        share = min(0.5, elapsed / (self._settings.background_ms * MS))
        background.learn(share, spare_blob=reason in ("motion", "unconfirmed"))
        return MotionVerdict(reason == "motion", look.area, look.box, reason)

    def _weigh(self, look: Look, background: Background, now_ns: int) -> Reason:
        """Decide about a frame that is neither learnt from nor a change of light."""
        previous, confirmed = self._previous, self._confirmed
        if look.box is None or look.area < self._settings.min_area:
            self._forget()
            if previous is not None and not confirmed:
                return "flicker"
            return "too-small" if look.box is not None else "quiet"
        self._previous = look.box
        if not look.still:
            self._still_since = None
        elif self._still_since is None:
            self._still_since = now_ns
        elif now_ns - self._still_since >= self._settings.ghost_ms * MS and background.looks_left():
            background.absorb(blob_only=True)
            self._forget()
            return "ghost"
        elif now_ns - self._still_since >= self._settings.rest_ms * MS:
            background.absorb(blob_only=True)
            self._forget()
            return "settled"
        self._confirmed = confirmed or (previous is not None and self._near(previous, look.box))
        return "motion" if self._confirmed else "unconfirmed"

    def _near(self, first: Box, second: Box) -> bool:
        across = first[0] + first[2] / 2 - second[0] - second[2] / 2
        down = first[1] + first[3] / 2 - second[1] - second[3] / 2
        return max(abs(across), abs(down)) <= self._settings.confirm_distance

    def _forget(self) -> None:
        self._previous = None
        self._still_since = None
        self._confirmed = False
