"""Light that flickers, fades or blinds, and birds in it."""

import numpy as np
import pytest
from motion_scenes import quiet, straw, wall, watch, with_square


def lit(image: np.ndarray, gain: float) -> np.ndarray:
    """As a camera sees it in more or less light: what is brighter than white is white."""
    return np.clip(image * gain, 0, 255).astype(np.uint8)


def flickering(count: int, *, seed: int = 3) -> list[float]:
    """A lamp that is another one in every frame, by a tenth up or down."""
    return [float(gain) for gain in np.random.default_rng(seed).uniform(0.9, 1.1, count)]


def bird(index: int, left: int) -> np.ndarray:
    """A large dark thing that nods before straw, so that it covers a fifth of the picture."""
    return with_square(straw(seed=index), left, 35, side=120, top=60 + index % 2)


@pytest.mark.parametrize("lamp", [1, 2, 3])
def test_in_a_lamp_that_flickers_two_visits_are_two_events(lamp: int) -> None:
    coming, going = range(-110, 120, 30), range(120, 330, 30)
    visit = [bird(300 + n, max(0, left)) for n, left in enumerate([*coming, *[120] * 30, *going]) if left < 300]
    empty = [straw(seed=n) for n in range(30)]
    story = [*empty, *visit, *empty, *visit, *empty]
    gains = flickering(len(story), seed=lamp)
    moving = [one.moving for one in watch(lit(image, gain) for image, gain in zip(story, gains, strict=True))]
    for first in (30, 60 + len(visit)):
        assert sum(moving[first : first + len(visit)]) > 0.8 * len(visit)
        assert not any(moving[first + len(visit) + 10 : first + len(visit) + 30])


def test_a_lamp_that_flickers_as_it_always_does_is_no_news() -> None:
    images = [lit(wall(seed=n), gain) for n, gain in enumerate(flickering(90))]
    reasons = [verdict.reason for verdict in watch(images)]
    assert reasons[40:].count("quiet") > 45


def test_white_that_was_blinded_by_a_bright_light_is_the_same_wall_afterwards() -> None:
    def window(seed: int) -> np.ndarray:
        return with_square(wall(seed=seed), 40, 230, side=60)

    images = [window(n) for n in range(20)]
    images += [lit(window(100 + n), 1.5) for n in range(10)]
    images += [window(200 + n) for n in range(10)]
    verdicts = watch(images)[20:]
    assert {verdict.reason for verdict in verdicts} <= {"light-step", "quiet"}
    assert [verdict.box for verdict in verdicts[11:]] == [None] * 9


def test_a_white_wall_in_a_dark_picture_fades_without_a_word() -> None:
    def night(seed: int) -> np.ndarray:
        image = (straw(seed=seed) * 0.25).astype(np.uint8)
        image[220:] = 240
        return image

    images = [lit(night(n), 1 - 0.002 * max(0, n - 20)) for n in range(120)]
    assert {verdict.reason for verdict in watch(images)[10:]} == {"quiet"}


def test_shade_that_comes_as_a_bird_leaves_is_not_the_bird() -> None:
    things = [with_square(straw(seed=100 + n), 20 + 40 * n, 40, side=70, top=80) for n in range(8)]
    shaded = []
    for n in range(20):
        image = straw(seed=300 + n).astype(np.float32)
        image[:, : 20 + 6 * n] *= 0.65
        shaded.append(image.astype(np.uint8))
    verdicts = watch([*(straw(seed=n) for n in range(20)), *things, *shaded])[20:]
    assert sum(verdict.moving for verdict in verdicts[:8]) >= 5
    assert sum(verdict.moving for verdict in verdicts[8:]) <= 2


def test_a_small_thing_that_is_lost_for_a_frame_is_the_same_when_it_is_back() -> None:
    blinking = [
        wall(seed=100 + n) if n % 3 == 2 else with_square(wall(seed=100 + n), 40 + 4 * n, 250, side=16)
        for n in range(12)
    ]
    verdicts = watch([*quiet(), *blinking])[20:]
    assert [verdict.moving for verdict in verdicts[6:]] == [n % 3 != 2 for n in range(6, 12)]


def test_what_moves_moves_on_although_less_of_it_is_seen() -> None:
    sides = [20] * 6 + [10] * 4
    images = [with_square(wall(seed=100 + n), 40 + 4 * n, 250, side=side) for n, side in enumerate(sides)]
    assert all(verdict.moving for verdict in watch([*quiet(), *images])[24:])
    alone = [with_square(wall(seed=100 + n), 40 + 4 * n, 250, side=10) for n in range(10)]
    assert not any(verdict.moving for verdict in watch([*quiet(), *alone])[20:])


def test_a_lamp_over_a_quarter_of_the_picture_is_light() -> None:
    images = [straw(seed=n) for n in range(20)]
    for n in range(10):
        image = straw(seed=100 + n).astype(np.float32)
        image[:120, :160] *= 1.4
        images.append(np.clip(image, 0, 255).astype(np.uint8))
    verdicts = watch(images)[20:]
    assert verdicts[0].reason in ("light-step", "shade")
    assert not any(verdict.moving for verdict in verdicts)
