"""How much a picture of an event shows: people see the best of a burst; what triggered is asked about all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roost_edge.motion.detector import MotionVerdict
    from roost_edge.sources.frame import Image

WIDTH, HEIGHT = 640, 480
"""Pictures are compared in one size; larger ones are sharper by nothing but their grain."""
_RIM = 0.01


def worth(image: Image, verdict: MotionVerdict) -> float:
    """How good a picture of an event is: the blob's share of it, times how sharp it is there, half where it is cut."""
    import cv2

    if verdict.box is None:
        return 0.0
    left, top, wide, tall = verdict.box
    rows, columns = image.shape[:2]
    crop = image[
        round(top * rows) : max(round(top * rows) + 2, round((top + tall) * rows)),
        round(left * columns) : max(round(left * columns) + 2, round((left + wide) * columns)),
    ]
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) if crop.ndim == 3 else crop
    edges = cv2.Laplacian(grey, cv2.CV_16S)
    sharp = float(cv2.meanStdDev(edges)[1][0][0])
    cut = left < _RIM or top < _RIM or left + wide > 1 - _RIM or top + tall > 1 - _RIM
    return verdict.area * (1 + sharp) * (0.5 if cut else 1.0)
