"""P5: pre- and post-rolls are the first to give way when the card is short of room."""

from collections import Counter
from pathlib import Path

import numpy as np

from roost_broker.clock import MS
from roost_edge.capture.roll import Roll
from roost_edge.capture.settings import CaptureSettings
from roost_edge.motion.detector import MotionVerdict
from roost_edge.sources.frame import Frame

MOVES = MotionVerdict(moving=True, area=0.1, box=(0.1, 0.1, 0.5, 0.5), reason="motion")


def event(folder: Path, name: str, size: int) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "+0000.jpg").write_bytes(b"x" * size)


def test_the_oldest_events_go_until_enough_is_free_and_what_waits_is_not_written(tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    folder = tmp_path / "rolls"
    for number in range(4):
        event(folder, f"event{number}", 1_000)
    roll = Roll(folder, CaptureSettings(pre_roll_ms=1_000, post_roll_ms=1_000), counts)
    image = np.zeros((48, 64, 3), np.uint8)
    roll.saw(Frame(image=image, at_monotonic_ns=0, wall_ns=0, index=0, media_ns=5 * MS), MOVES)
    roll.began("f" * 32, 5 * MS)
    roll.write(short=1_500)
    assert sorted(path.name for path in folder.iterdir()) == ["event2", "event3"]
    assert counts["roll-unwritten"] == 1
    roll.write(short=10_000)
    assert list(folder.iterdir()) == []


def test_a_roll_that_was_never_written_has_nothing_to_give(tmp_path: Path) -> None:
    roll = Roll(tmp_path / "none", CaptureSettings(pre_roll_ms=1_000), Counter())
    roll.write(short=1_000)
    assert roll.trim() == 0
