"""How much a picture of an event shows."""

import numpy as np

from roost_edge.capture.worth import worth
from roost_edge.motion.detector import MotionVerdict

MOVING = MotionVerdict(True, 0.1, (0.3, 0.3, 0.3, 0.3), "motion")


def test_larger_sharper_and_whole_is_better() -> None:
    blurred = np.full((100, 100, 3), 90, np.uint8)
    sharp = blurred.copy()
    sharp[30:60:2, 30:60] = 200
    assert worth(sharp, MOVING) > worth(blurred, MOVING)
    larger = MotionVerdict(True, 0.3, (0.3, 0.3, 0.3, 0.3), "motion")
    assert worth(sharp, larger) > worth(sharp, MOVING)
    cut = MotionVerdict(True, 0.1, (0.0, 0.3, 0.3, 0.3), "motion")
    whole = MotionVerdict(True, 0.1, (0.05, 0.3, 0.3, 0.3), "motion")
    assert worth(blurred, whole) > worth(blurred, cut)
