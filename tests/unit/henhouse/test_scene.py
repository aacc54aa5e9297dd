"""The renderer: the same seed gives the same picture, and the truth is true of it."""

import hashlib
import subprocess
import sys
from itertools import pairwise

import cv2
import numpy as np
import pytest

from roost_broker.errors import Misuse
from roost_henhouse.scene import HenhouseScene, still
from roost_henhouse.truth import BIRDS, LABELS, RANK, labels_that_hold

SEED = 5
SMALL = (160, 120)


def _digest(*pictures: np.ndarray) -> str:
    return hashlib.sha256(b"".join(picture.tobytes() for picture in pictures)).hexdigest()


def _grey(picture: np.ndarray) -> np.ndarray:
    return cv2.blur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (5, 5)).astype(int)


def test_frames_asked_for_in_any_order_are_the_same_bytes() -> None:
    indices = [0, 60, 130, 240, 2400]
    forward = [HenhouseScene(SEED, *SMALL).frame(i)[0] for i in indices]
    scene = HenhouseScene(SEED, *SMALL)
    backward = [scene.frame(i)[0] for i in reversed(indices)]
    assert _digest(*forward) == _digest(*reversed(backward))


def test_another_process_renders_the_same_bytes() -> None:
    code = (
        "import hashlib;from roost_henhouse.scene import HenhouseScene,still;"
        f"p=[HenhouseScene({SEED},*{SMALL}).frame(i)[0] for i in (7,90)]+[still('blue_jay',3,{SMALL})[0]];"
        "print(hashlib.sha256(b''.join(x.tobytes() for x in p)).hexdigest())"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    here = [HenhouseScene(SEED, *SMALL).frame(i)[0] for i in (7, 90)] + [still("blue_jay", 3, SMALL)[0]]
    assert other == _digest(*here)


def test_another_seed_or_another_frame_is_another_picture() -> None:
    frames = [HenhouseScene(seed, *SMALL).frame(i)[0] for seed in (1, 2) for i in (0, 1)]
    assert len({_digest(frame) for frame in frames}) == 4


@pytest.mark.parametrize("size", [(640, 480), (160, 120), (320, 180), (65, 49), (200, 400)])
def test_every_label_is_drawn_at_every_size(size: tuple[int, int]) -> None:
    for label in LABELS:
        for seed in range(2):
            picture, truth = still(label, seed, size)
            assert picture.shape == (size[1], size[0], 3)
            assert picture.dtype == np.uint8
            assert truth.label == label
            assert picture.std() > 3


def test_a_still_at_many_seeds_shows_what_it_was_asked_for() -> None:
    for seed in range(100, 125):
        for label in LABELS:
            assert still(label, seed, SMALL)[1].label == label


def test_the_breeds_and_the_jay_do_not_look_alike() -> None:
    """By day, the mean colour inside a bird's box tells red from buff from grey, and blue is the jay's alone."""
    mean = {}
    for bird in BIRDS:
        rows = []
        for seed in range(12):
            picture, truth = still(bird, seed, (320, 240))
            if truth.light == "day":
                box = truth.boxes[0]
                inside = picture[box.y : box.y + box.height, box.x : box.x + box.width].reshape(-1, 3)
                rows.append(inside.mean(axis=0) / inside.mean())
        mean[bird] = np.mean(rows, axis=0)
    assert mean["rhode_island_red"][0] > mean["plymouth_rock"][0] + 0.15
    assert mean["buff_orpington"][0] > mean["plymouth_rock"][0] + 0.1
    assert mean["buff_orpington"][1] > mean["rhode_island_red"][1] + 0.05
    assert mean["blue_jay"][2] > max(mean[hen][2] for hen in BIRDS[:3])


def test_a_birds_box_holds_the_pixels_that_it_changed() -> None:
    scene = HenhouseScene(SEED)
    with_bird = next(i for i in range(25, 600) if _settled_bird(scene, i))
    box = next(b for b in scene.frame(with_bird)[1].boxes if b.label in BIRDS)
    changed = np.abs(_grey(scene.frame(with_bird)[0]) - _grey(scene.frame(0)[0])) > 25
    inside = changed[box.y : box.y + box.height, box.x : box.x + box.width]
    assert inside.mean() > 0.25
    assert inside.sum() > 0.75 * changed.sum()


def _settled_bird(scene: HenhouseScene, index: int) -> bool:
    truth = scene.frame(index)[1]
    return (
        truth.label in BIRDS
        and truth.boxes[0].visible == 1
        and truth.door == 0
        and not truth.eggs
        and abs(truth.brightness - 1.04) < 0.03
    )


def test_quiet_frames_hardly_differ_and_moving_frames_do() -> None:
    scene = HenhouseScene(SEED, 320, 240)
    frames = [(_grey(picture), truth) for picture, truth in (scene.frame(i) for i in range(0, 400, 2))]
    quiet, moving = [], []
    for (before, earlier), (now, truth) in pairwise(frames):
        share = float((np.abs(now - before) > 12).mean())
        if truth.moving and earlier.moving:
            moving.append(share)
        elif not (truth.moving or earlier.moving or truth.distractions or earlier.distractions):
            quiet.append(share)
    assert len(quiet) > 10
    assert max(quiet) < 0.001
    assert np.median(moving) > 0.005


def test_truth_names_one_label_the_first_that_holds() -> None:
    scene = HenhouseScene(SEED, *SMALL)
    for index in range(0, 3000, 37):
        truth = scene.frame(index)[1]
        assert truth.label == truth.labels[0]
        assert list(truth.labels) == sorted(truth.labels, key=RANK.index)
        assert truth.labels == labels_that_hold(truth.boxes)
        for box in truth.boxes:
            assert 0 <= box.x < box.x + box.width <= scene.width
            assert 0 <= box.y < box.y + box.height <= scene.height
        assert truth.to_dict()["label"] == truth.label


def test_night_is_grey_and_day_is_not() -> None:
    scene = HenhouseScene(SEED, *SMALL)
    night, day = scene.frame(2450), scene.frame(0)
    assert (night[1].light, day[1].light) == ("night", "day")
    spread = [float(np.ptp(cv2.blur(p, (9, 9)).astype(int), axis=2).mean()) for p in (night[0], day[0])]
    assert spread[0] < 4 < spread[1]


@pytest.mark.parametrize("wrong", [{"width": 20}, {"height": 9000}, {"fps": 0}, {"seed": -1}])
def test_settings_that_cannot_be_drawn_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(Misuse):
        HenhouseScene(**{"seed": 1, **wrong})


def test_frames_before_the_first_and_unknown_labels_are_refused() -> None:
    with pytest.raises(Misuse):
        HenhouseScene(1).frame(-1)
    with pytest.raises(Misuse, match="plymouth_rock"):
        still("ostrich", 1)


def test_drawing_leaves_the_kept_box_untouched() -> None:
    """Backgrounds are cached and shared: a bird painted into one would be there for ever."""
    scene = HenhouseScene(SEED, *SMALL)
    before = _digest(scene.frame(0)[0])
    for index in range(0, 600, 15):
        scene.frame(index)
    assert _digest(scene.frame(0)[0]) == before
