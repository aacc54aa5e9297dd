"""JPEG within bounds of pixels and bytes."""

import cv2
import numpy as np
import pytest

from roost_broker.clock import SystemClock
from roost_broker.jpeg_comment import comment_of, is_rendered, with_comment
from roost_edge.capture.jpeg import jpeg_of
from roost_edge.capture.settings import CaptureSettings
from roost_edge.sources.frame import Frame
from roost_edge.sources.settings import CameraSettings
from roost_edge.sources.synthetic import SyntheticSource


def frame_of(image: np.ndarray, encoded: bytes | None = None, rendered_by: str = "") -> Frame:
    return Frame(
        image=image, at_monotonic_ns=0, wall_ns=0, index=0, media_ns=0, encoded=encoded, rendered_by=rendered_by
    )


def decoded(data: bytes) -> np.ndarray:
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_red_picture_stays_red() -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    image[..., 0] = 220
    jpeg = jpeg_of(frame_of(image), CaptureSettings())
    assert (jpeg.width, jpeg.height) == (80, 60)
    red, _, blue = decoded(jpeg.data).reshape(-1, 3).mean(axis=0)
    assert red > 200
    assert blue < 20


def test_a_picture_that_was_a_jpeg_within_bounds_is_stored_byte_for_byte() -> None:
    image = noise(60, 80)
    own = jpeg_of(frame_of(image), CaptureSettings(jpeg_quality=70)).data
    assert jpeg_of(frame_of(image, own), CaptureSettings()).data == own


def test_what_a_file_tells_beside_its_picture_is_not_stored_and_one_that_cannot_be_followed_is_encoded_anew() -> None:
    image = noise(60, 80)
    own = jpeg_of(frame_of(image), CaptureSettings()).data
    place = b"\xff\xe1\x00\x10Exif\x00\x00a garden"
    assert jpeg_of(frame_of(image, own[:2] + place + own[2:]), CaptureSettings()).data == own
    assert jpeg_of(frame_of(image, own[:2] + place + own[2:-2]), CaptureSettings()).data == own


def test_a_jpeg_too_large_in_pixels_or_bytes_is_encoded_again_within_the_bounds() -> None:
    image = noise(600, 800)
    own = b"x" * 100
    small = jpeg_of(frame_of(image, own), CaptureSettings(max_width=400))
    assert (small.width, small.height) == (400, 300)
    assert decoded(small.data).shape == (300, 400, 3)
    tight = CaptureSettings(max_frame_bytes=30_000)
    jpeg = jpeg_of(frame_of(image, b"x" * 30_001), tight)
    assert len(jpeg.data) <= 30_000
    assert decoded(jpeg.data).shape == (jpeg.height, jpeg.width, 3)


@pytest.mark.parametrize("shape", [(1000, 1000), (33, 1900)])
def test_whatever_the_picture_it_fits_the_limit_of_bytes(shape: tuple[int, int]) -> None:
    assert len(jpeg_of(frame_of(noise(*shape)), CaptureSettings(max_frame_bytes=10_000)).data) <= 10_000


def test_a_picture_that_no_camera_took_says_so_in_its_file_within_the_bounds() -> None:
    image, tight = noise(600, 800), CaptureSettings(max_frame_bytes=30_000)
    for settings in (CaptureSettings(), tight):
        jpeg = jpeg_of(frame_of(image, rendered_by="a:Scene, seed 1"), settings)
        assert comment_of(jpeg.data) == b"Rendered by a:Scene, seed 1"
        assert decoded(jpeg.data).shape == (jpeg.height, jpeg.width, 3)
        assert len(jpeg.data) <= settings.max_frame_bytes
    assert not is_rendered(jpeg_of(frame_of(image), tight).data)


def test_what_a_synthetic_camera_shows_is_known_as_rendered() -> None:
    scene = "roost_edge.sources.test_scene:MovingSquare"
    source = SyntheticSource(CameraSettings(scene=scene, width=64, height=48, realtime=False), SystemClock())
    source.open()
    frame = source.read()
    source.close()
    assert frame is not None
    assert comment_of(jpeg_of(frame, CaptureSettings()).data) == f"Rendered by {scene}, seed 1".encode()


def test_a_rendered_file_that_is_made_smaller_stays_a_rendered_one_and_another_comment_is_not_carried_on() -> None:
    image = noise(600, 800)
    plain = jpeg_of(frame_of(image), CaptureSettings()).data
    small = CaptureSettings(max_width=400)
    assert is_rendered(jpeg_of(frame_of(image, with_comment(plain, "Rendered by a test")), small).data)
    assert comment_of(jpeg_of(frame_of(image, with_comment(plain, "Ann, 7 Hill Road")), small).data) == b""
