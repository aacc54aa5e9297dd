"""Pre- and post-roll: what is kept, how much of it, and which picture is the best."""

import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np

from roost_broker.clock import MS
from roost_edge.capture.roll import Roll
from roost_edge.capture.settings import CaptureSettings
from roost_edge.motion.detector import MotionVerdict
from roost_edge.sources.frame import Frame

QUIET = MotionVerdict(False, 0.0, None, "quiet")
MOVING = MotionVerdict(True, 0.1, (0.3, 0.3, 0.3, 0.3), "motion")
EVENT = "0" * 31 + "a"


def frame(ms: int, size: tuple[int, int] = (48, 64)) -> Frame:
    image = np.full((*size, 3), (ms // 100) % 256, np.uint8)
    return Frame(image=image, at_monotonic_ns=ms * MS, wall_ns=ms * MS, index=ms // 100, media_ns=ms * MS)


def settings(**more: int) -> CaptureSettings:
    return CaptureSettings(**{"pre_roll_ms": 1_000, "post_roll_ms": 1_000, "roll_every_ms": 200, **more})


def play(
    folder: Path, chosen: CaptureSettings, event: str = EVENT, begins: int = 3_000, ends: int = 4_000
) -> Counter[str]:
    """Frames every 100 ms for eight seconds, with one event."""
    counts: Counter[str] = Counter()
    roll = Roll(folder, chosen, counts)
    for ms in range(0, 8_000, 100):
        roll.saw(frame(ms), MOVING if begins <= ms < ends else QUIET)
        if ms == begins:
            roll.began(event, ms * MS)
        if ms == ends:
            roll.ended(ms * MS)
        if roll.due:
            roll.write()
    return counts


def names(folder: Path) -> list[str]:
    return sorted((path.name for path in folder.glob("*.jpg")), key=lambda name: int(name[:-4]))


def test_an_event_has_its_pictures_from_before_to_after_it(tmp_path: Path) -> None:
    counts = play(tmp_path, settings())
    found = [int(name[:-4]) for name in names(tmp_path / EVENT)]
    assert found[0] == -1_000
    assert found[-1] == 2_000
    assert 0 in found  # the one that triggered
    assert set(np.diff(found)) == {200}
    assert counts == {"rolls": 1}


def test_the_list_names_the_best_picture(tmp_path: Path) -> None:
    play(tmp_path, settings())
    told = json.loads((tmp_path / EVENT / "event.json").read_text())
    assert told["eventId"] == EVENT
    assert told["best"] in names(tmp_path / EVENT)
    assert 0 <= int(told["best"][:-4]) < 1_000  # while something moved
    assert {one["file"] for one in told["frames"]} == set(names(tmp_path / EVENT))


def test_without_an_event_nothing_is_written(tmp_path: Path) -> None:
    play(tmp_path, settings(), begins=100_000, ends=100_000)
    assert list(tmp_path.iterdir()) == []


def test_the_ring_holds_no_more_bytes_than_it_may(tmp_path: Path) -> None:
    # 64×48 pixels of three bytes are 9 kB: twelve fit, and one every 100 ms comes.
    play(tmp_path, settings(roll_every_ms=100, pre_roll_ms=60_000, roll_ring_kb=110))
    before = [name for name in names(tmp_path / EVENT) if name.startswith("-")]
    assert len(before) == 10


def test_pictures_are_scaled_down_before_they_are_remembered(tmp_path: Path) -> None:
    roll = Roll(tmp_path, settings(), Counter())
    roll.saw(frame(0, (1080, 1920)), MOVING)
    roll.began(EVENT, 0)
    roll.write()
    (path,) = (tmp_path / EVENT).glob("*.jpg")
    assert cv2.imread(str(path)).shape == (360, 640, 3)


def test_an_event_without_end_is_cut_and_counted(tmp_path: Path) -> None:
    counts = play(tmp_path, settings(roll_max_frames=8), ends=100_000)
    assert len(names(tmp_path / EVENT)) == 8
    assert counts["roll-dropped"] > 0


def test_the_oldest_events_go_beyond_the_budget_and_the_newest_stays(tmp_path: Path) -> None:
    for number in range(4):
        folder = tmp_path / f"{number:032x}"
        folder.mkdir(parents=True)
        (folder / "+0000.jpg").write_bytes(bytes(600_000))
    roll = Roll(tmp_path, settings(rolls_budget_mb=1), Counter())
    assert roll.trim() == 3
    assert [path.name for path in tmp_path.iterdir()] == [f"{3:032x}"]


def test_a_card_that_cannot_be_written_costs_pictures_and_is_counted(tmp_path: Path) -> None:
    (tmp_path / "rolls").write_text("a file, where a folder should be")
    counts = play(tmp_path / "rolls", settings())
    assert counts["roll-unwritten"] >= 1


def test_a_disk_that_is_slow_costs_pictures_and_no_memory(tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    roll = Roll(tmp_path, settings(roll_every_ms=10), counts)
    roll.saw(frame(0), MOVING)
    roll.began(EVENT, 0)
    for ms in range(100, 10_000, 100):
        roll.saw(frame(ms), MOVING)
    assert counts["roll-dropped"] == 100 - 32
    roll.write()
    assert len(names(tmp_path / EVENT)) == 32
