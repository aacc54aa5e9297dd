"""What Picamera2 is asked for, looked at without a Pi."""

from typing import Any

import pytest

from roost_edge.sources import CameraSettings
from roost_edge.sources.picamera_setup import configuration, controls, lores_size, unsupported

PI_ZERO_2 = 430_000_000
PI_4 = 2_000_000_000


def camera(**fields: Any) -> CameraSettings:
    return CameraSettings(source="picamera", **fields)


def test_the_picture_and_a_small_brightness_plane_and_no_raw_stream() -> None:
    asked = configuration(camera(width=1280, height=960, fps=10), PI_4)
    assert asked == {
        "main": {"size": (1280, 960), "format": "BGR888"},
        "lores": {"size": (320, 240), "format": "YUV420"},
        "raw": None,
        "buffer_count": 4,
        "queue": False,
        "controls": {"FrameDurationLimits": (100_000, 100_000)},
    }


def test_a_small_board_gets_two_buffers_unless_the_settings_say_otherwise() -> None:
    assert configuration(camera(), PI_ZERO_2)["buffer_count"] == 2
    assert configuration(camera(buffer_count=3), PI_ZERO_2)["buffer_count"] == 3


@pytest.mark.parametrize(
    ("size", "lores"),
    [((640, 480), (320, 240)), ((1920, 1080), (320, 180)), ((100, 75), (100, 76)), ((16, 16), (16, 16))],
)
def test_the_brightness_plane_has_the_pictures_proportions_even_sides_and_is_never_larger(
    size: tuple[int, int], lores: tuple[int, int]
) -> None:
    assert lores_size(camera(width=size[0], height=size[1])) == lores


def test_what_is_fixed_by_hand_is_fixed_and_the_rest_stays_automatic() -> None:
    asked = controls(camera(exposure_us=8_000, gain=2.0, white_balance="daylight", mains_hz=50, focus_m=0.5, fps=5))
    assert asked == {
        "FrameDurationLimits": (200_000, 200_000),
        "ExposureTime": 8_000,
        "AnalogueGain": 2.0,
        "AeEnable": False,
        "AwbMode": 5,
        "AeFlickerMode": 1,
        "AeFlickerPeriod": 10_000,
        "AfMode": 0,
        "LensPosition": 2.0,
    }
    assert "AeEnable" not in controls(camera(exposure_us=8_000))
    assert controls(camera(exposure_bias=-1.0))["ExposureValue"] == -1.0


def test_an_exposure_never_takes_longer_than_a_frame() -> None:
    assert controls(camera(exposure_us=10_000_000, fps=10))["ExposureTime"] == 100_000


def test_a_camera_with_a_fixed_lens_is_not_asked_to_focus() -> None:
    asked = controls(camera(focus_m=1.0))
    assert unsupported(asked, {"FrameDurationLimits": (1, 2, 3)}) == ["AfMode", "LensPosition"]
    assert unsupported(asked, dict.fromkeys(asked)) == []
