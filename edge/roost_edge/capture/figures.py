"""A few figures of a picture, for whoever watches the camera: a lens that is smeared, turned or in the dark.

They are taken from a small grey copy, once for each request: about a tenth of a millisecond on the build machine, where
encoding the picture takes several. They go with the request as values (`picture.brightness` …), so models and archive
see the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from roost_edge.motion.pixels import small_gray

if TYPE_CHECKING:
    from roost_edge.sources.frame import Frame

_WIDTH = 160


def figures(frame: Frame) -> dict[str, float]:
    """Grey levels from 0 to 255: mean, standard deviation, and the mean step between neighbours (sharpness)."""
    import numpy as np

    plane = small_gray(frame.luma if frame.luma is not None else frame.image, _WIDTH)
    across, down = np.abs(np.diff(plane, axis=1)), np.abs(np.diff(plane, axis=0))
    return {
        "brightness": round(float(plane.mean()), 1),
        "contrast": round(float(plane.std()), 1),
        "sharpness": round(float(across.mean() + down.mean()) / 2, 2),
    }
