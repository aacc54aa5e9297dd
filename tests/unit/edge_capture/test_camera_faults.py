"""The camera that misbehaves on purpose, and the tests of what its settings say."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from roost_broker.clock import MS, SECOND, VirtualClock
from roost_edge.sources import CameraFailed, CameraSettings, FrameSource, open_source
from roost_edge.sources.faults import CameraFault, Faults
from roost_edge.sources.frozen import Frozen

SQUARE = "roost_edge.sources.test_scene:MovingSquare"


def camera(*faults: CameraFault, clock: VirtualClock | None = None) -> FrameSource:
    settings = CameraSettings(scene=SQUARE, width=160, height=120, realtime=False, faults=faults)
    source = open_source(settings, clock or VirtualClock())
    source.open()
    return source


def images(source: FrameSource, count: int) -> list[np.ndarray]:
    return [frame.image for _ in range(count) if (frame := source.read()) is not None]


def test_a_fault_is_on_from_its_frame_for_its_frames() -> None:
    faults = Faults((CameraFault(kind="black", at_frame=3, frames=2),))
    assert [frame for frame in range(10) if faults.on(frame, 0)] == [3, 4]


def test_a_fault_is_on_from_its_moment_for_its_time() -> None:
    faults = Faults((CameraFault(kind="black", at_s=3, for_s=2),))
    assert [second for second in range(10) if faults.on(0, second * SECOND)] == [3, 4]


def test_of_two_faults_the_first_counts_and_the_second_follows() -> None:
    faults = Faults((CameraFault(kind="black", at_frame=1, frames=1), CameraFault(kind="garbage", at_frame=1)))
    kinds = [found.kind if (found := faults.on(frame, 0)) else "" for frame in range(3)]
    assert kinds == ["", "black", "garbage"]


def test_black_garbage_and_frozen_pictures_come_in_their_turn_and_then_the_scene_again() -> None:
    plain = images(camera(), 8)
    seen = images(
        camera(
            CameraFault(kind="black", at_frame=1, frames=1),
            CameraFault(kind="garbage", at_frame=2, frames=2),
            CameraFault(kind="freeze", at_frame=5, frames=2),
        ),
        8,
    )
    assert [np.array_equal(one, other) for one, other in zip(plain, seen, strict=True)] == [
        *(True, False, False, False),
        *(True, False, False, True),
    ]
    assert not seen[1].any()
    assert seen[2].std() > 50
    assert not np.array_equal(seen[2], seen[3])
    assert np.array_equal(seen[4], seen[5])
    assert np.array_equal(seen[5], seen[6])


def test_a_smeared_lens_takes_the_edges_and_leaves_the_light() -> None:
    (plain,), (seen,) = images(camera(), 1), images(camera(CameraFault(kind="blur", blur=0.1)), 1)
    assert seen.shape == plain.shape
    assert abs(float(seen.mean()) - float(plain.mean())) < 2
    assert np.abs(np.diff(seen.astype(int), axis=1)).max() < np.abs(np.diff(plain.astype(int), axis=1)).max() / 3


def test_a_turned_camera_shows_the_same_things_elsewhere() -> None:
    (plain,) = images(camera(), 1)
    (half,) = images(camera(CameraFault(kind="turn", turn_deg=180)), 1)
    assert np.array_equal(half, plain[::-1, ::-1])
    (quarter,) = images(camera(CameraFault(kind="turn", turn_deg=90)), 1)
    assert quarter.shape == plain.shape
    assert not quarter[:, 0].any(), "what was not in the picture before is black"
    height, width = plain.shape[:2]
    middle = quarter[:, (width - height) // 2 : (width + height) // 2]
    turned = np.rot90(plain)[(width - height) // 2 : (width + height) // 2]
    assert np.abs(middle.astype(int) - turned.astype(int)).mean() < 2


def test_a_camera_that_drops_cannot_be_opened_until_its_time_is_over_and_its_own_time_goes_on() -> None:
    clock = VirtualClock()
    source = camera(CameraFault(kind="drop", at_frame=5, for_s=2), clock=clock)
    before = [source.read() for _ in range(5)]
    for trouble in (source.read, source.open):
        with pytest.raises(CameraFailed, match="on purpose"):
            trouble()
    clock.advance(2 * SECOND)
    source.open()
    frame = source.read()
    assert frame is not None
    assert before[-1] is not None
    assert frame.index > before[-1].index
    assert frame.media_ns > before[-1].media_ns


def test_a_slow_camera_delivers_and_closing_wakes_it() -> None:
    source = camera(CameraFault(kind="slow", slow_ms=600_000))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(source.read)
        source.close()
        assert waiting.result(timeout=60) is None


@pytest.mark.parametrize("fields", [{"at_frame": -1}, {"for_s": float("nan")}, {"slow_ms": 0}, {"blur": 2}])
def test_faults_that_cannot_be_are_refused(fields: dict) -> None:
    with pytest.raises(ValueError, match="not between"):
        CameraFault(kind="drop", **fields)


def test_a_picture_that_stays_the_same_to_the_bit_is_frozen_and_noise_is_not() -> None:
    frozen, picture = Frozen(), np.full((48, 64, 3), 7, np.uint8)
    assert [frozen.for_ns(picture, now * MS) for now in (0, 10, 20)] == [0, 10 * MS, 20 * MS]
    noisy = picture.copy()
    noisy[0, 0, 0] += 1
    assert frozen.for_ns(noisy, 30 * MS) == 0
