"""Every reason for which a frame is no motion, provoked; and masks and zones."""

import numpy as np
import pytest
from motion_scenes import quiet, straw, wall, watch, with_square

from roost_edge.motion.detector import REASONS, MotionDetector
from roost_edge.motion.settings import MotionSettings
from roost_edge.motion.why import EXPLAINED

LEFT_HALF = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
RIGHT_HALF = ((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0))


def crossing(first: int = 0) -> list[np.ndarray]:
    """A thing that crosses the picture from left to right in three seconds."""
    return [with_square(wall(seed=100 + n), first + 9 * n, 230) for n in range(30)]


def shaded(depth: float) -> list[np.ndarray]:
    images = []
    for n in range(12):
        image = straw(seed=300 + n).astype(np.float32)
        image[40:200, 20 + 12 * n : 110 + 12 * n] *= depth
        images.append(image.astype(np.uint8))
    return images


def test_every_reason_is_explained_to_people() -> None:
    assert set(EXPLAINED) == set(REASONS)


@pytest.mark.parametrize("depth", [0.6, 1.35])
def test_shade_and_flecks_of_sun_that_wander_over_straw_are_no_motion(depth: float) -> None:
    verdicts = watch([*(straw(seed=n) for n in range(20)), *shaded(depth)])[20:]
    assert "shade" in {verdict.reason for verdict in verdicts}
    assert not any(verdict.moving for verdict in verdicts)


def test_a_dark_thing_before_the_same_straw_is_motion() -> None:
    things = [with_square(straw(seed=300 + n), 20 + 12 * n, 60, side=80, top=80) for n in range(12)]
    verdicts = watch([*(straw(seed=n) for n in range(20)), *things])[20:]
    assert sum(verdict.moving for verdict in verdicts) >= 10


def test_light_that_flickers_without_end_is_no_motion() -> None:
    lamp = np.random.default_rng(3).uniform(-14, 14, 60)
    verdicts = watch([*quiet(), *(wall(120 + push, seed=200 + n) for n, push in enumerate(lamp))])[20:]
    assert "light-step" in {verdict.reason for verdict in verdicts}
    assert not any(verdict.moving for verdict in verdicts)


def test_a_thing_in_flickering_light_is_found() -> None:
    lamp = np.random.default_rng(3).uniform(-14, 14, 30)
    images = [with_square(wall(120 + push, seed=200 + n), 9 * n, 230) for n, push in enumerate(lamp)]
    verdicts = watch([*quiet(), *images])[20:]
    assert sum(verdict.moving for verdict in verdicts) > 15


def test_a_small_thing_must_stay_for_longer_than_a_large_one() -> None:
    small = [with_square(wall(seed=100 + n), 40 + 4 * n, 250, side=16) for n in range(8)]
    verdicts = watch([*quiet(), *small])[20:]
    assert [verdict.reason for verdict in verdicts[:4]] == ["unconfirmed"] * 3 + ["motion"]


def test_what_a_visitor_leaves_behind_is_settled_within_two_seconds() -> None:
    bird = [with_square(wall(seed=100 + n), 60 + 6 * (n % 3), 240, side=90) for n in range(20)]
    egg = [with_square(wall(seed=200 + n), 90, 245, side=20) for n in range(30)]
    verdicts = watch([*quiet(), *bird, *egg])[40:]
    assert [verdict.reason for verdict in verdicts].count("settled") == 1
    assert not any(verdict.moving for verdict in verdicts[20:])


def test_behind_a_mask_nothing_is_seen_and_beside_it_everything() -> None:
    detector = MotionDetector(MotionSettings(masks=(LEFT_HALF,)))
    verdicts = watch([*quiet(), *crossing()], detector)[20:]
    assert not any(verdict.moving for verdict in verdicts[:10])
    assert all(verdict.moving for verdict in verdicts[20:])
    assert all(verdict.box is None or verdict.box[0] >= 0.49 for verdict in verdicts)


def test_a_light_step_in_the_open_part_is_still_rejected_beside_a_mask() -> None:
    detector = MotionDetector(MotionSettings(masks=(LEFT_HALF,)))
    verdicts = watch([*quiet(), *(wall(170, seed=300 + n) for n in range(10))], detector)[20:]
    assert not any(verdict.moving for verdict in verdicts)


def test_the_zones_of_a_thing_are_named_on_its_way() -> None:
    detector = MotionDetector(MotionSettings(zones={"door": LEFT_HALF, "feeder": RIGHT_HALF}))
    verdicts = [verdict for verdict in watch([*quiet(), *crossing()], detector) if verdict.moving]
    assert verdicts[0].zones == ("door",)
    assert ("door", "feeder") in {verdict.zones for verdict in verdicts}
    assert verdicts[-1].zones == ("feeder",)


def test_with_only_zones_what_moves_elsewhere_is_outside() -> None:
    detector = MotionDetector(MotionSettings(zones={"feeder": RIGHT_HALF}, only_zones=True))
    verdicts = watch([*quiet(), *crossing()], detector)[20:]
    assert [verdict.reason for verdict in verdicts[:8]] == ["unconfirmed"] + ["outside"] * 7
    assert all(verdict.moving for verdict in verdicts[20:])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"masks": (((0, 0), (1, 0)),)}, "mask 1 has 2 corners"),
        ({"masks": (((0, 0), (1.2, 0), (0, 1)),)}, "shares of the picture"),
        ({"masks": (((0, 0), (0.5, 0.5), (1, 1)),)}, "mask 1 covers nothing"),
        ({"zones": {"a b": LEFT_HALF}}, "zone 'a b'"),
        ({"zones": {"feeder": tuple((0.5, 0.5) for _ in range(65))}}, "zone feeder has 65 corners"),
        ({"masks": (LEFT_HALF,) * 33}, "at most 32"),
        ({"only_zones": True}, "only_zones needs zones"),
        ({"min_delta": 0}, "min_delta = 0"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused_by_name(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        MotionSettings(**wrong)  # type: ignore[arg-type]  # wrong on purpose
