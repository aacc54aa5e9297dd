"""From settings to what Picamera2 is asked for: pure, so that it can be looked at where there is no Pi.

Facts from Picamera2's source (`create_video_configuration`, `controls`) and from the Pi's camera manual:

* `main` is asked for as BGR888, which is libcamera's name for bytes in the order R, G, B.
* On a Pi 4 and older `lores` must be YUV. Its first `height` rows are the brightness, padded on the right to a stride;
  a width that is a multiple of 64 has no padding there.
* Without `raw = None` a third stream in the sensor's own format is made, with as many buffers as the others: 3 to 24 MB
  that nobody reads. libcamera then chooses the sensor's mode by the size of `main`.
* `queue = False`: a frame that nobody has waited for is not kept, so the one that is read is fresh, and one buffer less
  is needed. With two buffers the camera always has one to write into.
"""

from __future__ import annotations

from typing import Any

from roost_edge.sources.settings import CameraSettings

LORES_WIDTH = 320
SMALL_BOARD_BYTES = 600_000_000
"""A board that says 512 MB has a little less, and the camera takes its part of that."""
_BALANCE = ("auto", "incandescent", "tungsten", "fluorescent", "indoor", "daylight", "cloudy")
"""In the order of libcamera's AwbModeEnum."""
_FOCUS_BY_HAND = 0
"""libcamera's AfModeEnum.Manual."""
_FLICKER_BY_HAND = 1
"""libcamera's FlickerManual: the period is told, not found out."""


def configuration(settings: CameraSettings, memory_bytes: int) -> dict[str, Any]:
    """Arguments of `create_video_configuration`, but for `transform`, which is libcamera's own type."""
    return {
        "main": {"size": (settings.width, settings.height), "format": "BGR888"},
        "lores": {"size": lores_size(settings), "format": "YUV420"},
        "raw": None,
        "buffer_count": settings.buffer_count or (2 if memory_bytes <= SMALL_BOARD_BYTES else 4),
        "queue": False,
        "controls": controls(settings),
    }


def controls(settings: CameraSettings) -> dict[str, Any]:
    """What the camera is told once, by libcamera's names; what is not said stays automatic."""
    frame_us = round(1_000_000 / settings.fps)
    found: dict[str, Any] = {"FrameDurationLimits": (frame_us, frame_us)}
    if settings.exposure_us:
        found["ExposureTime"] = min(settings.exposure_us, frame_us)
    if settings.gain:
        found["AnalogueGain"] = settings.gain
    if settings.exposure_us and settings.gain:
        found["AeEnable"] = False
    if settings.exposure_bias:
        found["ExposureValue"] = settings.exposure_bias
    if settings.mains_hz:  # light peaks twice in a period
        found |= {"AeFlickerMode": _FLICKER_BY_HAND, "AeFlickerPeriod": round(1_000_000 / (2 * settings.mains_hz))}
    if settings.white_balance != "auto":
        found["AwbMode"] = _BALANCE.index(settings.white_balance)
    if settings.focus_m:
        found |= {"AfMode": _FOCUS_BY_HAND, "LensPosition": 1 / settings.focus_m}
    return found


def lores_size(settings: CameraSettings) -> tuple[int, int]:
    """Of the brightness plane: as wide as motion needs, in the picture's proportions, even as YUV420 must be."""
    width = min(LORES_WIDTH, _even(settings.width))
    return width, _even(settings.height * width / settings.width)


def unsupported(asked: dict[str, Any], offered: object) -> list[str]:
    """Controls that this camera does not have: a fixed lens has no focus. `offered`: its `camera_controls`."""
    known = offered if isinstance(offered, dict) else {}
    return [name for name in asked if name not in known]


def _even(size: float) -> int:
    return max(2, round(size / 2) * 2)
