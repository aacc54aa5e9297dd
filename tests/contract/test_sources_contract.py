"""Every frame source keeps the rules of `roost_edge.sources.frame`; Picamera2 as far as it can without a Pi."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from roost_broker.clock import MS, SECOND, VirtualClock
from roost_broker.errors import Misuse, RoostError
from roost_edge.sources import CameraFailed, CameraSettings, FrameSource, open_source
from roost_edge.sources.faults import CameraFault
from roost_edge.sources.opencv import OpenCvSource

COUNT = 6
SQUARE = "roost_edge.sources.test_scene:MovingSquare"
Make = Callable[..., CameraSettings]


def picture(index: int) -> np.ndarray:
    """Reddish (RGB), and brighter from picture to picture."""
    image = np.zeros((120, 160, 3), np.uint8)
    image[..., 0] = 200
    image[..., 2] = min(10 * index, 150)
    return image


def film(path: Path, count: int = COUNT, fps: float = 10) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), fps, (160, 120))
    for index in range(count):
        writer.write(cv2.cvtColor(picture(index), cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def folder(path: Path, count: int = COUNT) -> Path:
    path.mkdir()
    for index in range(count):
        suffix = (".png", ".jpg", ".bmp")[index % 3]
        cv2.imwrite(str(path / f"picture {index * 4}{suffix}"), cv2.cvtColor(picture(index), cv2.COLOR_RGB2BGR))
    return path


@pytest.fixture(params=["synthetic", "video", "folder", "opencv", "faulty"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Settings of a source with six pictures, read as fast as possible."""
    kind = request.param

    def make(**changes: object) -> CameraSettings:
        fields: dict[str, object] = {"source": kind, "width": 160, "height": 120, "realtime": False}
        if kind in ("synthetic", "faulty"):
            fields |= {"source": "synthetic", "scene": SQUARE, "frames": COUNT}
            if kind == "faulty":  # after the last picture: what comes before is the other source's
                fields |= {"faults": (CameraFault(kind="garbage", at_frame=10**6),)}
        elif kind == "folder":
            fields |= {"path": str(folder(tmp_path / "pictures"))}
        else:
            fields |= {("path" if kind == "video" else "url"): str(film(tmp_path / "film.avi"))}
        return CameraSettings(**(fields | changes))

    return make


def read_all(source: FrameSource, most: int = 100) -> list:
    frames = []
    while len(frames) < most and (frame := read_to_end(source)) is not None:
        frames.append(frame)
    return frames


def read_to_end(source: FrameSource):
    """A stream has no end, it breaks; for what is compared here that is the same."""
    try:
        return source.read()
    except CameraFailed:
        assert isinstance(source, OpenCvSource)
        return None


def test_every_picture_arrives_once_in_order_as_rgb(settings: Make) -> None:
    source = open_source(settings())
    source.open()
    frames = read_all(source)
    source.close()
    assert [frame.index for frame in frames] == list(range(COUNT))
    for frame in frames:
        assert frame.image.shape == (120, 160, 3)
        assert frame.image.dtype == np.uint8
    if not source.describe().startswith("synthetic"):
        red, _, blue = frames[0].image.reshape(-1, 3).mean(axis=0)
        assert red > 180
        assert blue < 40
        blues = [frame.image[..., 2].mean() for frame in frames]
        assert blues == sorted(blues)


def test_times_are_of_the_clock_given_and_media_time_rises(settings: Make) -> None:
    clock = VirtualClock(monotonic_ns=7 * SECOND)
    source = open_source(settings(), clock)
    source.open()
    frames = read_all(source)
    source.close()
    assert {frame.at_monotonic_ns for frame in frames} == {7 * SECOND}
    media = [frame.media_ns for frame in frames]
    assert media == sorted(media)
    if not source.stills:
        assert media[1] - media[0] == 100 * MS


def test_an_image_read_earlier_is_not_changed_by_later_reads(settings: Make) -> None:
    source = open_source(settings())
    source.open()
    first = source.read()
    assert first is not None
    before = first.image.copy()
    read_all(source)
    source.close()
    assert np.array_equal(first.image, before)


def test_after_the_end_there_is_nothing_for_ever(settings: Make) -> None:
    source = open_source(settings())
    source.open()
    read_all(source)
    assert read_to_end(source) is None
    assert read_to_end(source) is None
    source.close()


def test_opened_again_it_begins_again(settings: Make) -> None:
    source = open_source(settings())
    source.open()
    first = source.read()
    source.close()
    source.open()
    again = source.read()
    source.close()
    assert first is not None
    assert again is not None
    assert again.index == 0
    assert np.array_equal(first.image, again.image)


def test_closed_twice_and_before_opening_is_harmless_and_reads_none(settings: Make) -> None:
    source = open_source(settings())
    source.close()
    source.open()
    source.close()
    source.close()
    assert source.read() is None


@pytest.mark.parametrize("kind", ["synthetic", "folder"])
def test_closing_from_another_thread_ends_a_waiting_read(kind: str, tmp_path: Path) -> None:
    """Of those that wait for the clock; a stream sets its own pace and is bounded by its timeout."""
    slow = CameraSettings(source=kind, scene=SQUARE, path=str(folder(tmp_path / "p")), fps=0.01)
    source = open_source(slow, VirtualClock())
    source.open()
    assert source.read() is not None
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(source.read)
        source.close()
        assert waiting.result(timeout=10) is None


@pytest.mark.parametrize("kind", ["synthetic", "video", "folder"])
def test_paced_by_the_clock_a_frame_waits_until_it_is_due(kind: str, tmp_path: Path) -> None:
    clock = VirtualClock()
    where = {"path": str(folder(tmp_path / "p") if kind == "folder" else film(tmp_path / "f.avi"))}
    source = open_source(CameraSettings(source=kind, scene=SQUARE, width=160, height=120, fps=10, **where), clock)
    source.open()
    assert source.read() is not None
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(source.read)
        clock.advance(99 * MS)
        assert not waiting.done()
        clock.advance(1 * MS)
        frame = waiting.result(timeout=10)
    source.close()
    assert frame is not None
    assert frame.index == 1


@pytest.mark.parametrize("kind", ["synthetic", "video"])
def test_a_late_reader_skips_to_the_frame_of_now(kind: str, tmp_path: Path) -> None:
    clock = VirtualClock()
    path = str(film(tmp_path / "f.avi", count=30))
    source = open_source(CameraSettings(source=kind, scene=SQUARE, path=path, width=160, height=120, fps=10), clock)
    source.open()
    source.read()
    clock.advance(2 * SECOND)
    frame = source.read()
    source.close()
    assert frame is not None
    assert frame.index == 20
    assert frame.media_ns == 2 * SECOND


@pytest.mark.parametrize("kind", ["video", "folder"])
def test_looped_it_goes_on_from_the_beginning_with_rising_index(kind: str, tmp_path: Path) -> None:
    path = str(folder(tmp_path / "p") if kind == "folder" else film(tmp_path / "f.avi"))
    source = open_source(CameraSettings(source=kind, path=path, loop=True, realtime=False))
    source.open()
    frames = read_all(source, most=2 * COUNT + 1)
    source.close()
    assert [frame.index for frame in frames] == list(range(2 * COUNT + 1))
    assert np.array_equal(frames[0].image, frames[COUNT].image)
    media = [frame.media_ns for frame in frames]
    assert media == sorted(media)


def test_a_film_is_thinned_out_to_the_rate_asked_for(tmp_path: Path) -> None:
    path = str(film(tmp_path / "f.avi", count=30, fps=30))
    source = open_source(CameraSettings(source="video", path=path, fps=10, realtime=False))
    source.open()
    frames = read_all(source)
    source.close()
    assert [frame.media_ns // MS for frame in frames] == [index * 100 for index in range(10)]


def test_pictures_come_in_natural_order_with_their_own_bytes_and_damaged_ones_are_passed_over(tmp_path: Path) -> None:
    pictures = folder(tmp_path / "pictures")
    (pictures / "picture 9.jpg").write_bytes(b"\xff\xd8 not a picture")
    (pictures / "empty.jpg").write_bytes(b"")
    (pictures / "notes.txt").write_text("no picture")
    source = open_source(CameraSettings(source="folder", path=str(pictures), realtime=False))
    source.open()
    frames = read_all(source)
    assert source.stills
    assert [frame.name for frame in frames] == [
        f"picture {index * 4}{('.png', '.jpg', '.bmp')[index % 3]}" for index in range(COUNT)
    ]
    assert frames[1].encoded == (pictures / "picture 4.jpg").read_bytes()
    assert frames[0].encoded is None


def test_a_looped_folder_of_damaged_pictures_fails_instead_of_spinning(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    source = open_source(CameraSettings(source="folder", path=str(tmp_path), loop=True, realtime=False))
    source.open()
    with pytest.raises(CameraFailed):
        source.read()


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"source": "video", "path": "/nowhere/film.mp4"}, "no video file"),
        ({"source": "folder", "path": "/nowhere"}, "no folder"),
        ({"source": "synthetic", "scene": "roost_edge.sources.test_scene:Nothing"}, "cannot be loaded"),
        ({"source": "synthetic", "scene": "no_such_module:Scene"}, "cannot be loaded"),
        ({"source": "opencv", "device": 63}, "does not open"),
    ],
)
def test_what_cannot_be_opened_says_why_and_what_to_do(fields: dict, says: str) -> None:
    source = open_source(CameraSettings(**fields))
    with pytest.raises(RoostError, match=says) as caught:
        source.open()
    assert caught.value.remedy


def test_picamera_away_from_a_pi_says_what_to_install_or_choose() -> None:
    source = open_source(CameraSettings(source="picamera"))
    try:
        import picamera2  # noqa: F401 - only whether it is there
    except ImportError:
        pass
    else:
        pytest.skip("Picamera2 is installed here.")
    with pytest.raises(Misuse, match="Picamera2 is not available") as caught:
        source.open()
    assert "python3-picamera2" in caught.value.remedy
    source.close()


def test_a_stream_that_does_not_answer_fails_in_bounded_time_and_never_shows_its_password(
    capfd: pytest.CaptureFixture[str],
) -> None:
    url = "rtsp://keeper:s3cret@127.0.0.1:9/stream?password=s3cret"
    source = open_source(CameraSettings(source="opencv", url=url, open_timeout_ms=500))
    with pytest.raises(CameraFailed) as caught:
        source.open()
    out, err = capfd.readouterr()
    for text in (str(caught.value), repr(caught.value), source.describe(), out, err):
        assert "s3cret" not in text
        assert "keeper" not in text
    assert "127.0.0.1:9/stream" in source.describe()


def test_a_stream_that_breaks_raises_so_that_the_process_is_restarted(tmp_path: Path) -> None:
    source = open_source(CameraSettings(source="opencv", url=str(film(tmp_path / "f.avi")), realtime=False))
    source.open()
    for _ in range(COUNT):
        assert source.read() is not None
    with pytest.raises(CameraFailed, match="no more pictures"):
        source.read()


class TickingClock(VirtualClock):
    """Every look at it takes a millisecond."""

    def monotonic_ns(self) -> int:
        self.advance(1 * MS)
        return super().monotonic_ns()


def test_a_faster_stream_is_thinned_to_the_rate_asked_for(tmp_path: Path) -> None:
    url = str(film(tmp_path / "f.avi", count=100))
    source = open_source(CameraSettings(source="opencv", url=url, fps=100), TickingClock())
    source.open()
    frames = read_all(source, most=5)
    source.close()
    gaps = [later.at_monotonic_ns - earlier.at_monotonic_ns for earlier, later in pairwise(frames)]
    assert all(9 * MS <= gap <= 10 * MS for gap in gaps)


def test_a_stream_over_the_network_is_read_until_its_server_goes_away() -> None:
    ok, jpeg = cv2.imencode(".jpg", cv2.cvtColor(picture(3), cv2.COLOR_RGB2BGR))
    assert ok

    class Camera(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            for _ in range(30):
                head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg)
                self.wfile.write(head + jpeg.tobytes() + b"\r\n")

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Camera) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            url = f"http://keeper:s3cret@127.0.0.1:{server.server_port}/stream"
            source = open_source(CameraSettings(source="opencv", url=url, realtime=False, read_timeout_ms=1000))
            source.open()
            frames = read_all(source)
            source.close()
        finally:
            server.shutdown()
            serving.join()
    assert len(frames) >= 25  # the demuxer keeps a few at the end
    assert frames[0].image[..., 0].mean() > 180


@pytest.mark.parametrize(
    "fields",
    [
        {"source": "video"},
        {"source": "folder"},
        {"source": "synthetic", "scene": "no colon"},
        {"width": 0},
        {"fps": 0},
        {"fps": float("nan")},
        {"read_timeout_ms": 1},
    ],
)
def test_settings_that_cannot_work_are_refused(fields: dict) -> None:
    with pytest.raises(ValueError, match=r"between|needs|module:attribute"):
        CameraSettings(**fields)


def test_sources_leave_no_thread_behind(settings: Make) -> None:
    before = threading.active_count()
    source = open_source(settings())
    source.open()
    read_all(source)
    source.close()
    assert threading.active_count() == before
