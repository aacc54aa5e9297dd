"""Does something move, and if not, why not: the deciding half of the motion detector.

Pure: pictures and times go in, verdicts come out. Every frame gets a reason, and reasons are counted, so that "why was
the jay not seen" has an answer. Rules:

1. A blob counts when it is large enough, and when the next frame shows one near it (else `flicker`). A small one must
   stay for `small_frames`, and so must any that comes with a change of light. What is known to move moves on while half
   as much of it is seen.
2. A change of light is rejected (`light-step`), unless the lamp always does that. What was moving before it moves on;
   what came with it and is still, is light too. Shade and flecks of sun show the same things in another brightness
   (`shade`), and are not what was moving elsewhere.
3. A blob that does not move inside is either where something left (`ghost`) or has become furniture (`settled`).
4. Masks are not looked at; where `only_zones` says so, a blob outside every zone is `outside`.

Not done here: telling birds from cats.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from roost_broker.clock import MS
from roost_edge.motion.pixels import Background, Look, small_gray
from roost_edge.motion.settings import MotionSettings

if TYPE_CHECKING:
    from roost_edge.sources.frame import Image

Reason: TypeAlias = Literal[
    "motion",
    "quiet",
    "learning",
    "too-small",
    "unconfirmed",
    "flicker",
    "light-step",
    "shade",
    "ghost",
    "settled",
    "outside",
]
REASONS: tuple[Reason, ...] = get_args(Reason)
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
    zones: tuple[str, ...] = ()
    """Of the settings, in which the blob is; only where something moves."""


_LEFT_BEHIND = 0.3
"""What is still and so much smaller than the blob was, such as an egg, is what a visitor left behind."""
_GOES_ON = 0.5
"""What is moving moves on while so much of `min_area` is seen of it near the last place."""
_DOUBT_NS = 2_000 * MS
"""So long after a change of light a new blob is suspected to belong to it."""


class MotionDetector:
    """Feed it every frame in order."""

    def __init__(self, settings: MotionSettings | None = None) -> None:
        self._settings = settings or MotionSettings()
        self._background: Background | None = None
        self._learning_since = 0
        self._last_ns = 0
        self._previous: Box | None = None
        self._in_a_row = 0
        """Frames up to now with a blob near that of the frame before."""
        self._blinked = False
        """The last frame did not show it."""
        self._still_since: int | None = None
        self._confirmed = False
        self._largest = 0.0
        """Area of the blob at its largest since it appeared."""
        self._light_until = 0
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
        if look.light == "part":
            background.absorb(blob_only=False)
            self._forget()
            return MotionVerdict(False, look.area, look.box, "light-step")
        if look.light:
            self._light_until = now_ns + _DOUBT_NS
        reason = self._weigh(look, background, now_ns)
        elapsed = max(0, now_ns - self._last_ns)
        share = min(0.5, elapsed / (self._settings.background_ms * MS))
        background.learn(share, spare_blob=reason in ("motion", "unconfirmed"))
        if reason != "motion":
            return MotionVerdict(False, look.area, look.box, reason)
        zones = background.zones()
        if self._settings.only_zones and not zones:
            return MotionVerdict(False, look.area, look.box, "outside")
        return MotionVerdict(True, look.area, look.box, "motion", zones)

    def _weigh(self, look: Look, background: Background, now_ns: int) -> Reason:
        """Decide about a frame that is not learnt from."""
        previous, confirmed = self._previous, self._confirmed
        near = previous is not None and look.box is not None and self._near(previous, look.box)
        least = self._settings.min_area * (_GOES_ON if confirmed and near else 1)
        if look.box is None or look.area < least:
            # A small pale thing is lost in the noise for a frame now and then; it is the same when it is back.
            if self._in_a_row and not self._blinked and self._is_small(previous):
                self._blinked = True
            else:
                self._forget()
            if look.light:
                return "light-step"
            if previous is not None and not confirmed:
                return "flicker"
            return "too-small" if look.box is not None else "quiet"
        if not (confirmed and near) and background.looks_shaded():
            if look.still:  # what stands in it is the background in another light, and must hide no bird
                background.absorb(blob_only=True)
            self._forget()
            return "shade"
        if settled := self._settled(look, background, now_ns):
            background.absorb(blob_only=True)
            self._forget()
            return settled
        self._blinked = False
        self._largest = max(self._largest, look.area)
        self._previous = look.box
        self._in_a_row = self._in_a_row + 1 if near or not self._in_a_row else 1
        doubtful = look.area < self._settings.sure_area or now_ns < self._light_until
        needed = self._settings.small_frames if doubtful else 2
        self._confirmed = (confirmed and (near or not look.light)) or self._in_a_row >= needed
        if self._confirmed:
            return "motion"
        return "light-step" if look.light else "unconfirmed"

    def _settled(self, look: Look, background: Background, now_ns: int) -> Reason | None:
        """Why a blob that does not move inside is no motion, if it is none."""
        if not look.still:
            self._still_since = None
            return None
        if self._still_since is None:
            self._still_since = now_ns
        since = now_ns - self._still_since
        came_with_light = self._in_a_row and not self._confirmed
        if now_ns < self._light_until and (came_with_light or since >= self._settings.ghost_ms * MS):
            return "light-step"
        if since >= self._settings.ghost_ms * MS and background.looks_left():
            return "ghost"
        rest_ms = self._settings.rest_ms
        if look.area < _LEFT_BEHIND * self._largest:
            rest_ms = min(rest_ms, self._settings.ghost_ms)
        return "settled" if since >= rest_ms * MS else None

    def _near(self, first: Box, second: Box) -> bool:
        across = first[0] + first[2] / 2 - second[0] - second[2] / 2
        down = first[1] + first[3] / 2 - second[1] - second[3] / 2
        return max(abs(across), abs(down)) <= self._settings.confirm_distance * (0.5 if self._is_small(second) else 1)

    def _is_small(self, box: Box | None) -> bool:
        return box is not None and box[2] * box[3] < self._settings.sure_area

    def _forget(self) -> None:
        self._blinked = False
        self._previous = None
        self._in_a_row = 0
        self._still_since = None
        self._confirmed = False
        self._largest = 0.0
